import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import stations
from domain.stations import Presence, StationStatus
from tests.factories import a_location, a_station
from tests.live import assert_live
from tests.statements import assert_statements
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATE = "id identity status online vendor lastSeenAt evses { number status connectors { number status statusAt } }"
UPDATES = f"""
subscription ($ids: [ID!]) {{
  stationStatusUpdates(stationIds: $ids) {{ station {{ {STATE} }} evseNumber connectorNumber status at }}
}}
"""
NOW = f'{{ stationByIdentity(identity: "CP-1") {{ {STATE} }} }}'


async def a_plug(
    tester: Tester, station_id: UUID, status: StationStatus, *, evse: int | None = 1, at: datetime = NOON
) -> None:
    async with tester.work() as work:
        await stations.report_status(
            work,
            station_id=station_id,
            evse_number=evse,
            connector_number=None if evse is None else 1,
            status=status,
            at=at,
        )


async def listed(tester: Tester, **filter: Any) -> list[str]:
    data = await tester.gql("query ($f: StationFilter) { stations(filter: $f) { nodes { identity } } }", {"f": filter})
    return [node["identity"] for node in data["stations"]["nodes"]]


async def test_a_registered_station_shows_what_is_known_of_it(acme: Tester) -> None:
    location = await a_location(acme, "Depot")

    registered = await acme.gql(
        """
        mutation ($input: RegisterStationInput!) { registerStation(input: $input) {
          id identity name status online lastSeenAt vendor model serialNumber firmwareVersion ocppVersion registration
          location { id name } evses { number } configuration
        } }
        """,
        {"input": {"identity": "CP-1", "name": "By the gate", "locationId": str(location.id)}},
    )

    station = registered["registerStation"]
    assert station.pop("id")
    assert station == {
        "identity": "CP-1",
        "name": "By the gate",
        "status": "UNKNOWN",
        "online": False,
        "lastSeenAt": None,
        "vendor": None,
        "model": None,
        "serialNumber": None,
        "firmwareVersion": None,
        "ocppVersion": None,
        "registration": "ACCEPTED",
        "location": {"id": str(location.id), "name": "Depot"},
        "evses": [],
        "configuration": {},
    }


async def test_a_station_is_found_by_id_and_by_its_own_name(acme: Tester) -> None:
    station = await a_station(acme, "CP-1")

    found = await acme.gql(
        'query ($id: ID!) { station(id: $id) { identity } stationByIdentity(identity: "CP-1") { id } }',
        {"id": str(station.id)},
    )

    assert found == {"station": {"identity": "CP-1"}, "stationByIdentity": {"id": str(station.id)}}


async def test_a_field_that_fails_leaves_its_siblings_alone(acme: Tester) -> None:
    result = await acme.gql_errors(
        '{ station(id: "nonsense") { id } stationByIdentity(identity: "CP-9") { id } me { name } }'
    )

    assert result == ["INVALID", "NOT_FOUND"]


async def test_stations_are_listed_by_what_is_wanted(acme: Tester) -> None:
    depot = await a_location(acme)
    first = await a_station(acme, "CP-1", location_id=depot.id)
    second = await a_station(acme, "CP-2", name="Tower")
    await a_plug(acme, first.id, StationStatus.CHARGING)

    assert await listed(acme) == ["CP-2", "CP-1"]
    assert await listed(acme, status="CHARGING") == ["CP-1"]
    assert await listed(acme, status=["CHARGING", "UNKNOWN"]) == ["CP-2", "CP-1"]
    assert await listed(acme, locationId=str(depot.id)) == ["CP-1"]
    assert await listed(acme, text="towe") == ["CP-2"]
    assert await listed(acme, online=True) == []

    await acme.workplace.port(Presence).claim(acme.tenant_id, second.id, "process/1", 60)  # type: ignore[type-abstract]

    assert await listed(acme, online=True) == ["CP-2"]
    assert await listed(acme, online=False) == ["CP-1"]


async def test_pages_follow_each_other_to_the_end(acme: Tester) -> None:
    for number in range(5):
        await a_station(acme, f"CP-{number}")
    page = """
    query ($after: String) { stations(first: 2, after: $after) {
      totalCount pageInfo { hasNextPage endCursor } nodes { identity }
    } }
    """

    seen, after, more = [], None, True
    while more:
        shown = (await acme.gql(page, {"after": after}))["stations"]
        assert shown["totalCount"] == 5
        seen += [node["identity"] for node in shown["nodes"]]
        after, more = shown["pageInfo"]["endCursor"], shown["pageInfo"]["hasNextPage"]

    assert seen == ["CP-4", "CP-3", "CP-2", "CP-1", "CP-0"]


async def test_all_that_is_wanted_of_stations_must_hold_on_every_page(acme: Tester) -> None:
    """Status, presence, place and name together; one that comes on line meanwhile does not disturb the order."""
    depot, presence = await a_location(acme), acme.workplace.port(Presence)  # type: ignore[type-abstract]
    for number in range(8):
        there = {"location_id": depot.id} if number != 1 else {}
        station = await a_station(acme, f"{'CP' if number != 2 else 'XX'}-{number}", **there)
        await a_plug(acme, station.id, StationStatus.CHARGING if number != 3 else StationStatus.AVAILABLE)
        if number != 4:
            await presence.claim(acme.tenant_id, station.id, "process/1", 60)
    page = """
    query ($filter: StationFilter, $after: String) { stations(filter: $filter, first: 2, after: $after) {
      totalCount pageInfo { hasNextPage endCursor } nodes { identity online }
    } }
    """
    wanted = {"status": ["CHARGING"], "online": True, "locationId": str(depot.id), "text": "cp-"}

    seen, after, more = [], None, True
    while more:
        shown = (await acme.gql(page, {"filter": wanted, "after": after}))["stations"]
        assert all(node["online"] for node in shown["nodes"])
        assert shown["totalCount"] == 4
        seen += [node["identity"] for node in shown["nodes"]]
        after, more = shown["pageInfo"]["endCursor"], shown["pageInfo"]["hasNextPage"]

    assert seen == ["CP-7", "CP-6", "CP-5", "CP-0"]
    assert await listed(acme, **{**wanted, "online": False}) == ["CP-4"]


async def test_a_fleet_may_be_on_line_that_no_statement_could_name_one_by_one(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL takes 32,767 parameters."""
    station, other = await a_station(acme, "CP-1"), await a_station(acme, "CP-2")
    presence = acme.workplace.port(Presence)  # type: ignore[type-abstract]

    async def online(_tenant_id: UUID) -> set[UUID]:
        return {station.id, *(UUID(int=number) for number in range(40_000))}

    monkeypatch.setattr(presence, "online", online)

    assert await listed(acme, online=True) == ["CP-1"]
    assert await listed(acme, online=False) == [other.identity]


@pytest.mark.parametrize("arguments", ["first: 0", "first: 501", 'after: "x"', 'after: "bnVsbA"'])
async def test_a_page_that_cannot_be_is_refused(acme: Tester, arguments: str) -> None:
    assert await acme.gql_errors(f"{{ stations({arguments}) {{ nodes {{ id }} }} }}") == ["INVALID"]


async def test_a_list_costs_the_same_however_long_it_is(acme: Tester) -> None:
    """Stations, their locations, EVSEs and connectors: a statement each, and none for a total that nobody asked for."""
    for number in range(12):
        location = await a_location(acme)
        station = await a_station(acme, f"CP-{number}", location_id=location.id)
        for evse in (1, 2):
            await a_plug(acme, station.id, StationStatus.AVAILABLE, evse=evse)
    for first in (1, 12):
        with assert_statements(acme, 4):
            shown = await acme.gql(
                "query ($n: Int!) { stations(first: $n) { nodes { online lastSeenAt location { name } "
                "evses { number connectors { number status } } } } }",
                {"n": first},
            )
        nodes = shown["stations"]["nodes"]
        assert [len(node["evses"]) for node in nodes] == [2] * first
        assert all(evse["connectors"] == [{"number": 1, "status": "AVAILABLE"}] for n in nodes for evse in n["evses"])


async def test_an_update_changes_what_it_names(acme: Tester) -> None:
    location = await a_location(acme, "Depot")
    station = await a_station(acme, name="Gate", location_id=location.id)
    update = """
    mutation ($id: ID!, $input: UpdateStationInput!) {
      updateStation(id: $id, input: $input) { name location { name } registration }
    }
    """

    changed = await acme.gql(update, {"id": str(station.id), "input": {"name": None, "registration": "REJECTED"}})

    assert changed["updateStation"] == {"name": None, "location": {"name": "Depot"}, "registration": "REJECTED"}
    for wrong in ({"registration": None}, {"locationId": "nowhere"}):
        assert await acme.gql_errors(update, {"id": str(station.id), "input": wrong}) == ["INVALID"]


async def test_a_deleted_station_is_gone(acme: Tester) -> None:
    station = await a_station(acme, "CP-1")

    deleted = await acme.gql("mutation ($id: ID!) { deleteStation(id: $id) { identity } }", {"id": str(station.id)})

    assert deleted == {"deleteStation": {"identity": "CP-1"}}
    assert await listed(acme) == []


async def test_the_configuration_of_a_station_that_is_not_there_cannot_be_set(acme: Tester) -> None:
    station = await a_station(acme)
    configure = "mutation ($id: ID!, $c: JSON!) { updateStationConfig(stationId: $id, config: $c) { configuration } }"

    assert await acme.gql_errors(configure, {"id": str(station.id), "c": {"HeartbeatInterval": 300}}) == ["CONFLICT"]
    assert await acme.gql_errors(configure, {"id": str(station.id), "c": ["HeartbeatInterval"]}) == ["INVALID"]


async def test_whoever_watches_sees_a_plug_as_a_query_does(acme: Tester) -> None:
    station = await a_station(acme, "CP-1")
    await a_plug(acme, station.id, StationStatus.AVAILABLE)

    async def plug_in() -> None:
        await a_plug(acme, station.id, StationStatus.PREPARING, at=NOON + timedelta(seconds=1))
        await a_plug(acme, station.id, StationStatus.CHARGING, at=NOON + timedelta(seconds=2))

    seen = await assert_live(
        acme,
        (UPDATES, "stationStatusUpdates.station"),
        plug_in,
        (NOW, "stationByIdentity"),
        variables={"ids": [str(station.id)]},
        snapshot=2,
    )

    told = [item["stationStatusUpdates"] for item in seen]
    assert [(one["evseNumber"], one["connectorNumber"], one["status"], one["at"]) for one in told] == [
        (None, None, "AVAILABLE", "2026-03-01T12:00:00Z"),
        (1, 1, "AVAILABLE", "2026-03-01T12:00:00Z"),
        (1, 1, "PREPARING", "2026-03-01T12:00:01Z"),
        (1, 1, "CHARGING", "2026-03-01T12:00:02Z"),
    ]


async def test_going_on_and_off_line_is_told(acme: Tester) -> None:
    station = await a_station(acme, "CP-1")
    presence = acme.workplace.port(Presence)  # type: ignore[type-abstract]

    async def come_and_go() -> None:
        await presence.claim(acme.tenant_id, station.id, "process/1", 60)
        async with acme.work() as work:
            await stations.connected(work, station_ids=[station.id], ocpp_version="ocpp1.6")
        async with acme.work() as work:
            await stations.boot(work, station_id=station.id, vendor="Voltex")

    seen = await assert_live(
        acme,
        (UPDATES, "stationStatusUpdates.station"),
        come_and_go,
        (NOW, "stationByIdentity"),
        snapshot=1,
    )
    assert [item["stationStatusUpdates"]["station"]["online"] for item in seen] == [False, True, True]

    async def leave() -> None:
        await presence.release(acme.tenant_id, station.id, "process/1")
        async with acme.work() as work:
            await stations.disconnected(work, station_ids=[station.id])

    await assert_live(
        acme,
        (UPDATES, "stationStatusUpdates.station"),
        leave,
        (NOW, "stationByIdentity"),
        snapshot=1,
    )


async def test_only_the_stations_that_were_asked_for_are_told_of(acme: Tester) -> None:
    watched, other = await a_station(acme, "CP-1"), await a_station(acme, "CP-2")

    async with acme.subscribe(UPDATES, {"ids": [str(watched.id)]}) as items, asyncio.timeout(20):
        assert (await anext(items))["stationStatusUpdates"]["station"]["identity"] == "CP-1"
        await a_plug(acme, other.id, StationStatus.CHARGING)
        await a_plug(acme, watched.id, StationStatus.CHARGING)

        told = (await anext(items))["stationStatusUpdates"]

    assert (told["station"]["identity"], told["status"]) == ("CP-1", "CHARGING")


async def test_an_event_is_shown_with_what_is_true_when_it_arrives(acme: Tester) -> None:
    """Nothing that one event has read is shown with the next."""
    station = await a_station(acme, "CP-1")
    async with acme.subscribe(UPDATES) as items, asyncio.timeout(20):
        await anext(items)
        for number, status in enumerate((StationStatus.PREPARING, StationStatus.CHARGING, StationStatus.FINISHING)):
            await a_plug(acme, station.id, status, at=NOON + timedelta(seconds=number))
            told = (await anext(items))["stationStatusUpdates"]
            assert told["station"]["evses"][0]["connectors"][0]["status"] == told["status"] == status

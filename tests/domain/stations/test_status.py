"""What plugs, EVSEs and stations show, by what was said of them in whatever order."""

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import stations
from domain.actor import Role
from domain.errors import Forbidden, NotFound
from domain.events import Event
from domain.stations import StationStatus, whole
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# CONTRACT: the first of these that is present
ORDER = (
    *("CHARGING", "SUSPENDED_EV", "SUSPENDED_EVSE", "FINISHING", "PREPARING", "OCCUPIED", "RESERVED"),
    *("AVAILABLE", "UNAVAILABLE", "FAULTED", "UNKNOWN"),
)

statuses = st.sampled_from(StationStatus)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def expected(parts: list[StationStatus], own: StationStatus | None) -> StationStatus:
    """CONTRACT's sentence: connector 0's if FAULTED or UNAVAILABLE, else the first present."""
    if own in ("FAULTED", "UNAVAILABLE"):
        return own
    return next((StationStatus(name) for name in ORDER if name in parts), own or StationStatus.UNKNOWN)


async def report(
    tester: Tester,
    station_id: UUID,
    status: str,
    *,
    at: float,
    evse: int | None = 1,
    connector: int = 1,
    **more: Any,
) -> list[Event]:
    """One StatusNotification; the events that it is worth."""
    async with tester.work(role=Role.STATION) as work:
        await stations.report_status(
            work,
            station_id=station_id,
            evse_number=evse,
            connector_number=None if evse is None else connector,
            status=StationStatus(status),
            at=minute(at),
            **more,
        )
    return [envelope.event for envelope in work.emitted]


async def charging(tester: Tester, station_id: UUID, state: str | None, *, at: float, evse: int = 1) -> list[Event]:
    """One TransactionEvent's charging state."""
    async with tester.work(role=Role.STATION) as work:
        await stations.report_charging_state(
            work,
            station_id=station_id,
            evse_number=evse,
            state=None if state is None else StationStatus(state),
            at=minute(at),
        )
    return [envelope.event for envelope in work.emitted]


async def shown(tester: Tester, station_id: UUID) -> tuple[str, dict[int, str], dict[tuple[int, int], str]]:
    """The station's status, its EVSEs' and its connectors'."""
    async with tester.work(read_only=True) as work:
        station = await stations.by_id(work, station_id)
        evses = await stations.evses_of(work, [station_id])
        plugs = await stations.connectors_of(work, [evse.id for evse in evses])
    return (
        station.status.value,
        {evse.number: evse.status.value for evse in evses},
        {(plug.evse_number, plug.number): plug.status.value for plug in plugs},
    )


@given(parts=st.lists(statuses, max_size=8), own=st.none() | statuses)
def test_a_whole_shows_what_the_contract_says(parts: list[StationStatus], own: StationStatus | None) -> None:
    assert whole(parts, own) is expected(parts, own)


@given(
    parts=st.lists(statuses, min_size=1, max_size=5).flatmap(
        lambda parts: st.tuples(*[st.just(parts), st.permutations(parts)])
    )
)
def test_the_order_of_parts_does_not_matter(parts: tuple[list[StationStatus], list[StationStatus]]) -> None:
    assert whole(parts[0]) is whole(parts[1])


async def test_a_first_report_makes_the_evse_and_its_plug(acme: Tester) -> None:
    station = await a_station(acme)

    (event,) = await report(acme, station.id, "AVAILABLE", at=0, evse=2, connector=3)

    assert isinstance(event, stations.StationStatusChanged)
    assert (event.evse_number, event.connector_number, event.status, event.status_at) == (2, 3, "AVAILABLE", NOON)
    assert await shown(acme, station.id) == ("AVAILABLE", {2: "AVAILABLE"}, {(2, 3): "AVAILABLE"})


@pytest.mark.parametrize("own", ["FAULTED", "UNAVAILABLE"])
async def test_a_station_that_is_out_of_order_says_so_whatever_its_plugs_do(acme: Tester, own: str) -> None:
    station = await a_station(acme)
    await report(acme, station.id, "CHARGING", at=0)

    await report(acme, station.id, own, at=1, evse=None)
    assert (await shown(acme, station.id))[:2] == (own, {1: "CHARGING"})

    await report(acme, station.id, "AVAILABLE", at=2, evse=None)
    assert (await shown(acme, station.id))[0] == "CHARGING"


async def test_what_is_older_than_what_is_known_changes_nothing(acme: Tester) -> None:
    station = await a_station(acme)
    await report(acme, station.id, "CHARGING", at=10)
    await report(acme, station.id, "FAULTED", at=10, evse=None)

    assert await report(acme, station.id, "AVAILABLE", at=9) == []
    assert await report(acme, station.id, "AVAILABLE", at=9, evse=None) == []

    assert await shown(acme, station.id) == ("FAULTED", {1: "CHARGING"}, {(1, 1): "CHARGING"})


async def test_what_is_known_already_is_no_news(acme: Tester) -> None:
    station = await a_station(acme)
    await report(acme, station.id, "FAULTED", at=0, error_code="GroundFailure")

    assert await report(acme, station.id, "FAULTED", at=1, error_code="GroundFailure") == []
    assert len(await report(acme, station.id, "FAULTED", at=2, error_code="OverVoltage")) == 1


@pytest.mark.parametrize("seed", range(6))
async def test_reports_end_in_the_same_whatever_their_order(acme: Tester, seed: int) -> None:
    """As long as none repeats what its plug had said before: then only the first time of it is kept."""
    dice = random.Random(seed)
    station = await a_station(acme)
    told: list[tuple[int | None, StationStatus, int]] = []
    minutes = itertools.count()
    for evse in (None, 1, 2, 3):
        told += [(evse, status, next(minutes)) for status in dice.sample(list(StationStatus), k=4)]
    last = {evse: status for evse, status, _ in told}
    dice.shuffle(told)

    for evse, reported, at in told:
        await report(acme, station.id, reported, at=at, evse=evse)

    status, evses, _ = await shown(acme, station.id)
    own = last.pop(None)
    assert evses == last
    assert status == expected(list(last.values()), own)


async def test_concurrent_first_reports_are_all_heard(acme: Tester) -> None:
    station = await a_station(acme)

    async with asyncio.TaskGroup() as group:
        for evse, connector in itertools.product((1, 2, 3), (1, 2)):
            for _ in range(2):
                group.create_task(report(acme, station.id, "AVAILABLE", at=0, evse=evse, connector=connector))
        group.create_task(report(acme, station.id, "FAULTED", at=0, evse=None))

    status, evses, plugs = await shown(acme, station.id)
    assert status == "FAULTED"
    assert evses == dict.fromkeys((1, 2, 3), "AVAILABLE")
    assert plugs == dict.fromkeys(itertools.product((1, 2, 3), (1, 2)), "AVAILABLE")


async def test_occupied_shows_what_its_charge_is_doing(acme: Tester) -> None:
    """OCPP 2.x."""
    station = await a_station(acme)
    await report(acme, station.id, "OCCUPIED", at=0)
    seen = []
    for at, state in enumerate(("CHARGING", "SUSPENDED_EV", "SUSPENDED_EVSE", None), start=1):
        await charging(acme, station.id, state, at=at)
        seen.append((await shown(acme, station.id))[0])

    assert seen == ["CHARGING", "SUSPENDED_EV", "SUSPENDED_EVSE", "OCCUPIED"]


async def test_a_charge_is_shown_on_an_evse_that_has_told_of_no_plug(acme: Tester) -> None:
    """Some stations tell of their charges before they tell of their plugs, or never tell of them."""
    station = await a_station(acme)

    (event,) = await charging(acme, station.id, "CHARGING", at=0)

    assert isinstance(event, stations.StationStatusChanged)
    assert (event.evse_number, event.connector_number, event.status) == (1, None, "CHARGING")
    assert await shown(acme, station.id) == ("CHARGING", {1: "CHARGING"}, {})
    await report(acme, station.id, "OCCUPIED", at=0)
    assert await shown(acme, station.id) == ("CHARGING", {1: "CHARGING"}, {(1, 1): "CHARGING"})


async def test_a_state_of_charge_that_is_old_or_known_is_no_news(acme: Tester) -> None:
    station = await a_station(acme)
    await report(acme, station.id, "OCCUPIED", at=0)
    await charging(acme, station.id, "SUSPENDED_EV", at=5)

    assert await charging(acme, station.id, "CHARGING", at=4) == []
    assert await charging(acme, station.id, "SUSPENDED_EV", at=6) == []
    assert (await shown(acme, station.id))[0] == "SUSPENDED_EV"


async def test_a_plug_that_is_free_or_broken_shows_no_charge(acme: Tester) -> None:
    station = await a_station(acme)
    await charging(acme, station.id, "CHARGING", at=0)
    await report(acme, station.id, "FAULTED", at=1)
    assert (await shown(acme, station.id))[0] == "FAULTED"

    await report(acme, station.id, "AVAILABLE", at=2)
    assert (await shown(acme, station.id))[0] == "AVAILABLE"
    await report(acme, station.id, "OCCUPIED", at=3)
    assert (await shown(acme, station.id))[0] == "OCCUPIED"


async def test_only_equipment_reports(acme: Tester, rival: Tester) -> None:
    station = await a_station(acme)
    async with acme.work(role=Role.VIEWER) as work:
        with pytest.raises(Forbidden):
            await stations.report_status(
                work,
                station_id=station.id,
                evse_number=1,
                connector_number=1,
                status=StationStatus.FAULTED,
                at=NOON,
            )
    with pytest.raises(NotFound):
        await report(rival, station.id, "FAULTED", at=0)
    assert await shown(acme, station.id) == ("UNKNOWN", {}, {})

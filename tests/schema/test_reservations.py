from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import reservations
from domain.actor import Role
from domain.commands import Command
from domain.reservations import ReservationStatus
from tests.factories import a_station, a_token
from tests.live import assert_live
from tests.tester import Tester

pytestmark = pytest.mark.anyio

RESERVATION = (
    "id number station { identity } evseNumber connectorType token { uid } tokenUid expiresAt status "
    "session { id } createdAt updatedAt"
)
CREATE = f"""
mutation ($input: CreateReservationInput!) {{
  createReservation(input: $input) {{ id kind status reservation {{ {RESERVATION} }} }}
}}
"""
CANCEL = "mutation ($id: ID!) { cancelReservation(reservationId: $id) { kind status reservation { id status } } }"
LIST = f"query ($filter: ReservationFilter) {{ reservations(filter: $filter) {{ nodes {{ {RESERVATION} }} }} }}"
UPDATES = f"subscription ($stationId: ID) {{ reservationUpdates(stationId: $stationId) {{ {RESERVATION} }} }}"
NOW = f"query ($id: ID!) {{ reservation(id: $id) {{ {RESERVATION} }} }}"


async def a_reservation(tester: Tester, station_id: UUID | None = None, card: str = "CARD") -> Command:
    station_id = station_id or (await a_station(tester)).id
    await a_token(tester, card)
    async with tester.work() as work:
        until = work.now + timedelta(hours=1)
        return await reservations.request(work, station_id=station_id, token_uid=card, expires_at=until, evse_number=1)


async def became(tester: Tester, command: Command, status: ReservationStatus) -> None:
    async with tester.work(role=Role.STATION) as work:
        number = command.arguments["reservation_number"]
        await reservations.report_status(work, station_id=command.station_id, number=number, status=status)


async def test_a_place_is_kept_by_a_mutation_that_answers_command_and_reservation(acme: Tester) -> None:
    station = await a_station(acme, "CP-1")
    await a_token(acme, "CARD")
    wanted = {"stationId": str(station.id), "tokenUid": "card", "expiresAt": "2126-03-01T12:00:00Z", "evseNumber": 2}

    created = (await acme.gql(CREATE, {"input": wanted}))["createReservation"]

    kept = created["reservation"]
    assert (created["kind"], created["status"]) == ("RESERVE_NOW", "FAILED")  # nobody is there
    assert (kept["status"], kept["evseNumber"], kept["tokenUid"], kept["token"]) == (
        "FAILED",
        2,
        "CARD",
        {"uid": "CARD"},
    )
    assert (kept["station"], kept["expiresAt"]) == ({"identity": "CP-1"}, "2126-03-01T12:00:00Z")
    assert (await acme.gql(NOW, {"id": kept["id"]}))["reservation"] == kept
    assert await acme.gql_errors(CANCEL, {"id": kept["id"]}) == ["CONFLICT"]


async def test_a_place_is_let_go_at_its_own_station(acme: Tester) -> None:
    command = await a_reservation(acme)
    reservation_id = command.arguments["reservation_id"]
    elsewhere = await a_station(acme)
    order = {"cancelReservation": {"reservationId": reservation_id}}
    send = "mutation ($id: ID!, $c: StationCommand!) { sendCommand(stationId: $id, command: $c) { kind } }"

    assert await acme.gql_errors(send, {"id": str(elsewhere.id), "c": order}) == ["INVALID"]
    cancelled = (await acme.gql(CANCEL, {"id": reservation_id}))["cancelReservation"]
    assert (cancelled["kind"], cancelled["status"]) == ("CANCEL_RESERVATION", "FAILED")
    assert cancelled["reservation"] == {"id": reservation_id, "status": "REQUESTED"}


async def test_reservations_are_found_by_station_card_and_status(acme: Tester) -> None:
    first, second = await a_reservation(acme, card="A"), await a_reservation(acme, card="B")
    await became(acme, second, ReservationStatus.REMOVED)

    async def found(**filter: Any) -> list[str]:
        return [one["tokenUid"] for one in (await acme.gql(LIST, {"filter": filter}))["reservations"]["nodes"]]

    assert await found() == ["B", "A"]
    assert await found(stationId=str(first.station_id)) == ["A"]
    assert await found(tokenUid="b") == ["B"]
    assert await found(status=["REMOVED", "EXPIRED"]) == ["B"]


async def test_whoever_watches_sees_a_reservation_as_a_query_does(acme: Tester) -> None:
    command = await a_reservation(acme)
    await a_reservation(acme, card="OTHER")
    ids = {"stationId": str(command.station_id), "id": command.arguments["reservation_id"]}

    async def let_go() -> None:
        await became(acme, command, ReservationStatus.REMOVED)

    seen = await assert_live(
        acme, (UPDATES, "reservationUpdates"), let_go, (NOW, "reservation"), variables=ids, snapshot=1
    )
    assert [one["reservationUpdates"]["status"] for one in seen] == ["REQUESTED", "REMOVED"]


async def test_what_is_asked_for_later_is_told_and_what_is_over_is_not_shown_first(acme: Tester) -> None:
    over = await a_reservation(acme, card="OVER")
    await became(acme, over, ReservationStatus.REMOVED)
    kept = await a_reservation(acme, card="KEPT")
    async with acme.subscribe(UPDATES) as items:
        assert (await anext(items))["reservationUpdates"]["tokenUid"] == "KEPT"
        await a_reservation(acme, kept.station_id, card="LATER")
        assert (await anext(items))["reservationUpdates"]["tokenUid"] == "LATER"

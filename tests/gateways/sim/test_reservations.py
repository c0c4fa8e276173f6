"""Places that a station keeps for cards."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ocpp.v16 import call as call_v16
from ocpp.v201 import call as call_v201

from gateways.sim import run_stations
from tests.factories import a_token
from tests.gateways.ocpp.boxes import Site
from tests.gateways.sim.conftest import Simulate
from tests.gateways.sim.csms import GUARD_S, Csms
from tests.gateways.sim.test_commands import CALM, DUO, events, statuses
from voltgraph.settings import Settings

pytestmark = pytest.mark.anyio

YEARS = "2126-01-01T00:00:00Z"
RESERVE = """
mutation ($input: CreateReservationInput!) { createReservation(input: $input) { status reservation { id status } } }
"""


def soon() -> str:
    return (datetime.now(UTC) + timedelta(seconds=3)).isoformat().replace("+00:00", "Z")


async def reserved_16(csms: Csms, number: int, *, outlet: int = 2, uid: str = "CARD", until: str = YEARS) -> str:
    asked = call_v16.ReserveNow(connector_id=outlet, expiry_date=until, id_tag=uid, reservation_id=number)
    return str((await csms.ask(DUO, asked)).status)


async def reserved_201(csms: Csms, number: int, *, until: str = YEARS, **where: Any) -> str:
    card: Any = {"id_token": "CARD", "type": "ISO14443"}
    asked = call_v201.ReserveNow(id=number, expiry_date_time=until, id_token=card, **where)
    return str((await csms.ask(DUO, asked)).status)


async def test_a_1_6_station_keeps_a_place_for_one_card_until_it_comes(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", **CALM):
        await csms.until(lambda: "Available" in statuses(csms, 2))
        assert await reserved_16(csms, 7) == "Accepted"
        await csms.until(lambda: statuses(csms, 2)[-1] == "Reserved")
        assert await reserved_16(csms, 8) == "Occupied"
        assert await reserved_16(csms, 9, outlet=3) == "Rejected"
        other = await csms.ask(DUO, call_v16.RemoteStartTransaction(id_tag="OTHER", connector_id=2))
        own = await csms.ask(DUO, call_v16.RemoteStartTransaction(id_tag="card", connector_id=2))
        await csms.until(lambda: any(one["connectorId"] == 2 for one in csms.calls("StartTransaction")))

    assert [other.status, own.status] == ["Rejected", "Accepted"]
    start = next(one for one in csms.calls("StartTransaction") if one["connectorId"] == 2)
    assert start["reservationId"] == 7


async def test_a_place_is_let_go_when_it_is_cancelled_or_its_time_is_over(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", **CALM):
        await csms.until(lambda: "Available" in statuses(csms, 2))
        assert await reserved_16(csms, 7) == "Accepted"
        assert (await csms.ask(DUO, call_v16.CancelReservation(reservation_id=6))).status == "Rejected"
        assert (await csms.ask(DUO, call_v16.CancelReservation(reservation_id=7))).status == "Accepted"
        await csms.until(lambda: statuses(csms, 2)[-2:] == ["Reserved", "Available"])
        assert await reserved_16(csms, 8, until="2001-01-01T00:00:00Z") == "Rejected"
        assert await reserved_16(csms, 9, until=soon()) == "Accepted"
        await csms.until(lambda: statuses(csms, 2)[-4:] == ["Reserved", "Available"] * 2)


async def test_a_2_0_1_station_tells_why_it_lets_a_place_go(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", first=3, speed=0.1):
        await csms.until(lambda: "Available" in statuses(csms, 2))
        assert await reserved_201(csms, 1, evse_id=1) == "Accepted"
        assert await reserved_201(csms, 2) == "Accepted", "at the other"
        assert await reserved_201(csms, 3) == "Occupied"
        await csms.until(lambda: [statuses(csms, number)[-1] for number in (1, 2)] == ["Reserved"] * 2)
        assert await reserved_201(csms, 2, evse_id=2, until=soon()) == "Accepted", "in its own place"
        assert await reserved_201(csms, 4, connector_type="wInductive") == "Rejected"
        await csms.until(lambda: csms.calls("ReservationStatusUpdate"))
        await csms.ask(DUO, call_v201.ChangeAvailability(operational_status="Inoperative"))
        await csms.until(lambda: len(csms.calls("ReservationStatusUpdate")) == 2)

    assert csms.calls("ReservationStatusUpdate") == [
        {"reservationId": 2, "reservationUpdateStatus": "Expired"},
        {"reservationId": 1, "reservationUpdateStatus": "Removed"},
    ]


async def test_a_charge_of_2_0_1_names_the_reservation_that_it_uses(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", **CALM):
        await csms.until(lambda: "Available" in statuses(csms, 2))
        assert await reserved_201(csms, 7, evse_id=2) == "Accepted"
        token: Any = {"id_token": "CARD", "type": "ISO14443"}
        await csms.ask(DUO, call_v201.RequestStartTransaction(id_token=token, remote_start_id=1))
        await csms.until(lambda: any(one.get("reservationId") == 7 for one in events(csms, "Started")))


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_reservation_goes_from_our_house_to_a_station_and_back(settings: Settings, version: str) -> None:
    async with Site.running(settings) as site:
        acme, stop = site.tester, asyncio.Event()
        for uid in ("DEMO", "CARD"):
            await a_token(acme, uid)
        url = f"ws://127.0.0.1:{site.port}/ocpp/{acme.slug}"
        running = run_stations(url=url, count=1, version=version, first=3, speed=0.5, seed=7, stop=stop)
        fleet = asyncio.create_task(running)
        try:
            second = "id evses { number status }"
            async with asyncio.timeout(GUARD_S):
                while not (await acme.gql("{ stations { totalCount } }"))["stations"]["totalCount"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            shown = await site.until(second, lambda one: _status(one) == "AVAILABLE", identity=DUO)
            wanted = {"stationId": shown["id"], "tokenUid": "CARD", "evseNumber": 2, "expiresAt": YEARS}
            made = (await acme.gql(RESERVE, {"input": wanted}))["createReservation"]
            assert (made["status"], made["reservation"]["status"]) == ("ACCEPTED", "ACCEPTED")
            await site.until(second, lambda one: _status(one) == "RESERVED", identity=DUO)
            order = '{remoteStart: {tokenUid: "CARD", evseNumber: 2}}'
            assert (await site.send(order, identity=DUO))["status"] == "ACCEPTED"
            query = f'{{ reservation(id: "{made["reservation"]["id"]}") {{ status session {{ tokenUid }} }} }}'
            async with asyncio.timeout(GUARD_S):
                while (used := (await acme.gql(query))["reservation"])["status"] != "USED":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        finally:
            stop.set()
            await fleet
    assert used["session"] == {"tokenUid": "CARD"}


def _status(station: Any) -> str | None:
    return next((str(evse["status"]) for evse in station["evses"] if evse["number"] == 2), None)

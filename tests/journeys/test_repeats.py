"""What real chargers do: they repeat themselves, come back with old news, and name transactions that nobody knows."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from tests.journeys.chargers import Bare, hung_up, now, written
from tests.journeys.clients import Operator

pytestmark = pytest.mark.anyio

LISTED = """
query ($i: String!) { sessions(filter: { stationIdentity: $i }) { nodes {
  id transactionId status startedAt endedAt energyWh meterStartWh meterStopWh offline inferred stopReason
} } }
"""
UPDATES = "subscription ($s: ID) { sessionUpdates(stationId: $s) { kind session { id status energyWh } } }"
HISTORY = """
query ($p: [String!]!, $from: DateTime!, $to: DateTime!) { history(points: $p, from: $from, to: $to) {
  series { values }
} }
"""


async def sessions(operator: Operator, identity: str) -> list[Any]:
    """The last started first."""
    return list((await operator.ask(LISTED, i=identity))["nodes"])


def a_start(uid: str, *, at: datetime, wh: int = 1_000, connector: int = 1) -> dict[str, Any]:
    return {"connectorId": connector, "idTag": uid, "meterStart": wh, "timestamp": written(at)}


def a_stop(transaction_id: int, *, at: datetime, wh: int, **more: Any) -> dict[str, Any]:
    return {"transactionId": transaction_id, "meterStop": wh, "timestamp": written(at), **more}


def metered(transaction_id: int, *, at: datetime, wh: int) -> dict[str, Any]:
    entry = {"timestamp": written(at), "sampledValue": [{"value": str(wh)}]}
    return {"connectorId": 1, "transactionId": transaction_id, "meterValue": [entry]}


def an_event(kind: str, transaction_id: str, *, at: datetime, seq: int, wh: int) -> dict[str, Any]:
    value = {"value": wh, "measurand": "Energy.Active.Import.Register"}
    return {
        "eventType": kind,
        "timestamp": written(at),
        "triggerReason": "CablePluggedIn",
        "seqNo": seq,
        "transactionInfo": {"transactionId": transaction_id},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": written(at), "sampledValue": [value]}],
    }


async def test_a_repeated_start_gets_the_same_transaction(base: str, operator: Operator, identity: str) -> None:
    """With the same message id, with a new one, and after a reconnect."""
    start = a_start(await operator.token(), at=now())

    async with Bare.connected(base, identity) as charger:
        first = await charger.call("StartTransaction", start, id="m-1")
        again = await charger.call("StartTransaction", start, id="m-1")
        anew = await charger.call("StartTransaction", start, id="m-2")
        charger.drop()
    async with Bare.connected(base, identity) as charger:
        later = await charger.call("StartTransaction", start, id="m-3")

    assert first["idTagInfo"]["status"] == "Accepted"
    assert first["transactionId"] > 0
    assert first == again == anew == later
    assert len(await sessions(operator, identity)) == 1


async def test_a_repeated_stop_counts_once(base: str, operator: Operator, identity: str) -> None:
    began = now() - timedelta(seconds=10)
    async with Bare.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        async with operator.watching(UPDATES, s=station_id) as updates:
            start = await charger.call("StartTransaction", a_start(await operator.token(), at=began))
            await updates.next()  # that it has begun, or, to who came late, that it goes on
            stop = a_stop(start["transactionId"], at=now(), wh=1_700)
            for message_id in ("s-1", "s-1", "s-2"):
                await charger.call("StopTransaction", stop, id=message_id)
            # stations exist that repeat their stop with a later time and another register
            late = a_stop(start["transactionId"], at=now() + timedelta(seconds=5), wh=9_999)
            await charger.call("StopTransaction", late)
            await charger.call("StartTransaction", a_start(await operator.token(), at=now()))
            await updates.until(lambda told: told["kind"] == "STARTED" and updates.seen[-2]["kind"] == "STOPPED")

    kinds = [told["kind"] for told in updates.seen]
    assert kinds[-2:] == ["STOPPED", "STARTED"]
    assert kinds.count("STOPPED") == 1
    _, session = await sessions(operator, identity)
    assert (session["status"], session["energyWh"], session["meterStopWh"]) == ("COMPLETED", 700, 1_700)


async def test_what_was_done_offline_is_told_after_a_reconnect(base: str, operator: Operator, identity: str) -> None:
    """A month ago, as far as the station knows."""
    uid, began = await operator.token(), now() - timedelta(days=33)
    async with Bare.connected(base, identity) as charger:
        await charger.call("BootNotification", {"chargePointVendor": "Voltex", "chargePointModel": "One"})
        charger.drop()

    async with Bare.connected(base, identity) as charger:
        started = await charger.call("StartTransaction", a_start(uid, at=began))
        for hour in (1, 2):
            at = began + timedelta(hours=hour)
            await charger.call("MeterValues", metered(started["transactionId"], at=at, wh=1_000 + 5_000 * hour))
        await charger.call(
            "StopTransaction", a_stop(started["transactionId"], at=began + timedelta(hours=3), wh=13_000)
        )
        current = await charger.call("StartTransaction", a_start(uid, at=now(), wh=13_000))

    running, session = await sessions(operator, identity)
    assert (running["transactionId"], running["status"]) == (str(current["transactionId"]), "ACTIVE")
    assert (running["offline"], session["offline"], session["inferred"]) == (False, True, False)
    assert (session["status"], session["energyWh"]) == ("COMPLETED", 12_000)
    assert datetime.fromisoformat(session["startedAt"]) == began
    assert datetime.fromisoformat(session["endedAt"]) == began + timedelta(hours=3)
    history = await operator.ask(
        HISTORY,
        p=[f"station/{identity}/1/Energy.Active.Import.Register"],
        **{"from": written(began), "to": written(began + timedelta(hours=3))},
    )
    assert history["series"] == [{"values": [6_000, 11_000]}]


@pytest.mark.parametrize("transaction_id", [-1, 0, 2_000_000_000])
async def test_a_stop_that_nobody_knows_is_taken_and_makes_no_session(
    transaction_id: int, base: str, operator: Operator, identity: str
) -> None:
    async with Bare.connected(base, identity) as charger:
        stopped = await charger.call("StopTransaction", a_stop(transaction_id, at=now(), wh=5, idTag="NOBODY"))
        assert stopped == {"idTagInfo": {"status": "Invalid"}}
        assert await charger.call("StopTransaction", a_stop(transaction_id, at=now(), wh=5)) == {}
        assert await charger.call("MeterValues", metered(transaction_id, at=now(), wh=5)) == {}

    assert await sessions(operator, identity) == []


async def test_a_stop_without_a_number_ends_the_charge_that_it_fits(
    base: str, operator: Operator, identity: str
) -> None:
    uid = await operator.token()
    async with Bare.connected(base, identity) as charger:
        await charger.call("StartTransaction", a_start(uid, at=now() - timedelta(minutes=1)))
        assert "idTagInfo" in await charger.call("StopTransaction", a_stop(-1, at=now(), wh=1_400, idTag=uid))

    (session,) = await sessions(operator, identity)
    assert (session["status"], session["energyWh"]) == ("COMPLETED", 400)


async def test_a_new_charge_ends_the_forgotten_one_before_it(base: str, operator: Operator, identity: str) -> None:
    uid, began = await operator.token(), now() - timedelta(minutes=10)
    async with Bare.connected(base, identity) as charger:
        first = await charger.call("StartTransaction", a_start(uid, at=began))
        await charger.call("MeterValues", metered(first["transactionId"], at=began + timedelta(minutes=1), wh=1_300))
        second = await charger.call("StartTransaction", a_start(uid, at=now(), wh=1_300))

    running, forgotten = await sessions(operator, identity)
    assert running["transactionId"] == str(second["transactionId"])
    assert (forgotten["status"], forgotten["inferred"], forgotten["energyWh"]) == ("INTERRUPTED", True, 300)


async def test_events_of_a_transaction_are_understood_in_any_order_and_number(
    base: str, operator: Operator, identity: str
) -> None:
    began, transaction_id = now() - timedelta(minutes=5), str(uuid4())
    told = [
        an_event("Started", transaction_id, at=began, seq=0, wh=1_000),
        an_event("Updated", transaction_id, at=began + timedelta(minutes=1), seq=1, wh=1_500),
        an_event("Ended", transaction_id, at=began + timedelta(minutes=2), seq=2, wh=2_000),
    ]
    async with Bare.connected(base, identity, "ocpp2.0.1") as charger:
        for event in [told[2], told[1], told[1], told[0], told[2]]:
            assert await charger.call("TransactionEvent", event) == {}

    (session,) = await sessions(operator, identity)
    assert (session["status"], session["energyWh"], session["inferred"]) == ("COMPLETED", 1_000, False)
    assert datetime.fromisoformat(session["startedAt"]) == began


async def test_two_sockets_that_tell_the_same_make_one_session(base: str, operator: Operator, identity: str) -> None:
    """The older one is replaced; what the server had read of it by then is dealt with first."""
    start = a_start(await operator.token(), at=now())
    async with Bare.connected(base, identity) as older:
        await older.call("Heartbeat", {})
        await older.say([2, "m-1", "StartTransaction", start])
        async with Bare.connected(base, identity) as newer:
            answer = await newer.call("StartTransaction", start, id="m-2")
            with suppress(ConnectionClosed):
                assert await older.heard() == [3, "m-1", answer]
            assert await hung_up(older.connection) == 1000

    assert len(await sessions(operator, identity)) == 1


async def test_many_new_stations_that_tell_of_their_plugs_at_once_are_all_heard(
    base: str, operator: Operator, identity: str
) -> None:
    """First reports meet in the unique keys of stations, EVSEs and connectors."""

    async def reports(number: int) -> None:
        async with Bare.connected(base, f"{identity}-{number}") as charger:
            for connector in (0, 1, 2):
                status = {"connectorId": connector, "errorCode": "NoError", "status": "Available"}
                assert await charger.call("StatusNotification", status) == {}

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(reports(number))

    found = await operator.ask(
        "query ($t: String!) { stations(filter: { text: $t }) { nodes { status evses { number status } } } }",
        t=identity,
    )
    evses = [{"number": 1, "status": "AVAILABLE"}, {"number": 2, "status": "AVAILABLE"}]
    assert found["nodes"] == [{"status": "AVAILABLE", "evses": evses}] * 20

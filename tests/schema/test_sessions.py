import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import commands, sessions
from domain.commands import CommandStatus, Outcome
from tests.factories import a_station, a_token
from tests.live import assert_live
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHARGE = (
    "id transactionId station { id identity } evseNumber connectorNumber token { uid } tokenUid status startedAt "
    "endedAt meterStartWh meterStopWh energyWh powerW socPercent stopReason inferred offline"
)
UPDATES = f"""
subscription ($sessionId: ID, $stationId: ID) {{
  sessionUpdates(sessionId: $sessionId, stationId: $stationId) {{ kind session {{ {CHARGE} }} }}
}}
"""
NOW = f"query ($sessionId: ID!) {{ session(id: $sessionId) {{ {CHARGE} }} }}"


class Charger:
    """A station that charges, as the domain hears of it."""

    def __init__(self, tester: Tester, station_id: UUID) -> None:
        self.tester = tester
        self.station_id = station_id
        self.transaction_id = ""

    async def start(self, card: str = "CARD", *, evse: int = 1, at: datetime = NOON) -> sessions.Session:
        async with self.tester.work() as work:
            started = await sessions.start(
                work,
                station_id=self.station_id,
                evse_number=evse,
                connector_number=1,
                token_uid=card,
                at=at,
                meter_wh=1_000.0,
            )
        self.transaction_id = started.session.transaction_id
        return started.session

    async def meter(self, minutes: int, wh: float, power_w: float = 7_000.0) -> None:
        sample = sessions.Sample(
            at=NOON + timedelta(minutes=minutes), register_wh=wh, power_w=power_w, soc_percent=50.0
        )
        async with self.tester.work() as work:
            await sessions.meter(work, station_id=self.station_id, samples=[sample], transaction_id=self.transaction_id)

    async def suspend(self, minutes: int) -> None:
        async with self.tester.work() as work:
            await sessions.suspend(
                work, station_id=self.station_id, evse_number=1, at=NOON + timedelta(minutes=minutes)
            )

    async def resume(self, minutes: int) -> None:
        async with self.tester.work() as work:
            await sessions.resume(work, station_id=self.station_id, evse_number=1, at=NOON + timedelta(minutes=minutes))

    async def stop(self, minutes: int, wh: float) -> None:
        async with self.tester.work() as work:
            await sessions.stop(
                work,
                station_id=self.station_id,
                transaction_id=self.transaction_id,
                at=NOON + timedelta(minutes=minutes),
                meter_wh=wh,
                reason="EVDisconnected",
            )


async def a_charger(tester: Tester, identity: str | None = None) -> Charger:
    return Charger(tester, (await a_station(tester, identity)).id)


async def test_a_charge_shows_what_the_station_told_of_it(acme: Tester) -> None:
    acme.clock.now = NOON
    await a_token(acme, "CARD")
    charger = await a_charger(acme, "CP-1")
    session = await charger.start()
    await charger.meter(10, 2_000.0)
    await charger.stop(20, 3_500.0)

    shown = (await acme.gql(NOW, {"sessionId": str(session.id)}))["session"]

    assert shown == {
        "id": str(session.id),
        "transactionId": charger.transaction_id,
        "station": {"id": str(charger.station_id), "identity": "CP-1"},
        "evseNumber": 1,
        "connectorNumber": 1,
        "token": {"uid": "CARD"},
        "tokenUid": "CARD",
        "status": "COMPLETED",
        "startedAt": "2026-03-01T12:00:00Z",
        "endedAt": "2026-03-01T12:20:00Z",
        "meterStartWh": 1000.0,
        "meterStopWh": 3500.0,
        "energyWh": 2500.0,
        "powerW": None,
        "socPercent": 50.0,
        "stopReason": "EVDisconnected",
        "inferred": False,
        "offline": False,
    }


async def test_an_unknown_token_is_shown_without_a_token(acme: Tester) -> None:
    session = await (await a_charger(acme)).start("STRANGER")

    shown = (await acme.gql(NOW, {"sessionId": str(session.id)}))["session"]

    assert (shown["token"], shown["tokenUid"]) == (None, "STRANGER")


async def test_charges_are_listed_by_what_is_wanted(acme: Tester) -> None:
    acme.clock.now = NOON
    here, there = await a_charger(acme, "CP-1"), await a_charger(acme, "CP-2")
    first = await here.start("CARD")
    await here.stop(5, 2_000.0)
    second = await there.start("OTHER", at=NOON + timedelta(hours=1))

    async def listed(**filter: Any) -> list[str]:
        query = "query ($f: SessionFilter) { sessions(filter: $f) { totalCount nodes { id } } }"
        return [node["id"] for node in (await acme.gql(query, {"f": filter}))["sessions"]["nodes"]]

    assert await listed() == [str(second.id), str(first.id)]
    assert await listed(stationId=str(here.station_id)) == [str(first.id)]
    assert await listed(stationIdentity="CP-2") == [str(second.id)]
    assert await listed(tokenUid="card") == [str(first.id)]
    assert await listed(status="COMPLETED") == [str(first.id)]
    assert await listed(**{"from": "2026-03-01T13:00:00Z"}) == [str(second.id)]
    assert await listed(to="2026-03-01T14:00:00+01:00") == [str(first.id)]


async def test_a_running_charge_shows_energy_power_and_state_of_charge_as_they_are_told(acme: Tester) -> None:
    acme.clock.now = NOON
    charger = await a_charger(acme)
    session = await charger.start()

    async with acme.subscribe(UPDATES, {"sessionId": str(session.id)}) as items, asyncio.timeout(20):
        seen = [await anext(items)]
        for minutes in (1, 2):
            await charger.meter(minutes, 1_000.0 + 250 * minutes, power_w=7_000.0 + minutes)
            seen.append(await anext(items))

    told = [item["sessionUpdates"] for item in seen]
    assert [
        (one["kind"], *(one["session"][name] for name in ("energyWh", "powerW", "socPercent"))) for one in told
    ] == [
        ("SNAPSHOT", 0.0, None, None),
        ("METERED", 250.0, 7_001.0, 50.0),
        ("METERED", 500.0, 7_002.0, 50.0),
    ]


async def test_whoever_watches_sees_a_charge_as_a_query_does(acme: Tester) -> None:
    acme.clock.now = NOON
    charger = await a_charger(acme)
    session = await charger.start()

    async def charge() -> None:
        await charger.meter(1, 1_100.0)
        await charger.suspend(2)
        await charger.resume(3)
        await charger.stop(4, 1_400.0)

    seen = await assert_live(
        acme,
        (UPDATES, "sessionUpdates.session"),
        charge,
        (NOW, "session"),
        variables={"sessionId": str(session.id)},
        snapshot=1,
    )

    kinds = [item["sessionUpdates"]["kind"] for item in seen]
    assert (kinds[0], kinds[-1]) == ("SNAPSHOT", "STOPPED")
    assert set(kinds) == {"SNAPSHOT", "METERED", "SUSPENDED", "RESUMED", "STOPPED"}


async def test_a_charge_that_begins_is_told_where_nothing_was_going_on(acme: Tester) -> None:
    charger = await a_charger(acme)

    async with acme.subscribe(UPDATES) as items, asyncio.timeout(20):
        waiting = asyncio.ensure_future(anext(items))
        session = await charger.start()
        told = (await waiting)["sessionUpdates"]

    assert told["session"]["id"] == str(session.id)
    assert told["kind"] in ("STARTED", "SNAPSHOT")


async def test_only_the_station_that_was_asked_for_is_told_of(acme: Tester) -> None:
    here, there = await a_charger(acme, "CP-1"), await a_charger(acme, "CP-2")
    await here.start()

    async with acme.subscribe(UPDATES, {"stationId": str(here.station_id)}) as items, asyncio.timeout(20):
        assert (await anext(items))["sessionUpdates"]["kind"] == "SNAPSHOT"
        await there.start()
        await here.stop(5, 2_000.0)
        told = (await anext(items))["sessionUpdates"]

    assert (told["kind"], told["session"]["station"]["identity"]) == ("STOPPED", "CP-1")


async def test_a_charge_at_another_station_is_none_of_this_one(acme: Tester) -> None:
    here, there = await a_charger(acme), await a_charger(acme)
    elsewhere, session = await there.start(), await here.start(evse=2)
    both = {"sessionId": str(elsewhere.id), "stationId": str(here.station_id)}

    async with acme.subscribe(UPDATES, both) as items:
        waiting = asyncio.ensure_future(anext(items))
        await there.stop(5, 2_000.0)
        await here.stop(5, 2_000.0)
        done, _ = await asyncio.wait({waiting}, timeout=1)
        waiting.cancel()
        await asyncio.wait({waiting})

    assert not done
    assert session.station_id == here.station_id


async def test_the_order_to_a_station_that_is_not_there_fails_and_is_kept(acme: Tester) -> None:
    await a_token(acme, "CARD")
    charger = await a_charger(acme, "CP-1")
    start = """
    mutation ($input: StartSessionInput!) { startSession(input: $input) {
      kind status error completedAt station { identity } session { id }
    } }
    """

    ordered = await acme.gql(
        start, {"input": {"stationId": str(charger.station_id), "tokenUid": "card", "evseNumber": 1}}
    )

    assert ordered["startSession"].pop("completedAt")
    assert ordered["startSession"].pop("error")
    assert ordered["startSession"] == {
        "kind": "REMOTE_START",
        "status": "FAILED",
        "station": {"identity": "CP-1"},
        "session": None,
    }


async def test_an_order_leads_to_its_charge(acme: Tester) -> None:
    await a_token(acme, "CARD")
    charger = await a_charger(acme)
    async with acme.work() as work:
        ordered = await sessions.request_start(work, station_id=charger.station_id, token_uid="CARD", evse_number=1)
    async with acme.work() as work:
        await commands.complete(
            work, command_id=ordered.id, outcome=Outcome(status=CommandStatus.ACCEPTED, result=None, error=None)
        )
    async with acme.work() as work:
        now = work.now
    session = await charger.start("CARD", at=now)

    stop = "mutation ($id: ID!) { stopSession(sessionId: $id) { kind session { id command: transactionId } } }"
    stopped = (await acme.gql(stop, {"id": str(session.id)}))["stopSession"]

    assert session.command_id == ordered.id
    assert (stopped["kind"], stopped["session"]["id"]) == ("REMOTE_STOP", str(session.id))
    updates = "subscription ($id: ID!) { commandUpdates(commandId: $id) { status session { id } } }"
    async with acme.subscribe(updates, {"id": str(ordered.id)}) as items, asyncio.timeout(20):
        assert (await anext(items))["commandUpdates"] == {"status": "ACCEPTED", "session": {"id": str(session.id)}}


async def test_a_charge_that_is_over_cannot_be_stopped(acme: Tester) -> None:
    charger = await a_charger(acme)
    session = await charger.start()
    await charger.stop(5, 2_000.0)

    stop = "mutation ($id: ID!) { stopSession(sessionId: $id) { id } }"

    assert await acme.gql_errors(stop, {"id": str(session.id)}) == ["CONFLICT"]


ORPHAN = "id kind station { identity } transactionId tokenUid at meterWh reason session { id status } settledBy"


async def test_what_belongs_to_no_charge_is_listed_and_settled(acme: Tester) -> None:
    charger = await a_charger(acme, "CP-1")
    session = await charger.start()
    charger.transaction_id = "999999999"
    async with acme.work() as work:
        for token_uid in ("A", "B"):
            await sessions.stop(
                work,
                station_id=charger.station_id,
                transaction_id=charger.transaction_id,
                at=NOON + timedelta(minutes=20),
                meter_wh=3_500.0,
                token_uid=token_uid,
                reason="Local",
            )

    query = f"query ($f: SessionOrphanFilter) {{ sessionOrphans(filter: $f) {{ totalCount nodes {{ {ORPHAN} }} }} }}"
    listed = await acme.gql(query, {"f": {"kind": "STOP", "tokenUid": "a"}})
    (orphan,) = listed["sessionOrphans"]["nodes"]
    assert orphan == {
        "id": orphan["id"],
        "kind": "STOP",
        "station": {"identity": "CP-1"},
        "transactionId": "999999999",
        "tokenUid": "A",
        "at": "2026-03-01T12:20:00Z",
        "meterWh": 3500.0,
        "reason": "Local",
        "session": None,
        "settledBy": None,
    }
    (other,) = (await acme.gql(query, {"f": {"tokenUid": "B"}}))["sessionOrphans"]["nodes"]

    assign = f"mutation ($o: ID!, $s: ID!) {{ assignSessionOrphan(orphanId: $o, sessionId: $s) {{ {ORPHAN} }} }}"
    assigned = await acme.gql(assign, {"o": orphan["id"], "s": str(session.id)})
    assert assigned["assignSessionOrphan"]["session"] == {"id": str(session.id), "status": "COMPLETED"}
    dismiss = f"mutation ($o: ID!) {{ dismissSessionOrphan(orphanId: $o) {{ {ORPHAN} }} }}"
    assert (await acme.gql(dismiss, {"o": other["id"]}))["dismissSessionOrphan"]["settledBy"] == acme.slug
    assert await acme.gql_errors(dismiss, {"o": other["id"]}) == ["CONFLICT"]
    assert (await acme.gql(query))["sessionOrphans"]["totalCount"] == 0


async def test_signed_values_of_charges_are_found_with_them(acme: Tester) -> None:
    charger = await a_charger(acme)
    started = await charger.start()
    charger.transaction_id = started.transaction_id
    contexts = {0: "Transaction.Begin", 250: "Transaction.End"}
    signed = [
        sessions.Signed(
            at=NOON + timedelta(minutes=minutes),
            context=contexts.get(minutes, "Sample.Periodic"),
            measurand="Energy.Active.Import.Register",
            phase=None,
            location=None,
            format="OCMF",
            value=f"OCMF|{minutes}",
        )
        for minutes in range(251)
    ]
    async with acme.work() as work:
        await sessions.meter(
            work,
            station_id=charger.station_id,
            samples=[sessions.Sample(at=NOON)],
            transaction_id=charger.transaction_id,
            signed=signed,
        )
    shown_fields = "missingMessages incomplete cost { amount } signedMeterValues { context format value }"
    query = f"{{ sessions {{ nodes {{ {shown_fields} }} }} }}"
    (shown,) = (await acme.gql(query))["sessions"]["nodes"]
    values = shown.pop("signedMeterValues")
    assert shown == {"missingMessages": 0, "incomplete": False, "cost": None}
    assert len(values) == sessions.SIGNED_MAX
    assert values[0] == {"context": "Transaction.Begin", "format": "OCMF", "value": "OCMF|0"}
    assert values[-1] == {"context": "Transaction.End", "format": "OCMF", "value": "OCMF|250"}

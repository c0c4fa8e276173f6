"""Whatever goes wrong between a station and us, every charge is one session with its energy, and no frame is refused.

The days are made by `days.py`; here they are told, frame by frame, to what stands behind a socket. `CHARGING_DAYS` sets
how many days each version lives through.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from domain import sessions, stations
from domain.actor import Actor, Role
from domain.errors import Unavailable
from domain.page import PageRequest
from domain.sessions import EvseVacated, Session, SessionOrphan, SessionStatus
from domain.stations import StationBooted
from gateways.ocpp import Admission, Limits, Version, v16, v21, v201
from gateways.ocpp.answering import Answering, Received
from gateways.ocpp.deviations import DeviationLog
from gateways.ocpp.frames import CallFrame, parse
from gateways.ocpp.journal import Journal
from gateways.ocpp.link import Line
from gateways.ocpp.memory import ProcessMemory
from tests.factories import a_station
from tests.gateways.ocpp.days import DAY, Charge, Day, Ending, Message, days
from tests.gateways.ocpp.translating import CalledBack
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
UNSET = datetime(1970, 1, 1, tzinfo=UTC)

# A failing day is told as it was found: to make it smaller takes longer than a test may.
on_any_day = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=int(os.environ.get("CHARGING_DAYS", "10")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Site:
    """A station with a new socket now and then, and what it knows: the numbers of its transactions in 1.6."""

    def __init__(self, tester: Tester, version: Version, station: stations.Station, day: Day) -> None:
        self.tester, self.version, self.station, self.day = tester, version, station, day
        self.numbers: dict[int, int] = {}
        self._memory, self._deviations = ProcessMemory(), DeviationLog()
        self._sockets = [self._socket(), self._socket()]

    def _socket(self) -> Answering:
        tenant_id, station = self.tester.tenant_id, self.station
        actor = Actor(tenant_id=tenant_id, role=Role.STATION, name=station.identity, id=station.id)
        return Answering(
            line=cast("Line", CalledBack()),
            identity=station.identity,
            admission=Admission(actor=actor, tenant_id=tenant_id, station_id=station.id),
            version=self.version,
            handlers={Version.V16: v16, Version.V201: v201, Version.V21: v21}[self.version].HANDLERS,
            workplace=self.tester.workplace,
            limits=Limits(),
            answers=self._memory,
            deviations=self._deviations,
            journal=Journal(None, tenant_id=tenant_id, station_id=station.id, clock=self.tester.clock),
        )

    def reconnect(self) -> None:
        self._sockets = [self._sockets[1], self._socket()]

    def written(self, minute: float) -> str:
        """A time of the station's clock; one that was never set counts from 1970."""
        skew = self.day.skew
        at = UNSET + timedelta(minutes=minute) if skew is None else NOON + timedelta(minutes=minute + skew)
        return at.isoformat().replace("+00:00", "Z")

    async def ask(self, action: str, payload: dict[str, Any], *, id: str | None = None, socket: int = 1) -> Any:
        """The answer; that it is one is what all of this is about."""
        text = orjson.dumps([2, id or str(uuid4()), action, payload]).decode()
        frame = parse(text, self.version)
        assert isinstance(frame, CallFrame)
        reply = await self._sockets[socket].reply(Received(frame, self.tester.clock()))
        for follower in reply.followers:
            with suppress(Unavailable):  # what it is asked, it never answers
                await follower
        kind, _, *answer = orjson.loads(reply.text or "")
        assert kind == 3, f"{text} was answered {reply.text}"
        return answer[0]

    async def tell(self, message: Message, say: Callable[[str | None, int], Awaitable[None]]) -> None:
        ids = [str(uuid4()) if message.same_id else None] * message.copies
        if message.at_once:
            await asyncio.gather(*(say(id, socket) for socket, id in enumerate(ids)))
        else:
            for id in ids:
                await say(id, 1)

    # --- what the house does by itself ---------------------------------------------------------------------------

    async def boot(self) -> None:
        """And its time of grace ends before anything else is heard."""
        box = {"model": "Box", "vendorName": "Acme"}
        payload = {"chargePointModel": "Box", "chargePointVendor": "Acme"}
        is_16 = self.version is Version.V16
        self.tester.clock.forward(seconds=10)
        await self.ask("BootNotification", payload if is_16 else {"reason": "PowerUp", "chargingStation": box})
        async with self.tester.work(role=Role.SYSTEM) as work:
            booted_at = (await stations.by_id(work, self.station.id)).booted_at
            assert booted_at is not None
            booted = StationBooted(station_id=self.station.id, boot_reason=None, booted_at=booted_at)
            await sessions.interrupt_unheard(work, booted)
        self.tester.clock.forward(seconds=10)

    async def vacate(self, evse: int, minute: float) -> None:
        status = {"evseId": evse, "connectorId": 1, "connectorStatus": "Available", "timestamp": self.written(minute)}
        if self.version is Version.V16:
            status = {
                "connectorId": evse,
                "errorCode": "NoError",
                "status": "Available",
                "timestamp": self.written(minute),
            }
        await self.ask("StatusNotification", status)
        for session in await self.sessions():
            if session.vacated_at is not None:
                event = EvseVacated(session_id=session.id, station_id=session.station_id, vacated_at=session.vacated_at)
                async with self.tester.work(role=Role.SYSTEM) as work:
                    await sessions.interrupt_vacated(work, event)

    async def sessions(self) -> list[Session]:
        async with self.tester.work(read_only=True) as work:
            return list((await sessions.listed(work, PageRequest(), station_id=self.station.id)).rows)

    async def orphans(self) -> list[SessionOrphan]:
        async with self.tester.work(read_only=True) as work:
            return list((await sessions.orphans(work, PageRequest(), station_id=self.station.id)).rows)


async def a_site(tester: Tester, version: Version, day: Day) -> Site:
    tester.clock.now = NOON
    return Site(tester, version, await a_station(tester), day)


async def live(site: Site, say: Callable[[Message, str | None, int], Awaitable[None]]) -> None:
    """Through the whole day, and the days on which its rest comes late."""
    clock, day = site.tester.clock, site.day
    for number, message in enumerate(day.messages):
        if number == day.late:
            clock.now = NOON + timedelta(minutes=2 * DAY)
        happened_at = NOON + timedelta(minutes=message.charge.start_at + message.part)
        clock.now = max(clock() + timedelta(seconds=1), happened_at)
        if number in day.socket_changes:
            site.reconnect()
        if number in day.boots:
            await site.boot()
        await site.tell(message, lambda of, socket, said=message: say(said, of, socket))  # type: ignore[misc]
        if message.charge.number in day.vacated and message.part == message.charge.told[-1]:
            await site.vacate(message.charge.evse, message.charge.stop_at + 0.5)


def is_right(session: Session, charge: Charge) -> None:
    assert session.energy_wh == pytest.approx(charge.energy_wh), charge
    assert session.meter_suspect is charge.is_reset
    if charge.ending is Ending.LOST:
        assert session.status in (SessionStatus.ACTIVE, SessionStatus.INTERRUPTED)
        assert session.inferred is (session.status is SessionStatus.INTERRUPTED)
    else:
        assert (session.status, session.inferred) == (SessionStatus.COMPLETED, False)


# --- OCPP 1.6: part 0 is the start, the last one the stop, between them meter values --------------------------------


async def say_16(site: Site, message: Message, id: str | None, socket: int) -> None:
    charge, part = message.charge, message.part
    at, wh = site.written(charge.start_at + part), charge.registers_wh[part]
    number = site.numbers.get(charge.number)
    if part == 0:
        start = {"connectorId": charge.evse, "idTag": charge.card, "meterStart": wh, "timestamp": at}
        answer = await site.ask("StartTransaction", start, id=id, socket=socket)
        assert number in (None, answer["transactionId"]), "a repeated start gets another number"
        if charge.answered:
            site.numbers[charge.number] = answer["transactionId"]
    elif part == charge.last:
        known = number if charge.ending is Ending.STOPPED else None
        stop = {"transactionId": known or -1, "idTag": charge.card, "meterStop": wh, "timestamp": at}
        values = {"timestamp": at, "sampledValue": [{"value": str(wh), "context": "Transaction.End"}]}
        await site.ask("StopTransaction", {**stop, "transactionData": [values]}, id=id, socket=socket)
    else:
        value = {"value": f"{wh / 1000:.3f}", "unit": "kWh"} if part % 2 else {"value": str(wh)}
        values = {"timestamp": at, "sampledValue": [value]}
        named = {"transactionId": number} if number else {}
        metered = {"connectorId": charge.evse, "meterValue": [values], **named}
        await site.ask("MeterValues", metered, id=id, socket=socket)


@on_any_day
@given(days(numbered=False))
async def test_any_day_of_16_is_as_many_sessions_as_charges_with_their_energy(acme: Tester, day: Day) -> None:
    site = await a_site(acme, Version.V16, day)
    await live(site, lambda *said: say_16(site, *said))

    found = {session.token_uid: session for session in await site.sessions()}
    assert len(found) == len(await site.sessions()) == len(day.charges)
    for charge in day.charges:
        is_right(found[charge.card], charge)
    assert await site.orphans() == []


# --- OCPP 2.x: part 0 is Started, the last one Ended, between them Updated -------------------------------------------


async def say_2x(site: Site, message: Message, id: str | None, socket: int) -> None:
    charge, part = message.charge, message.part
    kind, context = "Updated", "Sample.Periodic"
    if part == 0:
        kind, context = "Started", "Transaction.Begin"
    elif part == charge.last:
        kind, context = "Ended", "Transaction.End"
    wh = charge.registers_wh[part]
    at = site.written(charge.start_at + part)
    value = {"value": wh / 1000, "unitOfMeasure": {"unit": "kWh"}} if part % 2 else {"value": wh}
    event: dict[str, Any] = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": charge.seq + part,
        "offline": part % 3 == 1,
        "transactionInfo": {
            "transactionId": f"TX-{charge.number}",
            "chargingState": "EVConnected" if kind == "Ended" else "Charging",
        },
        "meterValue": [{"timestamp": at, "sampledValue": [{**value, "context": context}]}],
    }
    if part == charge.told[0]:
        event["evse"] = {"id": charge.evse, "connectorId": 1}
    if part == charge.told[min(1, len(charge.told) - 1)]:
        event["idToken"] = {"idToken": charge.card, "type": "ISO14443"}
    await site.ask("TransactionEvent", event, id=id, socket=socket)


async def is_a_day_of_2x(tester: Tester, version: Version, day: Day) -> None:
    site = await a_site(tester, version, day)
    await live(site, lambda *said: say_2x(site, *said))

    found = {session.transaction_id: session for session in await site.sessions()}
    assert len(found) == len(await site.sessions()) == len(day.charges)
    for charge in day.charges:
        session = found[f"TX-{charge.number}"]
        is_right(session, charge)
        assert (session.evse_number, session.token_uid) == (charge.evse, charge.card)
        assert session.start_inferred is (0 in charge.dropped)
        heard = charge.told
        assert session.missing_messages == heard[-1] - heard[0] + 1 - len(heard)
    assert await site.orphans() == []


@on_any_day
@given(days(numbered=True))
async def test_any_day_of_201_is_as_many_sessions_as_charges_with_their_energy(acme: Tester, day: Day) -> None:
    await is_a_day_of_2x(acme, Version.V201, day)


@on_any_day
@given(days(numbered=True))
async def test_any_day_of_21_is_as_many_sessions_as_charges_with_their_energy(acme: Tester, day: Day) -> None:
    await is_a_day_of_2x(acme, Version.V21, day)

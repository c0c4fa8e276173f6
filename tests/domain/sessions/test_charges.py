"""True charges, told as stations tell them: twice, late, out of order, in part, with boots in between.

However they are told, each is one session with the energy that flowed as far as anyone was told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.sessions import ChargingState, Moment, OrphanKind, Session, SessionStatus, Stage
from tests.domain.sessions.charger import CARD, Charger, a_charger, minute, sample
from tests.tester import Tester

pytestmark = pytest.mark.anyio

on_real_servers = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@dataclass(frozen=True)
class Charge:
    """What really happened: the register at each minute from start to stop."""

    evse: int
    start_at: int
    registers_wh: tuple[int, ...]

    @property
    def stop_at(self) -> int:
        return self.start_at + len(self.registers_wh) - 1

    @property
    def energy_wh(self) -> int:
        return self.registers_wh[-1] - self.registers_wh[0]


@dataclass(frozen=True)
class Telling:
    """A charge, and how it is told: which parts (numbered by minute) in which order, how often each, and when.

    `boots` are the parts before which the station boots; `at_once` means that repetitions come on several sockets.
    """

    charge: Charge
    order: tuple[int, ...]
    copies: tuple[int, ...]
    at_once: bool
    boots: frozenset[int]
    received_at: int

    @property
    def last(self) -> int:
        return len(self.charge.registers_wh) - 1


@st.composite
def charges(draw: st.DrawFn, *, evse: int = 1, start_at: int = 0, first_wh: int | None = None) -> Charge:
    registers = [draw(st.integers(0, 10**8)) if first_wh is None else first_wh]
    for step in draw(st.lists(st.integers(0, 400), min_size=2, max_size=6)):
        registers.append(registers[-1] + step)
    return Charge(evse, start_at, tuple(registers))


@st.composite
def tellings(draw: st.DrawFn, *, whole: bool = False) -> Telling:
    """While it lasts or long after; not every part need be told unless it is told as a `whole`."""
    charge = draw(charges())
    parts = range(len(charge.registers_wh))
    told = draw(st.lists(st.sampled_from(parts), min_size=1, unique=True))
    order = draw(st.permutations(sorted({0, parts[-1], *told} if whole else told)))
    return Telling(
        charge,
        tuple(order),
        tuple(draw(st.lists(st.integers(1, 3), min_size=len(parts), max_size=len(parts)))),
        draw(st.booleans()),
        draw(st.frozensets(st.sampled_from(parts), max_size=2)),
        10_000 if whole else draw(st.sampled_from([parts[-1], 10_000])),
    )


@dataclass(frozen=True)
class Day:
    """Charges that follow each other on two EVSEs, those whose stop is lost, and an order to tell the rest in."""

    charges: tuple[Charge, ...]
    stop_lost: tuple[bool, ...]
    told: tuple[tuple[int, int], ...]  # charge, part
    boots: frozenset[int]


@st.composite
def days(draw: st.DrawFn) -> Day:
    day: list[Charge] = []
    for evse in (1, 2):
        at, register = 0, draw(st.integers(0, 10**6))
        for _ in range(draw(st.integers(1, 3))):
            day.append(draw(charges(evse=evse, start_at=at, first_wh=register)))
            at, register = day[-1].stop_at + draw(st.integers(1, 5)), day[-1].registers_wh[-1]
    lost = [draw(st.booleans()) for _ in day]
    parts = [(i, part) for i, charge in enumerate(day) for part in range(len(charge.registers_wh) - lost[i])]
    repeated = draw(st.lists(st.sampled_from(parts), max_size=5))
    told = draw(st.permutations(parts + repeated))
    return Day(tuple(day), tuple(lost), tuple(told), draw(st.frozensets(st.sampled_from(range(len(told))), max_size=2)))


async def deliver(telling: Telling, part: int, tell: Callable[[int], Awaitable[None]]) -> None:
    if telling.at_once:
        await asyncio.gather(*(tell(part) for _ in range(telling.copies[part])))
    else:
        for _ in range(telling.copies[part]):
            await tell(part)


async def told(telling: Telling, charger: Charger, tell: Callable[[int], Awaitable[None]]) -> Session:
    """The one session that it comes to."""
    for part in telling.order:
        if part in telling.boots:
            await boot(charger)
        await deliver(telling, part, tell)
    return await charger.session()


async def boot(charger: Charger) -> None:
    """With its grace time over at once: whatever comes after it comes after the interruption."""
    charger.tester.clock.forward(minutes=1)
    await charger.grace_ends(await charger.boot())
    charger.tester.clock.forward(minutes=1)


def is_right(session: Session, *, energy_wh: float, stop_at: int | None) -> None:
    assert (session.energy_wh, session.meter_suspect) == (energy_wh, False)
    if stop_at is None:
        assert session.status in (SessionStatus.ACTIVE, SessionStatus.INTERRUPTED)
        assert session.inferred is (session.status is SessionStatus.INTERRUPTED)
    else:
        assert (session.status, session.ended_at) == (SessionStatus.COMPLETED, minute(stop_at))
        assert session.inferred is False


# OCPP 1.6: part 0 is the start, the last one the stop, between them meter values


class Teller16:
    """`number` is the transaction's, as far as the station knows it."""

    def __init__(self, charger: Charger, charge: Charge, *, is_answered: bool = True) -> None:
        self.charger, self.charge, self.is_answered = charger, charge, is_answered
        self.number: str | None = None

    async def __call__(self, part: int) -> None:
        charge, at = self.charge, self.charge.start_at + part
        if part == 0:
            started = await self.charger.start(at, meter_wh=charge.registers_wh[0], evse=charge.evse)
            if self.is_answered:
                assert self.number in (None, started.session.transaction_id)
                self.number = started.session.transaction_id
        elif at == charge.stop_at:
            await self.charger.stop(at, meter_wh=charge.registers_wh[part], transaction_id=self.number, token_uid=CARD)
        else:
            reading = sample(at, charge.registers_wh[part], power_w=1_000 + part)
            await self.charger.meter(reading, transaction_id=self.number, evse=charge.evse)


@on_real_servers
@given(tellings())
async def test_a_charge_of_16_is_one_session_with_its_energy_however_it_is_told(acme: Tester, telling: Telling) -> None:
    charger = await a_charger(acme, now=telling.received_at)
    teller = Teller16(charger, telling.charge)
    await deliver(telling, 0, teller)

    session = await told(telling, charger, teller)

    heard, registers = max(telling.order), telling.charge.registers_wh
    is_right(
        session,
        energy_wh=registers[heard] - registers[0],
        stop_at=telling.charge.stop_at if heard == telling.last else None,
    )
    assert await charger.orphans() == []


@on_real_servers
@given(tellings(whole=True))
async def test_a_charge_of_16_that_never_learned_its_number_is_one_session_too(acme: Tester, telling: Telling) -> None:
    """The answer to the start was lost: all else names no transaction, and some of it overtakes the start."""
    charger = await a_charger(acme, now=telling.received_at)

    session = await told(telling, charger, Teller16(charger, telling.charge, is_answered=False))

    is_right(session, energy_wh=telling.charge.energy_wh, stop_at=telling.charge.stop_at)
    assert [orphan for orphan in await charger.orphans() if orphan.kind is OrphanKind.STOP] == []


@on_real_servers
@given(days())
async def test_a_day_at_a_station_is_as_many_sessions_as_charges_in_each_tenant(
    acme: Tester, rival: Tester, day: Day
) -> None:
    for tester in (acme, rival):
        charger = await a_charger(tester, now=10_000)
        tellers = [Teller16(charger, charge) for charge in day.charges]
        await asyncio.gather(*(teller(0) for teller in tellers))
        for number, (i, part) in enumerate(day.told):
            if number in day.boots:
                await boot(charger)
            await tellers[i](part)

        by_number: dict[str | None, Session] = {session.transaction_id: session for session in await charger.sessions()}
        assert by_number.keys() == {teller.number for teller in tellers}
        for teller, is_lost in zip(tellers, day.stop_lost, strict=True):
            registers = teller.charge.registers_wh
            is_right(
                by_number[teller.number],
                energy_wh=(registers[-2] if is_lost else registers[-1]) - registers[0],
                stop_at=None if is_lost else teller.charge.stop_at,
            )
        assert await charger.orphans() == []


# OCPP 2.x: part 0 is Started, the last one Ended, between them Updated


class Teller201:
    def __init__(self, charger: Charger, charge: Charge) -> None:
        self.charger, self.charge = charger, charge

    async def __call__(self, part: int) -> None:
        charge, last = self.charge, len(self.charge.registers_wh) - 1
        stage, moment = Stage.UPDATED, Moment.AMID
        if part == 0:
            stage, moment = Stage.STARTED, Moment.BEGIN
        elif part == last:
            stage, moment = Stage.ENDED, Moment.END
        await self.charger.report(
            stage,
            charge.start_at + part,
            seq=part,
            evse_number=charge.evse if part in (0, 1) else None,
            token_uid=CARD if part in (1, last) else None,
            state=ChargingState.CHARGING if part < last else ChargingState.EV_CONNECTED,
            samples=[sample(charge.start_at + part, charge.registers_wh[part], moment=moment)],
            offline=part % 2 == 1,
        )


@on_real_servers
@given(tellings())
async def test_a_transaction_of_2x_is_one_session_with_its_energy_whichever_events_come(
    acme: Tester, telling: Telling
) -> None:
    charger = await a_charger(acme, now=telling.received_at)

    session = await told(telling, charger, Teller201(charger, telling.charge))

    first, heard, registers = min(telling.order), max(telling.order), telling.charge.registers_wh
    is_right(
        session,
        energy_wh=registers[heard] - registers[first],
        stop_at=telling.charge.stop_at if heard == telling.last else None,
    )
    assert (session.started_at, session.start_inferred) == (minute(first), first != 0)
    assert session.evse_number == (1 if first in (0, 1) else None)
    assert session.offline is any(part % 2 for part in telling.order)

"""Whatever happens in whatever order: each order ends once, none is lost, none is sent twice that must not be."""

import asyncio
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import commands
from domain.actor import Role, system
from domain.commands import (
    CALLED_OFF,
    Command,
    CommandChanged,
    CommandKind,
    CommandRules,
    CommandStatus,
    Miss,
    Objections,
    Outcome,
    StationLink,
    Unheard,
)
from domain.commands.delivering import _deliveries
from domain.errors import Conflict
from domain.stations import Presence, StationBooted
from domain.work import Workplace
from tests.domain.commands.test_life import ACCEPTED
from tests.domain.commands.test_queueing import NONE, come
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

RULES = CommandRules(deadline_s=10, boot_grace_s=5, attempts_max=4, retry_s=4, retry_max_s=16)
ENDS = {CommandStatus.ACCEPTED, CommandStatus.TIMEOUT, CommandStatus.FAILED, CommandStatus.CANCELLED}
KINDS = {
    CommandKind.REMOTE_STOP: True,
    CommandKind.REMOTE_START: False,
    CommandKind.RESET: False,
    CommandKind.GET_CONFIGURATION: True,
}  # and whether they may be said twice

requests = st.tuples(st.just("request"), st.sampled_from(list(KINDS)), st.sampled_from([None, 5, 30, 600, 600]))
comings = st.sampled_from([("come",), ("come",), ("drift in",), ("go",), ("crash",)])
answers = st.sampled_from([("answer",), ("stay silent",)])
cancels = st.tuples(st.just("cancel"), st.integers(0, 9))
whiles = st.sampled_from([("wait", 1), ("wait", 6), ("wait", 20), ("wait", 100), ("sweep",), ("sweep",)])
steps = st.one_of(requests, requests, comings, comings, answers, cancels, whiles, whiles)
scripts = st.lists(steps, min_size=10, max_size=40)


@dataclass
class Said:
    command_id: UUID
    at: datetime


@dataclass
class Wire(StationLink):
    """One station's socket: one order on the wire, the others behind it, as `gateways.ocpp.outbound` has it."""

    tester: Tester
    is_there: bool = False
    said: list[Said] = field(default_factory=list)
    behind: dict[UUID, tuple["asyncio.Future[Outcome]", datetime]] = field(default_factory=dict)
    outstanding: "tuple[UUID, asyncio.Future[Outcome]] | None" = None
    waits: int = 0
    queued: list[tuple[UUID, datetime]] = field(default_factory=list)
    most_at_once: int = 0  # of those whose time is not over: whoever sleeps through it holds nobody up
    wake_up: Any = None

    async def deliver(self, *, command_id: UUID, timeout_s: float, send_within_s: float | None = None, **_: Any) -> Any:
        if not self.is_there:
            raise Unheard("the station is not connected")
        if send_within_s is not None:
            now = self.tester.clock()
            self.queued.append((command_id, now + timedelta(seconds=timeout_s)))
            self.most_at_once = max(self.most_at_once, sum(until >= now for _, until in self.queued))
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        within_s = timeout_s if send_within_s is None else min(timeout_s, send_within_s)
        self.behind[command_id] = (answer, self.tester.clock() + timedelta(seconds=within_s))
        self.next()
        self.waits += 1
        try:
            return await answer
        finally:
            self.waits -= 1
            self.queued = [one for one in self.queued if one[0] != command_id]

    def next(self) -> None:
        while self.behind and self.outstanding is None:
            command_id = next(iter(self.behind))
            answer, send_by = self.behind.pop(command_id)
            if self.tester.clock() >= send_by:
                answer.set_result(Outcome("TIMEOUT", None, "not sent in time", Miss.UNHEARD))
            else:
                self.outstanding = (command_id, answer)
                self.said.append(Said(command_id, self.tester.clock()))

    def settle(self, outcome: Outcome) -> None:
        if self.outstanding is not None:
            if not self.outstanding[1].done():
                self.outstanding[1].set_result(outcome)
            self.outstanding = None
            self.next()

    def lose(self) -> None:
        behind, self.behind, self.is_there = self.behind, {}, False
        self.settle(Outcome("FAILED", None, "lost", Miss.UNANSWERED))
        for answer, _ in behind.values():
            if not answer.done():
                answer.set_result(Outcome("FAILED", None, "lost", Miss.UNHEARD))

    async def recall(self, *, command_id: UUID, **_: Any) -> bool:
        if command_id not in self.behind:
            return False
        self.behind.pop(command_id)[0].set_result(CALLED_OFF)
        return True

    async def wake(self, **_: Any) -> None:
        if self.is_there:
            self.wake_up()

    async def hang_up(self, **_: Any) -> None: ...


class Life:
    """A house, a station, and all that was ordered of it."""

    def __init__(self, tester: Tester, station: Any) -> None:
        self.tester, self.station = tester, station
        self.wire = Wire(tester)
        ports: dict[Any, Any] = {
            **tester.workplace._ports,
            StationLink: self.wire,
            CommandRules: RULES,
            Objections: NONE,
        }
        self.workplace = Workplace(tester.workplace.engine, ports=ports, clock=tester.clock)
        self.workplace._publish = self._heard  # type: ignore[method-assign]
        self.system = system(tester.tenant_id)
        self.wire.wake_up = lambda: Context().run(  # in another process, which knows nothing of the Work here
            partial(commands.start_delivering, self.workplace, self.system, station_id=station.id)
        )
        self.ordered: list[Command] = []
        self.told: dict[UUID, list[str]] = {}

    async def _heard(self, work: Any) -> None:
        for envelope in work.emitted:
            if isinstance(envelope.event, CommandChanged):
                self.told.setdefault(envelope.event.command_id, []).append(envelope.event.status)

    async def step(self, name: str, *how: Any) -> None:
        await getattr(self, name.replace(" ", "_"))(*how)
        async with asyncio.timeout(60):
            while len(_deliveries) > self.wire.waits:  # noqa: ASYNC110 - they tell nobody that they wait
                await asyncio.sleep(0.001)

    async def request(self, kind: CommandKind, queue_for_s: int | None) -> None:
        async with self.workplace.open_work(self.tester.actor) as work:
            command = await commands.request(work, station_id=self.station.id, kind=kind, queue_for_s=queue_for_s)
        self.ordered.append(command)
        caller = asyncio.create_task(commands.deliver(self.workplace, self.tester.actor, command))
        await asyncio.sleep(0)
        caller.cancel()  # whoever goes away does not matter
        await asyncio.wait({caller})

    async def come(self) -> None:
        """Also while it is there: the newer socket replaces the older one."""
        await self.drift_in(boots=True)
        booted = StationBooted(station_id=self.station.id, boot_reason=None, booted_at=self.tester.clock())
        async with self.workplace.open_work(self.system) as work:
            await commands.wake(work, booted)

    async def drift_in(self, *, boots: bool = False) -> None:
        self.wire.lose()
        self.wire.is_there = True
        await come(self.tester, self.station, boots=boots)

    async def go(self) -> None:
        self.wire.lose()
        await self._presence.release(self.tester.tenant_id, self.station.id, "p/s")

    @property
    def _presence(self) -> Presence:
        return self.workplace.port(Presence)  # type: ignore[type-abstract]

    async def answer(self) -> None:
        self.wire.settle(ACCEPTED)

    async def stay_silent(self) -> None:
        self.tester.clock.forward(seconds=RULES.deadline_s)
        self.wire.settle(Outcome("TIMEOUT", None, "the station did not answer", Miss.UNANSWERED))

    async def crash(self) -> None:
        """The processes die, and with them the socket; nobody writes anything down."""
        dying = list(_deliveries)
        for task in dying:
            task.cancel()
        await asyncio.gather(*dying, return_exceptions=True)
        self.wire.outstanding, self.wire.behind = None, {}
        await self.go()

    async def cancel(self, number: int) -> None:
        if self.ordered:
            command = self.ordered[number % len(self.ordered)]
            with suppress(Conflict):
                await commands.cancel(self.workplace, self.tester.actor, command_id=command.id)

    async def wait(self, seconds: int) -> None:
        self.tester.clock.forward(seconds=seconds)

    async def sweep(self) -> None:
        for look_after in (commands.expire_overdue, commands.retake_lost, commands.wake_waiting):
            async with self.workplace.open_work(self.system) as work:
                await look_after(work)

    async def state(self) -> dict[UUID, Command]:
        async with self.tester.work(read_only=True, role=Role.ADMIN) as work:
            found = await commands.by_ids(work, [command.id for command in self.ordered])
        return {command.id: command for command in found}


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(script=scripts)
async def test_an_order_ends_once_whatever_happens(acme: Tester, script: list[tuple[Any, ...]]) -> None:
    acme.clock.now = None
    acme.clock.forward(seconds=0)
    life = Life(acme, await a_station(acme))
    for name, *how in script:
        await life.step(name, *how)
    settled_at = acme.clock()
    waited = {command.id: command for command in (await life.state()).values() if command.completed_at is None}

    # from here on all goes well: whatever can be done, is
    await life.step("come")
    for _ in range(30):
        await life.step("answer")
        await life.step("sweep")
        await life.step("wait", 6)
        if all(command.completed_at for command in (await life.state()).values()):
            break

    assert life.wire.most_at_once <= 1, "of those that wait, two were on their way"
    for command in (await life.state()).values():
        told = life.told[command.id]
        said = [one.at for one in life.wire.said if one.command_id == command.id]
        assert command.status in ENDS
        assert [status for status in told if status in ENDS] == [command.status] == told[-1:], told
        assert command.completed_at is not None
        assert all(at <= command.completed_at for at in said), "sent after its end"
        assert len(said) <= (RULES.attempts_max if KINDS[command.kind] and command.expires_at else 1), "sent too often"
        if command.expires_at is not None:
            assert all(at < command.expires_at for at in said), "sent after it had expired"
            if command.status is CommandStatus.TIMEOUT:
                is_known = command.completed_at >= command.expires_at
                is_once = not KINDS[command.kind] and command.attempts == 1
                assert is_known or is_once or command.attempts == RULES.attempts_max, "given up too early"
            if command.id in waited and command.expires_at > settled_at + timedelta(seconds=200):
                is_lost = waited[command.id].attempts > 0
                assert command.status is CommandStatus.ACCEPTED or is_lost, "it could have been done"

"""Leases on stations, while sockets come and go and Redis forgets."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from domain import stations
from domain.actor import Role
from domain.stations import Hold, Presence
from domain.work import Workplace
from gateways.ocpp import Admission, Attendance, Sockets, Version
from gateways.redis import RedisPresence
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio


class Slow(RedisPresence):
    """Redis, with a moment before and after each question in which a test lets things happen."""

    def __init__(self, tester: Tester) -> None:
        super().__init__(tester.house.redis)
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        self.after: dict[str, Callable[[], Awaitable[object]]] = {}

    async def _meanwhile(self, when: dict[str, Callable[[], Awaitable[object]]], what: str) -> None:
        if what in when:
            await when.pop(what)()

    async def claim(self, tenant_id: UUID, station_id: UUID, holder: str, lease_s: float) -> str | None:
        await self._meanwhile(self.before, "claim")
        previous = await super().claim(tenant_id, station_id, holder, lease_s)
        await self._meanwhile(self.after, "claim")
        return previous

    async def renew(self, items: Sequence[Hold], lease_s: float) -> list[Hold]:
        await self._meanwhile(self.before, "renew")
        lost = await super().renew(items, lease_s)
        await self._meanwhile(self.after, "renew")
        return lost


class Process:
    """One of a cluster, as far as stations' presence goes."""

    def __init__(self, tester: Tester, name: str) -> None:
        self.presence = Slow(tester)
        self.evicted: list[Hold] = []
        self.told: list[type[object]] = []
        workplace = Workplace(
            tester.workplace.engine,
            ports={**tester.workplace._ports, Presence: self.presence},
            clock=tester.clock,
        )
        publish = workplace._publish

        async def hear(work: Any) -> None:
            self.told += [type(envelope.event) for envelope in work.emitted]
            await publish(work)

        workplace._publish = hear  # type: ignore[method-assign]
        self.attendance = Attendance(workplace, Sockets(), process_id=name, evict=self._evict, lease_s=60)

    async def _evict(self, tenant_id: UUID, station_id: UUID, holder: str) -> None:
        self.evicted.append((tenant_id, station_id, holder))

    async def holds(self, admission: Admission) -> bool:
        return await self.presence.holder(admission.tenant_id, admission.station_id) is not None


class Socket(SimpleNamespace):
    """What attendance sees of one."""

    def __init__(self, identity: str) -> None:
        super().__init__(identity=identity, version=Version.V16, replaced=False, closed=None)

    __hash__ = object.__hash__  # type: ignore[assignment]

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


async def admitted(tester: Tester) -> tuple[Admission, Any]:
    station = await a_station(tester)
    actor = tester.acting_as(Role.STATION)
    return Admission(actor=actor, tenant_id=tester.tenant_id, station_id=station.id), Socket(station.identity)


async def test_a_station_is_there_while_its_socket_is(acme: Tester) -> None:
    process = Process(acme, "one")
    admission, socket = await admitted(acme)

    await process.attendance.connected(admission, socket)
    assert await process.holds(admission)
    await process.attendance._beat()
    await process.attendance.disconnected(admission, socket)

    assert not await process.holds(admission)
    assert process.told == [stations.StationConnected, stations.StationDisconnected]


async def test_the_newer_socket_has_the_station_wherever_it_is(acme: Tester) -> None:
    one, two = Process(acme, "one"), Process(acme, "two")
    admission, older = await admitted(acme)
    newer: Any = Socket(older.identity)

    await one.attendance.connected(admission, older)
    await two.attendance.connected(admission, newer)
    (evicted,) = two.evicted
    assert evicted[:2] == (admission.tenant_id, admission.station_id)
    await one.attendance.evicted(*evicted)
    await one.attendance.disconnected(admission, older)

    assert older.closed == (1000, "replaced by a newer connection")
    assert older.replaced
    assert await two.holds(admission)
    assert stations.StationDisconnected not in one.told


async def test_who_was_not_told_of_a_newer_socket_finds_out(acme: Tester) -> None:
    one, two = Process(acme, "one"), Process(acme, "two")
    admission, older = await admitted(acme)
    newer: Any = Socket(older.identity)
    await one.attendance.connected(admission, older)
    await two.attendance.connected(admission, newer)

    await one.attendance._beat()
    await two.attendance._beat()

    assert older.replaced
    assert newer.closed is None


async def test_a_station_that_redis_forgot_is_told_of_again(acme: Tester) -> None:
    process = Process(acme, "one")
    admission, socket = await admitted(acme)
    await process.attendance.connected(admission, socket)
    (hold,) = process.attendance._holds.values()
    await process.presence.release(*hold)

    await process.attendance._beat()

    assert await process.holds(admission)
    assert socket.closed is None
    assert process.told == [stations.StationConnected] * 2


async def test_a_socket_that_goes_during_a_beat_is_gone(acme: Tester) -> None:
    process = Process(acme, "one")
    admission, socket = await admitted(acme)
    for moment in (process.presence.before, process.presence.after):
        await process.attendance.connected(admission, socket)
        moment["renew"] = lambda: process.attendance.disconnected(admission, socket)
        await process.attendance._beat()
        assert not await process.holds(admission)
    await process.attendance.connected(admission, socket)
    (hold,) = process.attendance._holds.values()
    await process.presence.release(*hold)
    process.presence.before["claim"] = lambda: process.attendance.disconnected(admission, socket)
    await process.attendance._beat()

    assert not await process.holds(admission)


async def test_a_socket_that_comes_during_a_beat_stays(acme: Tester) -> None:
    """It is among the sockets before it has its lease, which its predecessor elsewhere still has."""
    one, two = Process(acme, "one"), Process(acme, "two")
    admission, older = await admitted(acme)
    newer: Any = Socket(older.identity)
    await one.attendance.connected(admission, older)
    knocked, may_claim, claimed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hesitate() -> None:
        knocked.set()
        await may_claim.wait()

    async def done() -> None:
        claimed.set()

    async def let_it_claim() -> None:
        may_claim.set()
        await claimed.wait()

    two.presence.before["claim"] = hesitate
    two.presence.after["claim"] = done
    two.presence.after["renew"] = let_it_claim
    connecting = asyncio.create_task(two.attendance.connected(admission, newer))
    async with asyncio.timeout(20):
        await knocked.wait()
        await two.attendance._beat()
        await connecting

    assert newer.closed is None
    assert await two.presence.holder(admission.tenant_id, admission.station_id) != one.attendance._holds[older][2]


async def test_beats_go_on_after_one_that_failed(acme: Tester) -> None:
    process = Process(acme, "one")
    beats = iter([RuntimeError("not foreseen"), None])
    second = asyncio.Event()

    async def beat() -> None:
        error = next(beats, None)
        if error is not None:
            raise error
        second.set()

    task = asyncio.create_task(process.attendance._every(0.001, beat))
    async with asyncio.timeout(20):
        await second.wait()
    task.cancel()

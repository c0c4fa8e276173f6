"""The history store goes away and comes back: what was acknowledged meanwhile waits on disk, in its order."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from domain import history, points
from domain.actor import Actor
from domain.errors import Unavailable
from domain.page import PageRequest
from domain.points import HistoryStore, Owner, OwnerKind, Reading, Refused, Row, Spool
from domain.work import Workplace
from gateways.spool import DiskSpool
from gateways.timescale import TimescaleStore
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
UNSPEAKABLE = 13.0


class Moody(TimescaleStore):
    """The store, which a test can send away."""

    def __init__(self, store: TimescaleStore) -> None:
        self._store = store
        self.there = True
        self.written: list[float | None] = []
        self.wrote = asyncio.Condition()

    @contextmanager
    def away(self) -> Iterator[None]:
        self.there = False
        yield
        self.there = True

    async def write(self, rows: Sequence[Row]) -> list[Refused]:
        if UNSPEAKABLE in (row.value for row in rows):
            raise RuntimeError("nobody has thought of this")
        if not self.there:
            raise Unavailable("the history store is not reachable")
        refused = await self._store.write(rows)
        async with self.wrote:
            self.written.extend(row.value for row in rows)
            self.wrote.notify_all()
        return refused

    async def raw(self, *args: Any, **how: Any) -> Any:
        return await self._store.raw(*args, **how)


class Yard:
    """A workplace with such a store and a spool of its own."""

    def __init__(self, tester: Tester, spool: DiskSpool) -> None:
        self.actor, self.store, self.spool = tester.actor, Moody(tester.house.store), spool
        ports: dict[Any, Any] = {**tester.workplace._ports, HistoryStore: self.store, Spool: spool}
        self.workplace = Workplace(tester.workplace.engine, ports=ports, clock=tester.clock)

    async def record(
        self, *readings: Reading, owner: Owner | None = None, actor: Actor | None = None
    ) -> points.Recorded:
        async with self.workplace.open_work(actor or self.actor) as work:
            return await points.record(work, readings, owner=owner)

    async def values(self, address: str) -> list[float | None]:
        start, end = NOON - timedelta(days=1), NOON + timedelta(days=1)
        found = await history.history(self.workplace, self.actor, addresses=[address], from_=start, to=end)
        return list(found.series[0].values)

    async def latest(self, address: str) -> float | None:
        async with self.workplace.open_work(self.actor, read_only=True) as work:
            point = await points.by_address(work, address)
            return (await points.latest_of(work, [point.id]))[point.id].value

    async def stored(self, count: int) -> None:
        """Waits until the store has had so many readings."""
        async with asyncio.timeout(60), self.store.wrote:
            await self.store.wrote.wait_for(lambda: len(self.store.written) >= count)

    async def caught_up(self) -> None:
        assert await points.caught_up(self.workplace)
        assert not self.spool.behind


@asynccontextmanager
async def yard_of(tester: Tester, folder: Path, *, limit: int = 2**20) -> AsyncIterator[Yard]:
    async with DiskSpool(folder, limit_bytes=limit) as spool:
        yield Yard(tester, spool)


@pytest.fixture
async def yard(acme: Tester, tmp_path: Path) -> AsyncIterator[Yard]:
    async with yard_of(acme, tmp_path) as yard:
        yield yard


async def test_while_the_store_is_away_readings_are_taken_and_then_stored(yard: Yard) -> None:
    with yard.store.away():
        done = await yard.record(Reading("a", NOON, 1), Reading("a", NOON + SECOND, 2), Reading("new", NOON, 3))
        assert done == points.Recorded(3)
    await yard.caught_up()

    assert await yard.values("a") == [1, 2]
    assert await yard.values("new") == [3]


async def test_viewers_see_what_waits(yard: Yard) -> None:
    await yard.record(Reading("a", NOON, 1))
    with yard.store.away():
        await yard.record(Reading("a", NOON + SECOND, 2))
        assert await yard.latest("a") == 2
        await yard.record(Reading("a", NOON + 2 * SECOND, 3))
        assert await yard.latest("a") == 3


async def test_what_comes_while_something_waits_waits_behind_it(yard: Yard) -> None:
    with yard.store.away():
        await yard.record(Reading("a", NOON, 1))
    await yard.record(Reading("a", NOON, 2))
    await yard.record(Reading("a", NOON, 3))
    await yard.caught_up()

    assert yard.store.written == [1, 2, 3]
    assert await yard.values("a") == [3]
    await yard.record(Reading("a", NOON, 4))
    assert await yard.values("a") == [4]


async def test_new_points_keep_their_owner(yard: Yard) -> None:
    owner = Owner(OwnerKind.STATION, uuid7())
    with yard.store.away():
        await yard.record(Reading("a", NOON, 1), owner=owner)
    await yard.caught_up()

    async with yard.workplace.open_work(yard.actor, read_only=True) as work:
        assert (await points.by_address(work, "a")).owner_id == owner.id


async def test_what_is_wrong_in_itself_is_said_at_once(yard: Yard) -> None:
    with yard.store.away():
        done = await yard.record(Reading("a", NOON, 1), Reading("", NOON, 2))

    assert done.recorded == 1
    assert [error.index for error in done.errors] == [1]


async def test_what_proves_wrong_later_is_put_aside_and_holds_up_nobody(yard: Yard, tmp_path: Path) -> None:
    await yard.record(Reading("a", NOON, 1, unit="W"))
    with yard.store.away():
        await yard.record(Reading("a", NOON + SECOND, 1e308, unit="kW"), Reading("a", NOON + 2 * SECOND, 3, unit="kW"))
        await yard.record(Reading("a", NOON + SECOND, 2, unit="A"))
        await yard.record(Reading("b", NOON, UNSPEAKABLE))
        await yard.record(Reading("a", NOON + 3 * SECOND, 5))
    await yard.caught_up()

    assert await yard.values("a") == [1, 3_000, 5]
    aside = (tmp_path / "refused.jsonl").read_text().splitlines()
    assert len(aside) == 2
    assert "the value is too large" in aside[0]
    assert "nobody has thought of this" in aside[1]
    async with yard.workplace.open_work(yard.actor, read_only=True) as work:
        assert [one.unit for one in (await points.quarantined(work, PageRequest())).rows] == ["A"]


async def test_while_the_store_stays_away_everything_waits_on(yard: Yard) -> None:
    with yard.store.away():
        await yard.record(Reading("a", NOON, 1))
        assert not await points.caught_up(yard.workplace)
        assert yard.spool.behind
    await yard.caught_up()
    assert await yard.values("a") == [1]


async def test_a_disk_that_cannot_be_read_ends_nothing(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, oldest = asyncio.Event(), yard.spool.oldest

    async def unreadable(_readings: int) -> Any:
        failed.set()
        raise OSError("a sector is bad")

    with yard.store.away():
        await yard.record(Reading("a", NOON, 1))
    monkeypatch.setattr(yard.spool, "oldest", unreadable)
    replaying = asyncio.create_task(points.replay(yard.workplace))
    await failed.wait()
    monkeypatch.setattr(yard.spool, "oldest", oldest)
    await yard.stored(1)
    replaying.cancel()
    await asyncio.gather(replaying, return_exceptions=True)

    assert await yard.values("a") == [1]


async def test_without_room_on_disk_nothing_is_acknowledged(acme: Tester, tmp_path: Path) -> None:
    async with yard_of(acme, tmp_path, limit=10) as yard:
        with yard.store.away(), pytest.raises(Unavailable, match="used up"):
            await yard.record(Reading("a", NOON, 1))


async def test_a_new_process_stores_what_the_last_one_took(acme: Tester, rival: Tester, tmp_path: Path) -> None:
    async with yard_of(acme, tmp_path) as before:
        with before.store.away():
            await before.record(Reading("a", NOON, 1))
            await before.record(Reading("a", NOON, 7), actor=rival.actor)
    async with yard_of(acme, tmp_path) as after:
        await after.caught_up()
        assert await after.values("a") == [1]
    async with yard_of(rival, tmp_path) as others:
        assert await others.values("a") == [7]

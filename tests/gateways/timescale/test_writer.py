"""Group commit: what is acknowledged is committed, whatever happens on the way."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random

import asyncpg
import pytest
from prometheus_client import REGISTRY

from domain.errors import Unavailable
from domain.points import Figure, Quality, Refused, Row
from gateways.timescale import TimescaleStore, writer
from tests.gateways.timescale.waiting import until
from voltgraph.database import plain_url
from voltgraph.embedded import Urls

pytestmark = pytest.mark.anyio

Writing = asyncio.Task[list[Refused]]

NOON = datetime(2090, 6, 1, 12, tzinfo=UTC)  # not closed: what is late takes the long way (test_every_store.py)
SECOND = timedelta(seconds=1)

_TERMINATE = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'voltgraph history'"
)
# At its insert; or behind another process's roller, which waits for those who are.
_BLOCKED = """
select count(*) from pg_stat_activity
where application_name = 'voltgraph history' and wait_event_type = 'Lock'
    and (query like '%insert into reading%' or query ilike 'copy "reading"%' or query ilike 'copy reading%'
        or query like '%reading_closed_to()%')
"""


def rows(series: int, count: int, *, first: int = 0) -> list[Row]:
    return [Row(series, NOON + n * SECOND, n, None, Quality.GOOD) for n in range(first, first + count)]


async def values(connection: asyncpg.Connection, series: int) -> list[float]:
    found = await connection.fetch("select value from reading where series = $1 order by at", series)
    return [value for (value,) in found]


@asynccontextmanager
async def blocked(owner: asyncpg.Connection) -> AsyncIterator[None]:
    """No writer gets past its insert until this ends."""
    async with owner.transaction():
        await owner.execute("lock table reading in share mode")
        yield


async def until_blocked(connection: asyncpg.Connection, writers: int = 1) -> None:
    await until(lambda: connection.fetchval(f"select ({_BLOCKED}) >= {writers}"))


async def both_writers_blocked(store: TimescaleStore, connection: asyncpg.Connection, series: int) -> list[Writing]:
    """Each with a row of its own, the first two of the series."""
    writing = []
    for n in range(2):
        writing.append(asyncio.create_task(store.write(rows(series, 1, first=n))))
        await until_blocked(connection, writers=n + 1)
    return writing


def flushes() -> float:
    return REGISTRY.get_sample_value("voltgraph_history_flush_seconds_count") or 0


async def test_an_acknowledged_row_is_committed(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    await timescale.write(rows(one, 3))

    assert await values(application, one) == [0, 1, 2]
    assert timescale.buffered == 0


async def test_nothing_is_acknowledged_before_its_commit(
    timescale: TimescaleStore, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    async with blocked(owner):
        writing = asyncio.create_task(timescale.write(rows(one, 3)))
        await until_blocked(application)
        assert not writing.done()
        assert timescale.buffered == 3
        assert await values(application, one) == []
    await writing

    assert await values(application, one) == [0, 1, 2]


async def test_who_comes_during_a_commit_shares_the_next_one(
    timescale: TimescaleStore, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    async with blocked(owner):
        early = await both_writers_blocked(timescale, application, one)
        before = flushes()
        late = [asyncio.create_task(timescale.write(rows(one, 1, first=n))) for n in range(2, 200)]
        await asyncio.sleep(0)
    await asyncio.gather(*early, *late)

    assert await values(application, one) == list(range(200))
    assert flushes() - before == 3  # the two that were blocked, and one for all who came meanwhile


async def test_a_full_buffer_lets_nobody_in_and_loses_nobody(
    urls: Urls, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    async with TimescaleStore(plain_url(urls.database), flush_rows=10, buffer_rows=30) as store:
        async with blocked(owner):
            writing = [asyncio.create_task(store.write(rows(one, 7, first=7 * n))) for n in range(20)]
            await until_blocked(application, writers=2)
            assert store.buffered == 28
        await asyncio.gather(*writing)

    assert await values(application, one) == list(range(140))


async def test_a_parcel_larger_than_the_buffer_gets_through_beside_small_ones(
    urls: Urls, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one, other = next(series), next(series)
    async with TimescaleStore(plain_url(urls.database), flush_rows=10, buffer_rows=5) as store:
        large = asyncio.create_task(store.write(rows(one, 1_000)))
        for n in range(20):
            await asyncio.wait_for(store.write(rows(other, 3, first=3 * n)), timeout=60)
        await asyncio.wait_for(large, timeout=60)

    assert await values(application, one) == list(range(1_000))
    assert await values(application, other) == list(range(60))


async def test_one_row_that_cannot_be_kept_takes_no_other_with_it(
    timescale: TimescaleStore, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one, other = next(series), next(series)
    bad = [
        Row(one, NOON, None, "a\0b", Quality.GOOD),
        Row(2**70, NOON, 1, None, Quality.GOOD),
        Row(one, NOON, "seven", None, Quality.GOOD),  # type: ignore[arg-type]
        Row(one, NOON, 1, None, "excellent"),  # type: ignore[arg-type]
        Row(one, "noon", 1, None, Quality.GOOD),  # type: ignore[arg-type]
    ]
    mixed = rows(one, 100, first=1)
    for position, row in zip((0, 17, 50, 51, 104), bad, strict=True):
        mixed.insert(position, row)
    async with blocked(owner):  # so that both callers share a transaction
        early = await both_writers_blocked(timescale, application, other)
        writing = [asyncio.create_task(timescale.write(mixed)), asyncio.create_task(timescale.write(rows(other, 50)))]
        await asyncio.sleep(0)
    await asyncio.gather(*early)
    refused, refused_of_other = await asyncio.gather(*writing)

    assert [refusal.position for refusal in refused] == [0, 17, 50, 51, 104]
    assert all(refusal.reason for refusal in refused)
    assert refused_of_other == []
    assert await values(application, one) == list(range(1, 101))
    assert await values(application, other) == list(range(50))


async def test_a_caller_that_gives_up_disturbs_nobody(
    timescale: TimescaleStore, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one, other = next(series), next(series)
    async with blocked(owner):
        impatient = asyncio.create_task(timescale.write(rows(one, 1)))
        patient = asyncio.create_task(timescale.write(rows(other, 1)))
        await until_blocked(application)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
    await patient

    assert await values(application, other) == [0]
    await timescale.write(rows(other, 2))
    assert timescale.buffered == 0


async def test_a_connection_that_is_killed_before_its_commit_is_replaced(
    timescale: TimescaleStore, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    async with blocked(owner):
        writing = asyncio.create_task(timescale.write(rows(one, 1_000)))
        await until_blocked(application)
        assert await application.fetchval(_TERMINATE)
    assert await writing == []

    assert await values(application, one) == list(range(1_000))


async def test_a_store_that_is_killed_again_and_again_says_so(
    timescale: TimescaleStore, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    async with blocked(owner):
        writing = asyncio.create_task(timescale.write(rows(one, 10)))
        for _ in range(2):
            await until_blocked(application)
            await application.fetchval(_TERMINATE)
            await until(lambda: application.fetchval(f"select ({_BLOCKED}) = 0"))
        with pytest.raises(Unavailable):
            await writing

    assert await values(application, one) == []
    assert timescale.buffered == 0
    await timescale.write(rows(one, 2))
    assert await values(application, one) == [0, 1]


async def test_connections_killed_at_any_moment_lose_nothing_that_was_acknowledged(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one, chance = next(series), Random(7)
    acknowledged: set[int] = set()
    killed = 0

    async def write(number: int) -> None:
        for turn in range(50):
            first = (number * 50 + turn) * 20
            with suppress(Unavailable):
                await timescale.write(rows(one, 20, first=first))
                acknowledged.update(range(first, first + 20))

    async def kill() -> None:
        nonlocal killed
        while True:
            await asyncio.sleep(chance.uniform(0, 0.2))
            killed += await application.fetchval(_TERMINATE)

    with unheard_of_futures():
        killing = asyncio.create_task(kill())
        while killed < 10:
            await asyncio.wait_for(asyncio.gather(*(write(number) for number in range(20))), timeout=240)
        killing.cancel()
        with suppress(asyncio.CancelledError):
            await killing

    assert acknowledged
    assert acknowledged - set(await values(application, one)) == set()


@contextmanager
def unheard_of_futures() -> Iterator[None]:
    """asyncpg may leave the future of a COPY behind that was cut off before it began; nobody waits for it."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda *_: None)
    try:
        yield
        gc.collect()
    finally:
        loop.set_exception_handler(before)


async def test_stopping_commits_what_was_handed_over_and_takes_nothing_more(
    urls: Urls, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    store = TimescaleStore(plain_url(urls.database), flush_rows=10)
    await store.start()
    async with blocked(owner):
        writing = [asyncio.create_task(store.write(rows(one, 10, first=10 * n))) for n in range(20)]
        await until_blocked(application, writers=2)
        stopping = asyncio.create_task(store.stop())
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable, match="stopping"):
            await store.write(rows(one, 1, first=1_000))
        assert not stopping.done()
    await asyncio.gather(*writing, stopping)

    assert await values(application, one) == list(range(200))


async def test_without_a_database_everything_is_unavailable(series: Iterator[int]) -> None:
    async with TimescaleStore("postgresql://nobody@/nowhere?host=/nonexistent") as store:
        for ask in (
            store.write(rows(1, 1)),
            store.raw([1], start=NOON, end=NOON + SECOND, limit=1),
            store.figures([1], edges=[NOON, NOON + SECOND], wanted=[Figure.MEAN]),
        ):
            with pytest.raises(Unavailable):
                await ask
        assert store.buffered == 0


async def test_what_is_there_already_takes_nothing_that_is_new_with_it(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    for first in range(0, 50, 10):  # each time ten that were sent before
        assert await timescale.write(rows(one, 20, first=first)) == []

    assert await values(application, one) == list(range(60))


@pytest.mark.parametrize("statement", [writer._SUPERSEDE, writer._SUPERSEDED], ids=["corrected", "sent again"])
async def test_what_is_there_is_looked_up_and_not_searched_for(
    application: asyncpg.Connection, series: Iterator[int], statement: str
) -> None:
    """In a month that has grown since anybody counted it, as one does while a large file comes in."""
    whole = application.transaction()
    await whole.start()
    try:
        await application.execute("select ensure_reading_partition('2019-05-01')")
        await application.execute(
            "insert into reading (series, at, value, quality, source, version) select $1, "
            "timestamptz '2019-05-02' + n * interval '1 second', n, 0, 0, 1 from generate_series(1, 50000) n",
            next(series),
        )
        await application.execute(writer.STAGING)
        plan = "\n".join(line for (line,) in await application.fetch(f"explain {statement}"))
    finally:
        await whole.rollback()

    assert "reading_201905" in plan
    assert "Seq Scan on reading_201905" not in plan

"""Keeps the roll-ups: those of the time that is over, and again those of what came late."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import asyncpg
import structlog
from prometheus_client import Histogram

from gateways.timescale.rollups import (
    BESIDE,
    COMBINED,
    HUGE,
    MINUTE,
    WIDTHS,
    Span,
    ceiling,
    floor,
    seconds,
    stands,
    through,
    widened,
)

log = structlog.get_logger()

PASSES = Histogram("voltgraph_history_rollup_seconds", "A pass of the roller, from closing to the last late reading")

LAG = timedelta(minutes=5)  # what comes later than this is late: it costs its writer and the roller more
STEP = timedelta(minutes=15)
EVERY_S = 30.0
MARKS = 500  # in one transaction

_TURN = "hashtext('readings are rolled up')"

# Whoever writes holds this lock, shared, from before it asks what is closed until its commit (reading_closed_to).
_LOCK = "select pg_advisory_xact_lock(hashtext('readings are closed'))"
_CLOSE = "update reading_rolled set closed_to = greatest(closed_to, $1) returning closed_to"
_ROLLED_TO = "select rolled_to from reading_rolled"
_SET_ROLLED_TO = "update reading_rolled set rolled_to = $1"
_TAKE = """
delete from reading_dirty where ctid = any(array(select ctid from reading_dirty limit $1))
returning series, first_at, last_at
"""

_OF_ALL = "(select * from {table} where at >= $1 and at < $2)"
_OF_SPANS = """(
    select found.* from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) span (series, start, until)
    cross join lateral (
        select * from {table} known where known.series = span.series and at >= span.start and at < span.until
    ) found
)"""

_INTO = """
insert into reading_rollup (
    series, width_s, at, count, uncertain, sum, min, max, first, first_at, last, last_at, area, covered, drops
)
"""
# The minutes of readings. One with a number that is huge has no sum and no area: then the readings are asked.
_MINUTES = """
select series, {width_s}, bucket, count(*), count(*) filter (where quality = 1),
    case when {fits} then sum(value) filter (where {fit}) end, min(value), max(value),
    max(value) filter (where is_first), min(at), max(value) filter (where next_at is null), max(at),
    case when {fits} then coalesce(sum(value * {stands}) filter (where {fit} and next_at is not null), 0) end,
    coalesce(sum({stands}) filter (where next_at is not null), 0),
    count(*) filter (where next_value < value)
from (
    select *, lag(at) over inside is null as is_first, lead(at) over inside as next_at,
        lead(value) over inside as next_value
    from (
        select series, at, value, quality, date_bin('{width_s} s', at, 'epoch') as bucket
        from {found} found where value is not null and quality <= 1
    ) placed
    window inside as (partition by series, bucket order by at)
) beside
group by series, bucket
"""
# Wider ones of the next finer.
_WIDER = """
select series, {width_s}, bucket, {count}, sum(uncertain), case when bool_and(sum is not null) then {sum} end,
    {min}, {max}, {first}, {first_at}, {last}, {last_at}, case when bool_and(sum is not null) then {area} end,
    {covered}, {drops}
from (
    select *, {beside}
    from (
        select *, date_bin('{width_s} s', at, 'epoch') as bucket from {found} found where width_s = {finer_s}
    ) placed
    window inside as (partition by series, bucket order by first_at)
) beside
group by series, bucket
"""
_WORDS = {
    "fits": f"greatest(max(value), -min(value)) < {HUGE}",
    "fit": f"abs(value) < {HUGE}",
    "stands": stands("at"),
    "beside": BESIDE,
    **{figure.lower(): combined for figure, combined in COMBINED.items()},
}
_CLEAR = """
delete from reading_rollup using unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) span (series, start, until)
where reading_rollup.series = span.series and width_s = {width_s} and at >= span.start and at < span.until
"""

# BRIN finds what is new, wherever it lies; the planner may think that it lies everywhere, after an import.
_TUNE = "set local enable_seqscan = off; set local work_mem = '64MB'"

_STATE = """
select greatest(extract(epoch from $1 - rolled_to), 0)::double precision as lag_s,
    (select count(*) from (select from reading_dirty limit 100000) waiting) as marks
from reading_rolled
"""


class Rolled(NamedTuple):
    """How long ago the time was that is not rolled up yet, and how many marks of late readings wait (100,000 at most).

    A few minutes are normal, for what is young is not rolled up yet. Whoever asks gets the same answers, only slower.
    """

    lag_s: float
    marks: float


class Roller:
    """In every process, one of them at a time."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def running(self, *, every_s: float = EVERY_S) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        task = asyncio.create_task(self._run(stopping, every_s), name="history roller")
        try:
            yield
        finally:
            stopping.set()
            await task

    async def _run(self, stopping: asyncio.Event, every_s: float) -> None:
        while not stopping.is_set():
            try:
                await self.roll(stopping=stopping)
            except Exception as error:  # whatever it is, the next pass may get further
                log.warning("readings not rolled up", reason=str(error) or type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), every_s)

    async def roll(
        self, *, until: datetime | None = None, wait: bool = False, stopping: asyncio.Event | None = None
    ) -> None:
        """Up to that moment (a few minutes ago) and all that came late; nothing while another process does it.

        `wait` is for those who cannot do without.
        """
        until = floor(datetime.now(UTC) - LAG if until is None else until, MINUTE)
        async with self._pool.acquire() as connection, _turn(connection, wait=wait) as is_ours:
            if is_ours:
                with PASSES.time():
                    closed_to = await _close(connection, until)
                    while not _is_set(stopping) and await _advance(connection, closed_to):
                        pass
                    while not _is_set(stopping) and await _mend(connection):
                        pass


async def rolled(connection: asyncpg.Connection) -> Rolled:
    lag_s, marks = await connection.fetchrow(_STATE, datetime.now(UTC))
    return Rolled(round(lag_s, 1), marks)


def _is_set(stopping: asyncio.Event | None) -> bool:
    return stopping is not None and stopping.is_set()


@asynccontextmanager
async def _turn(connection: asyncpg.Connection, *, wait: bool) -> AsyncIterator[bool]:
    if wait:
        await connection.execute(f"select pg_advisory_lock({_TURN})")
    is_ours = wait or await connection.fetchval(f"select pg_try_advisory_lock({_TURN})")
    try:
        yield is_ours
    finally:
        if is_ours and not connection.is_closed():
            await connection.execute(f"select pg_advisory_unlock({_TURN})")


async def _close(connection: asyncpg.Connection, until: datetime) -> datetime:
    """From now on whatever is written before that moment, or before the one that is returned, is marked by its writer.

    Whoever has begun to write under the moment before has committed when this returns.
    """
    async with connection.transaction():
        await connection.execute(_LOCK)
        closed_to: datetime = await connection.fetchval(_CLOSE, until)
    return closed_to


async def _advance(connection: asyncpg.Connection, closed_to: datetime) -> bool:
    """A step of new roll-ups, of all series; whether there was one left."""
    async with connection.transaction():
        rolled_to: datetime = await connection.fetchval(_ROLLED_TO)
        if rolled_to >= closed_to:
            return False
        end = min(ceiling(rolled_to + MINUTE, STEP), closed_to)
        await connection.execute(_TUNE)
        finer = None
        for width in reversed(WIDTHS):  # a bucket is made when it is over
            span = Span(floor(rolled_to, width), floor(end, width))
            if span.start < span.end:
                await connection.execute(_made(width, finer, _OF_ALL), *span)
            finer = width
        await connection.execute(_SET_ROLLED_TO, end)
    return True


async def _mend(connection: asyncpg.Connection) -> bool:
    """Some of what came late: the marks go in the transaction that does what they ask; whether there were any."""
    async with connection.transaction():
        marks = await connection.fetch(_TAKE, MARKS)
        if not marks:
            return False
        rolled_to: datetime = await connection.fetchval(_ROLLED_TO)
        await connection.execute(_TUNE)
        finer = None
        for width in reversed(WIDTHS):
            columns = _columns(touched(marks, width, rolled_to))
            await connection.execute(_CLEAR.format(width_s=seconds(width)), *columns)
            await connection.execute(_made(width, finer, _OF_SPANS), *columns)
            finer = width
    return True


def touched(
    marks: Iterable[tuple[int, datetime, datetime]], width: timedelta, rolled_to: datetime
) -> list[tuple[int, Span]]:
    """The buckets with marks from the first to the last late reading; those that are not over yet are not made yet."""
    limit = floor(rolled_to, width)
    by_series = groupby(sorted(marks, key=itemgetter(0)), key=itemgetter(0))
    return [
        (series, Span(span.start, min(span.end, limit)))
        for series, of_series in by_series
        for span in widened((through(first_at, last_at) for _, first_at, last_at in of_series), width)
        if span.start < limit
    ]


def _columns(spans: Sequence[tuple[int, Span]]) -> tuple[list[int], list[datetime], list[datetime]]:
    return [series for series, _ in spans], [span.start for _, span in spans], [span.end for _, span in spans]


def _made(width: timedelta, finer: timedelta | None, found: str) -> str:
    of = "reading" if finer is None else "reading_rollup"
    words = {"width_s": seconds(width), "finer_s": finer and seconds(finer), "found": found.format(table=of), **_WORDS}
    return _INTO + (_MINUTES if finer is None else _WIDER).format_map(words)

"""Group commit: whatever is handed over while a transaction is under way shares the next one."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date

import asyncpg
import structlog
from prometheus_client import Counter, Gauge, Histogram

from domain.errors import Unavailable
from domain.gathering import Gathering
from domain.points import Moments, Refused, Row, Rows, Source
from gateways.timescale.encoding import COLUMNS, POSITION, encoded
from gateways.timescale.faults import is_of_data, is_passing
from gateways.timescale.partitions import Partitions

log = structlog.get_logger()

WRITTEN = Counter("voltgraph_history_rows", "Rows that the history store has committed")
REFUSED = Counter("voltgraph_history_rows_refused", "Rows that the history store cannot keep")
FLUSHES = Histogram("voltgraph_history_flush_seconds", "A transaction of the history store, from copy to commit")
BUFFERED = Gauge("voltgraph_history_buffered", "Rows handed over and not committed yet", multiprocess_mode="livesum")

FLUSH_ROWS = 10_000
BUFFER_ROWS = 200_000
PAUSE_S = 0.1  # before the second try
PASS_MAX = 64

STAGING = """
create temp table if not exists reading_staging (
    series bigint, at timestamptz, value double precision, text text, quality smallint, source smallint,
    version integer check (version > 0), n integer
) on commit delete rows
"""

# In one order everywhere, so that two transactions cannot deadlock; what is there already is not written again.
_MERGE = """
insert into reading (series, at, value, text, quality, source, version)
select distinct on (series, at) series, at, value, text, quality, source, version
from reading_staging order by series, at, version desc, n desc
on conflict (series, at) do update set value = excluded.value, text = excluded.text, quality = excluded.quality,
    source = excluded.source, version = excluded.version, recorded_at = now()
where excluded.version >= reading.version and (reading.value, reading.text, reading.quality, reading.version)
    is distinct from (excluded.value, excluded.text, excluded.quality, excluded.version)
"""

# What a higher version is about to replace; and what came when a higher one was there already.
# One corrects at a time, since each must see what the one before it has left. (Rows cannot be locked for that where
# TimescaleDB has compressed them.) What is there is looked up row by row, which `limit` forces: of a month of which
# there are no statistics yet, the planner would rather read all.
_CORRECTING = "select pg_advisory_xact_lock(hashtext('readings are corrected'))"
_SUPERSEDE = """
insert into reading_superseded (series, at, version, value, text, quality, source, recorded_at)
select there.series, there.at, there.version, there.value, there.text, there.quality, there.source, there.recorded_at
from reading_staging staged cross join lateral (
    select * from reading
    where reading.series = staged.series and reading.at = staged.at and reading.version < staged.version limit 1
) there
on conflict do nothing
"""
_SUPERSEDED = """
insert into reading_superseded (series, at, version, value, text, quality, source, recorded_at)
select distinct on (staged.series, staged.at, staged.version) staged.series, staged.at, staged.version,
    staged.value, staged.text, staged.quality, staged.source, now()
from reading_staging staged cross join lateral (
    select from reading
    where reading.series = staged.series and reading.at = staged.at and reading.version > staged.version limit 1
) there
order by staged.series, staged.at, staged.version, staged.n desc
on conflict (series, at, version) do update set value = excluded.value, text = excluded.text,
    quality = excluded.quality, source = excluded.source, recorded_at = excluded.recorded_at
where (reading_superseded.value, reading_superseded.text, reading_superseded.quality)
    is distinct from (excluded.value, excluded.text, excluded.quality)
"""

# What lies before this is rolled up, or will be any moment; asked under a lock that lasts until the commit.
_CLOSED_TO = "select reading_closed_to()"
_MARK = """
insert into reading_dirty (series, first_at, last_at)
select series, min(at), max(at) from reading_staging where at < $1 group by series, date_bin('1 day', at, 'epoch')
"""


class Writer:
    def __init__(
        self, pool: asyncpg.Pool, partitions: Partitions, *, turns: int, flush_rows: int, buffer_rows: int
    ) -> None:
        self._pool = pool
        self._partitions = partitions
        self._flush_rows = flush_rows
        self._buffer_rows = buffer_rows
        self._gathering = Gathering(self._deliver, at_once=flush_rows, size=len, turns=turns)
        self._admission = asyncio.Lock()  # fair: a large parcel is not overtaken for ever by small ones
        self._room = asyncio.Event()
        self._buffered = 0
        self._stopping = False
        self._direct = _Direct()

    @property
    def buffered(self) -> int:
        return self._buffered

    async def stop(self) -> None:
        """Commits what was handed over."""
        self._stopping = True
        self._room.set()
        await self._gathering.drained()

    async def write(self, rows: Sequence[Row]) -> list[Refused]:
        """Waits for room, then for the commit. Raises `Unavailable`; then some rows may have been committed."""
        starts = range(0, len(rows), self._flush_rows)
        receipts = [await self._admit(rows[start : start + self._flush_rows]) for start in starts]
        answers = await asyncio.gather(*receipts)
        return [
            Refused(start + position, reason)
            for start, refused in zip(starts, answers, strict=True)
            for position, reason in refused
        ]

    async def _admit(self, rows: Sequence[Row]) -> asyncio.Future[list[Refused]]:
        async with self._admission:
            while self._buffered and self._buffered + len(rows) > self._buffer_rows and not self._stopping:
                self._room.clear()
                await self._room.wait()
        if self._stopping:
            raise Unavailable("the history store is stopping")
        self._count(len(rows))
        return self._gathering.ask(rows)

    def _count(self, rows: int) -> None:
        self._buffered += rows
        BUFFERED.inc(rows)
        if rows < 0:
            self._room.set()

    async def _deliver(self, parcels: Sequence[Sequence[Row]]) -> list[list[Refused]]:
        rows = Rows.joined(parcels)
        try:
            refused = await self._kept(rows)
        finally:
            self._count(-len(rows))
        answers, start = [], 0
        for parcel in parcels:
            end = start + len(parcel)
            answers.append([Refused(position - start, why) for position, why in refused if start <= position < end])
            start = end
        return answers

    async def _kept(self, rows: Rows) -> list[Refused]:
        """Commits the rows; where some cannot be kept, halves down to those, so that they take no other with them."""
        try:
            await self._flushed(rows)
        except Exception as error:  # whatever it is, the callers get an answer
            if not is_of_data(error):
                log.warning("readings not stored", rows=len(rows), reason=str(error) or type(error).__name__)
                raise Unavailable("the history store is not reachable") from error
            if len(rows) == 1:
                REFUSED.inc()
                return [Refused(0, str(error))]
            half = len(rows) // 2
            first, second = await self._kept(rows[:half]), await self._kept(rows[half:])
            return [*first, *(Refused(half + position, reason) for position, reason in second)]
        WRITTEN.inc(len(rows))
        return []

    async def _flushed(self, rows: Rows) -> None:
        """Once more after a fault that may pass: written twice is written once, so a lost commit does no harm."""
        try:
            await self._flush(rows)
        except Exception as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(PAUSE_S)
            await self._flush(rows)

    async def _flush(self, rows: Rows) -> None:
        async with self._pool.acquire() as connection:
            await self._partitions.ensure(connection, _months(rows.moments))
            with FLUSHES.time():
                if self._direct.may(rows):
                    try:
                        added = await _add(connection, rows)
                    except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                        self._direct.failed()
                    else:
                        if added:
                            self._direct.succeeded()
                            return
                await _merge(connection, rows)


class _Direct:
    """Whether to try the short way, straight into the table: half the work, but only for rows that are all new.

    What devices measure now is. Where some were not, the long way is taken for a while, twice as long each time, since
    PostgreSQL has to clear away what it began to write.
    """

    def __init__(self) -> None:
        self._flushes_to_pass = 0
        self._pass_next = 1

    def may(self, rows: Rows) -> bool:
        _, _, _, _, _, sources, versions = rows.columns
        if max(versions) > 1 or sources.count(Source.DEVICE) < len(rows):
            return False
        if self._flushes_to_pass:
            self._flushes_to_pass -= 1
            return False
        return True

    def succeeded(self) -> None:
        self._pass_next = 1

    def failed(self) -> None:
        self._flushes_to_pass, self._pass_next = self._pass_next, min(2 * self._pass_next, PASS_MAX)


async def _add(connection: asyncpg.Connection, rows: Rows) -> bool:
    """Raises `UniqueViolationError`, with nothing added, where a row is there already; False where some are late."""
    async with connection.transaction():
        closed_to = await connection.fetchval(_CLOSED_TO)
        if rows.moments.span[0] < closed_to:
            return False
        source = encoded(rows, numbered=False)
        await connection.copy_to_table("reading", source=source, columns=COLUMNS, format="binary")
    return True


async def _merge(connection: asyncpg.Connection, rows: Rows) -> None:
    staged = encoded(rows, numbered=True)
    async with connection.transaction():
        await connection.copy_to_table("reading_staging", source=staged, columns=(*COLUMNS, POSITION), format="binary")
        closed_to = await connection.fetchval(_CLOSED_TO)
        if max(rows.columns[-1]) > 1:
            await connection.execute(_CORRECTING)
            await connection.execute(_SUPERSEDE)
        merged = await connection.execute(_MERGE)
        if int(merged.rpartition(" ")[2]) < len(rows):  # a row given twice, or one of a lower version
            await connection.execute(_SUPERSEDED)
        if rows.moments.span[0] < closed_to:
            await connection.execute(_MARK, closed_to)


def _months(moments: Moments) -> set[date]:
    """In UTC, as the partitions are."""
    earliest, latest = (at.astimezone(UTC) for at in moments.span)
    if (earliest.year, earliest.month) == (latest.year, latest.month):
        return {date(latest.year, latest.month, 1)}
    return {date(at.year, at.month, 1) for at in (at.astimezone(UTC) for at in moments)}

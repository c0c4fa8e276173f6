"""Questions to the readings themselves; those of buckets are in `figures`."""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from domain.points import Quality, Row, Sample, Track
from gateways.timescale.encoding import QUALITY_CODE, SOURCE_CODE

QUALITIES = {code: quality for quality, code in QUALITY_CODE.items()}
SOURCES = {code: source for source, code in SOURCE_CODE.items()}
PART_ROWS = 5_000

# What was known at $1: of each moment the highest version that was recorded by then.
_AS_OF = """(
    select distinct on (series, at) * from (
        select series, at, version, value, text, quality, source, recorded_at from reading
        union all
        select series, at, version, value, text, quality, source, recorded_at from reading_superseded
    ) versions
    where recorded_at <= $1 and series = any($2::bigint[]) and at >= $3 and at < $4
    order by series, at, version desc
)"""
_FOUND = """(
    select * from {readings} known
    where series = any($2::bigint[]) and at >= $3 and at < $4 and quality <= $5
        and ($1::timestamptz is null or recorded_at <= $1)
)"""

# One row per series, so that nothing is built per reading.
_RAW = """
select series, array_agg(at order by at), array_agg(value order by at)
from (select series, at, value from {found} found where value is not null limit $6) limited
group by series
"""

_LAST = """
select asked.series, latest.at, latest.value
from unnest($1::bigint[]) asked (series)
cross join lateral (
    select at, value from reading
    where series = asked.series and at < $2 and value is not null and quality <= $3
    order by at desc limit 1
) latest
"""
_LAST_AS_OF = """
select distinct on (series) series, at, value from {found} found where value is not null order by series, at desc
"""

_ROWS = """
select series, at, value, text, quality, source, version from {found} found order by series, at
"""
_DAY = timedelta(days=1)
_FOREVER_AGO = datetime(1800, 1, 1, tzinfo=UTC)


async def raw(
    connection: asyncpg.Connection,
    series: Sequence[int],
    *,
    start: datetime,
    end: datetime,
    limit: int,
    worst: Quality,
    as_of: datetime | None,
) -> list[Track]:
    """One reading more than `limit` at most, so that the caller sees that there are too many."""
    question = _RAW.format(found=found_in(as_of))
    found = await connection.fetch(question, as_of, series, start, end, QUALITY_CODE[worst], limit + 1)
    tracks = {one: Track(timestamps, values) for one, timestamps, values in found}
    return [tracks.get(one) or Track([], []) for one in series]


async def last_before(
    connection: asyncpg.Connection, series: Sequence[int], *, at: datetime, worst: Quality, as_of: datetime | None
) -> list[Sample | None]:
    if as_of is None:
        found = await connection.fetch(_LAST, series, at, QUALITY_CODE[worst])
    else:
        found = await _last_known(connection, series, at, worst, as_of)
    samples = {one: Sample(moment, value) for one, moment, value in found}
    return [samples.get(one) for one in series]


async def _last_known(
    connection: asyncpg.Connection, series: Sequence[int], at: datetime, worst: Quality, as_of: datetime
) -> list[Any]:
    """In the last day first, for every version of all that is looked through is read."""
    question = _LAST_AS_OF.format(found=found_in(as_of))
    found: list[Any] = []
    for start, end in ((at - _DAY, at), (_FOREVER_AGO, at - _DAY)):
        missing = list(set(series) - {one for one, _, _ in found})
        if missing:
            found += await connection.fetch(question, as_of, missing, start, end, QUALITY_CODE[worst])
    return found


async def rows(
    connection: asyncpg.Connection,
    series: Sequence[int],
    *,
    start: datetime,
    end: datetime,
    worst: Quality,
    as_of: datetime | None,
) -> AsyncGenerator[Sequence[Row], None]:
    question = _ROWS.format(found=found_in(as_of))
    for one in series:
        async with connection.transaction(readonly=True):
            cursor = await connection.cursor(question, as_of, [one], start, end, QUALITY_CODE[worst])
            while part := await cursor.fetch(PART_ROWS):
                yield [
                    Row(number, at, value, text, QUALITIES[quality], SOURCES[source], version)
                    for number, at, value, text, quality, source, version in part
                ]


def found_in(as_of: datetime | None) -> str:
    """Its arguments are $1 to $5: as of when, series, from, to, the worst quality."""
    return _FOUND.format(readings="reading" if as_of is None else _AS_OF)

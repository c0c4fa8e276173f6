"""Questions to the readings, answered as columns: one row per series, so that nothing is built per reading."""

from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import UTC, datetime

import asyncpg

from domain.points import HOLD, Figure, Figures, Quality, Row, Sample, Track
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

_RAW = """
select series, array_agg(at order by at), array_agg(value order by at)
from (select series, at, value from {found} found where value is not null limit $6) limited
group by series
"""

# width_bucket finds the bucket by halving the edges: any edges will do, so days of 23 and 25 hours are the caller's.
# A sum over a count, since avg() keeps a sum of squares too, which costs time and overflows early.
_BUCKETS = """
select series, array_agg(bucket), {columns}
from (
    select series, bucket, {figures}
    from (
        select *,
            row_number() over (inside order by at) as nth, row_number() over (inside order by at desc) as nth_last,
            lag(value) over (inside order by at) as before, lead(at) over (inside order by at) as next_at
        from (
            select series, at, value, width_bucket(at, $6::timestamptz[]) as bucket
            from {found} found where value is not null
        ) placed
        window inside as (partition by series, bucket)
    ) ordered
    group by 1, 2
) buckets
group by series
"""
_STANDS_S = f"least(extract(epoch from next_at - at), {HOLD.total_seconds()})::double precision"
_FIGURES = {
    Figure.COUNT: "count(*)",
    Figure.SUM: "sum(value)",
    Figure.MEAN: "sum(value) / count(*)",
    Figure.MIN: "min(value)",
    Figure.MAX: "max(value)",
    Figure.FIRST: "max(value) filter (where nth = 1)",
    Figure.FIRST_AT: "min(at)",
    Figure.LAST: "max(value) filter (where nth_last = 1)",
    Figure.LAST_AT: "max(at)",
    Figure.AREA: f"coalesce(sum(value * {_STANDS_S}) filter (where next_at is not null), 0)",
    Figure.COVERED: f"coalesce(sum({_STANDS_S}) filter (where next_at is not null), 0)",
    Figure.DROPS: "count(*) filter (where value < before)",
}

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
    question = _RAW.format(found=_found(as_of))
    found = await connection.fetch(question, as_of, series, start, end, QUALITY_CODE[worst], limit + 1)
    tracks = {one: Track(timestamps, values) for one, timestamps, values in found}
    return [tracks.get(one) or Track([], []) for one in series]


async def figures(
    connection: asyncpg.Connection,
    series: Sequence[int],
    *,
    edges: Sequence[datetime],
    wanted: Collection[Figure],
    worst: Quality,
    as_of: datetime | None,
) -> list[Figures]:
    names = list(wanted)
    question = _BUCKETS.format(
        found=_found(as_of),
        columns=", ".join(f"array_agg({name.lower()})" for name in names),
        figures=", ".join(f"{_FIGURES[name]} as {name.lower()}" for name in names),
    )
    found = await connection.fetch(question, as_of, series, edges[0], edges[-1], QUALITY_CODE[worst], edges)
    by_series = {one: (buckets, columns) for one, buckets, *columns in found}
    return [_figures(names, *by_series.get(one, ((), [()] * len(names))), len(edges) - 1) for one in series]


def _figures(
    names: Sequence[Figure], buckets: Sequence[int], columns: Sequence[Sequence[object]], length: int
) -> Figures:
    return {name: _column(name, buckets, values, length) for name, values in zip(names, columns, strict=True)}


def _column(name: Figure, buckets: Sequence[int], values: Sequence[object], length: int) -> list[object]:
    column: list[object] = [0 if name is Figure.COUNT else None] * length
    for bucket, value in zip(buckets, values, strict=True):
        column[bucket - 1] = value
    return column


async def last_before(
    connection: asyncpg.Connection, series: Sequence[int], *, at: datetime, worst: Quality, as_of: datetime | None
) -> list[Sample | None]:
    if as_of is None:
        found = await connection.fetch(_LAST, series, at, QUALITY_CODE[worst])
    else:
        question = _LAST_AS_OF.format(found=_found(as_of))
        found = await connection.fetch(question, as_of, series, _FOREVER_AGO, at, QUALITY_CODE[worst])
    samples = {one: Sample(moment, value) for one, moment, value in found}
    return [samples.get(one) for one in series]


async def rows(
    connection: asyncpg.Connection,
    series: Sequence[int],
    *,
    start: datetime,
    end: datetime,
    worst: Quality,
    as_of: datetime | None,
) -> AsyncGenerator[Sequence[Row], None]:
    question = _ROWS.format(found=_found(as_of))
    for one in series:
        async with connection.transaction(readonly=True):
            cursor = await connection.cursor(question, as_of, [one], start, end, QUALITY_CODE[worst])
            while part := await cursor.fetch(PART_ROWS):
                yield [
                    Row(number, at, value, text, QUALITIES[quality], SOURCES[source], version)
                    for number, at, value, text, quality, source, version in part
                ]


def _found(as_of: datetime | None) -> str:
    """Its arguments are $1 to $5: as of when, series, from, to, the worst quality."""
    return _FOUND.format(readings="reading" if as_of is None else _AS_OF)

"""What the numbers in each bucket come to: of the coarsest roll-ups that are exact, or of the readings.

Answered as columns, a row per series, so that nothing is built per reading.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from domain.points import Figure, Figures, Quality
from gateways.timescale.encoding import QUALITY_CODE
from gateways.timescale.queries import found_in
from gateways.timescale.rollups import (
    BESIDE,
    COMBINED,
    HUGE,
    NEEDS_BESIDE,
    Span,
    pieces,
    seconds,
    stands,
    through,
    usable,
)

# width_bucket finds the bucket by halving the edges: any edges will do, so days of 23 and 25 hours are the caller's.
# A sum over a count, since avg() keeps a sum of squares too, which costs time and overflows early.
_BUCKETS = """
select series, array_agg(bucket), {columns}
from (
    select series, bucket, {figures}
    from (
        select *,
            lag(at) over inside is null as is_first, lead(at) over inside as next_at,
            lead(value) over inside as next_value
        from (
            select series, at, value, width_bucket(at, $6::timestamptz[]) as bucket
            from {found} found where value is not null
        ) placed
        window inside as (partition by series, bucket order by at)
    ) ordered
    group by 1, 2
) buckets
group by series
"""
_FIGURES = {
    Figure.COUNT: "count(*)",
    Figure.SUM: "sum(value)",
    Figure.MEAN: "sum(value) / count(*)",
    Figure.MIN: "min(value)",
    Figure.MAX: "max(value)",
    Figure.FIRST: "max(value) filter (where is_first)",
    Figure.FIRST_AT: "min(at)",
    Figure.LAST: "max(value) filter (where next_at is null)",
    Figure.LAST_AT: "max(at)",
    Figure.AREA: f"coalesce(sum(value * {stands('at')}) filter (where next_at is not null), 0)",
    Figure.COVERED: f"coalesce(sum({stands('at')}) filter (where next_at is not null), 0)",
    Figure.DROPS: "count(*) filter (where next_value < value)",
}

# The marks of late readings, and how far roll-ups go.
_STATE = """
select series, min(first_at), max(last_at) from reading_dirty
where series = any($1::bigint[]) and first_at < $3 and last_at >= $2
group by series, date_bin('1 day', first_at, 'epoch')
union all
select null, rolled_to, null from reading_rolled
"""
# Parts are roll-ups ($1 to $4) and single readings ($5 to $7). Inexact, and so to be asked of the readings alone, is
# where a number is huge, and where more than $9 are less than GOOD.
_COMBINED = """
select series, bool_or(inexact), array_agg(bucket), {columns}
from (
    select series, bucket, bool_or(sum is null or uncertain > $9) as inexact, {figures}
    from (
        select * {beside} from (
            select *, width_bucket(first_at, $8::timestamptz[]) as bucket from (
                select part.*
                from unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::timestamptz[])
                    piece (series, width_s, start, until)
                cross join lateral (
                    select series, count, uncertain, sum, min, max, first, first_at, last, last_at, area, covered, drops
                    from reading_rollup rolled
                    where rolled.series = piece.series and rolled.width_s = piece.width_s
                        and at >= piece.start and at < piece.until
                ) part
                union all
                select series, 1, 0, case when abs(value) < {huge} then value end, value, value,
                    value, at, value, at, 0, 0, 0
                from unnest($5::bigint[], $6::timestamptz[], $7::timestamptz[]) piece (of_series, start, until)
                cross join lateral (
                    select series, at, value from reading
                    where series = piece.of_series and at >= piece.start and at < piece.until
                        and value is not null and quality <= $10
                ) found
            ) parts
        ) placed
        {window}
    ) beside
    group by 1, 2
) buckets
group by series
"""

_ANY_NUMBER = 2**31 - 1


async def figures(
    connection: asyncpg.Connection,
    series: Sequence[int],
    *,
    edges: Sequence[datetime],
    wanted: Collection[Figure],
    worst: Quality,
    as_of: datetime | None,
) -> list[Figures]:
    """From the coarsest roll-ups that are exact, where there are any for such a question."""
    names, found = list(wanted), None
    if as_of is None and worst is not Quality.BAD and (widths := usable(edges)):
        found = await _from_rollups(connection, list(dict.fromkeys(series)), edges, names, worst, widths)
    if found is None:
        found = await _from_readings(connection, series, edges, names, worst, as_of)
    by_series = {one: (buckets, columns) for one, buckets, *columns in found}
    return [_figures(names, *by_series.get(one, ((), [()] * len(names))), len(edges) - 1) for one in series]


async def _from_readings(
    connection: asyncpg.Connection,
    series: Sequence[int],
    edges: Sequence[datetime],
    names: Sequence[Figure],
    worst: Quality,
    as_of: datetime | None,
) -> list[Any]:
    question = _BUCKETS.format(
        found=found_in(as_of),
        columns=", ".join(f"array_agg({name.lower()})" for name in names),
        figures=", ".join(f"{_FIGURES[name]} as {name.lower()}" for name in names),
    )
    found: list[Any] = await connection.fetch(question, as_of, series, edges[0], edges[-1], QUALITY_CODE[worst], edges)
    return found


async def _from_rollups(
    connection: asyncpg.Connection,
    series: Sequence[int],
    edges: Sequence[datetime],
    names: Sequence[Figure],
    worst: Quality,
    widths: Sequence[timedelta],
) -> list[Any] | None:
    """None where they cannot tell. What is marked later than we look was written later than we were asked."""
    start, end = edges[0], edges[-1]
    rolled_to, dirty = start, dict[int, list[Span]]()
    for one, first_at, last_at in await connection.fetch(_STATE, series, start, end):
        if one is None:
            rolled_to = first_at
        else:
            dirty.setdefault(one, []).append(through(first_at, last_at))
    plain = list(pieces(start, end, widths=widths, rolled_to=rolled_to))
    if not any(piece.width for piece in plain):
        return None
    asked = [
        (one, piece)
        for one in series
        for piece in (
            plain if one not in dirty else pieces(start, end, widths=widths, rolled_to=rolled_to, dirty=dirty[one])
        )
    ]
    rolled = [(one, seconds(piece.width), piece.start, piece.end) for one, piece in asked if piece.width]
    raw = [(one, piece.start, piece.end) for one, piece in asked if not piece.width]
    question = _COMBINED.format(
        huge=HUGE,
        columns=", ".join(f"array_agg({name.lower()})" for name in names),
        figures=", ".join(f"{COMBINED[name]} as {name.lower()}" for name in names),
        beside=f", {BESIDE}" if NEEDS_BESIDE & set(names) else "",
        window="window inside as (partition by series, bucket order by first_at)" if NEEDS_BESIDE & set(names) else "",
    )
    found = await connection.fetch(
        question,
        *_columns(rolled, 4),
        *_columns(raw, 3),
        edges,
        0 if worst is Quality.GOOD else _ANY_NUMBER,
        QUALITY_CODE[worst],
    )
    if any(inexact for _, inexact, *_ in found):
        return None
    return [(one, *rest) for one, _, *rest in found]


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _figures(
    names: Sequence[Figure], buckets: Sequence[int], columns: Sequence[Sequence[object]], length: int
) -> Figures:
    return {name: _column(name, buckets, values, length) for name, values in zip(names, columns, strict=True)}


def _column(name: Figure, buckets: Sequence[int], values: Sequence[object], length: int) -> list[object]:
    column: list[object] = [0 if name is Figure.COUNT else None] * length
    for bucket, value in zip(buckets, values, strict=True):
        column[bucket - 1] = value
    return column

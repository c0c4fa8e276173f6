"""Questions to the readings, answered as columns: one row per series, so that nothing is built per reading."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from domain.points import Quality, Track
from gateways.timescale.writer import QUALITY_CODE

_RAW = """
select series, array_agg(at order by at), array_agg(value order by at)
from (
    select series, at, value from reading
    where series = any($1::bigint[]) and at >= $2 and at < $3 and value is not null
    limit $4
) found
group by series
"""

# width_bucket finds the bucket by halving the edges: any edges will do, so days of 23 and 25 hours are the caller's.
# A sum over a count, since avg() keeps a sum of squares too, which costs time and overflows early.
_MEANS = """
select series, array_agg(bucket), array_agg(mean)
from (
    select series, width_bucket(at, $2::timestamptz[]) as bucket, sum(value) / count(*) as mean
    from reading
    where series = any($1::bigint[]) and at >= $3 and at < $4 and value is not null
        and quality < $5
    group by 1, 2
) buckets
group by series
"""


async def raw(
    connection: asyncpg.Connection, series: Sequence[int], *, start: datetime, end: datetime, limit: int
) -> list[Track]:
    """One reading more than `limit` at most, so that the caller sees that there are too many."""
    found = await connection.fetch(_RAW, series, start, end, limit + 1)
    tracks = {one: Track(timestamps, values) for one, timestamps, values in found}
    return [tracks.get(one) or Track([], []) for one in series]


async def means(
    connection: asyncpg.Connection, series: Sequence[int], *, edges: Sequence[datetime]
) -> list[list[float | None]]:
    found = await connection.fetch(_MEANS, series, edges, edges[0], edges[-1], QUALITY_CODE[Quality.BAD])
    columns = {one: _column(buckets, values, len(edges) - 1) for one, buckets, values in found}
    return [columns[one] if one in columns else [None] * (len(edges) - 1) for one in series]


def _column(buckets: Sequence[int], values: Sequence[float], length: int) -> list[float | None]:
    column: list[float | None] = [None] * length
    for bucket, value in zip(buckets, values, strict=True):
        column[bucket - 1] = value
    return column

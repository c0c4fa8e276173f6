"""Readings that nobody wants any more, with all that was made of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from gateways.timescale.partitions import TABLES
from gateways.timescale.rollups import WIDTHS, floor

ROWS = 10_000  # in one transaction

_SOME = """
delete from {table} where ({key}) in (
    select {key} from {table} where series = any($1::bigint[]) and at < $2 limit $3
)
"""
_KEYS = {"reading": "series, at", "reading_superseded": "series, at, version", "reading_rollup": "series, width_s, at"}
_CUT = "delete from reading_rollup where series = any($1::bigint[]) and at >= $2 and at < $3"
_MARK = "insert into reading_dirty (series, first_at, last_at) select series, $2, $3 from unnest($1::bigint[]) series"
_DROP = "select drop_reading_partitions($1, $2)"


async def forget(connection: asyncpg.Connection, series: Sequence[int], before: datetime) -> None:
    """The roll-ups last: until then they tell of what is going. Those of the last day are to be made again."""
    last_day = floor(before, WIDTHS[0])
    for table, key in _KEYS.items():
        some, until = _SOME.format(table=table, key=key), last_day if table == "reading_rollup" else before
        while (await connection.execute(some, series, until, ROWS)).endswith(f" {ROWS}"):
            pass
    if last_day < before:
        async with connection.transaction():
            await connection.execute(_CUT, series, last_day, before)
            await connection.execute(_MARK, series, last_day, before - timedelta.resolution)


async def forget_months(connection: asyncpg.Connection, before: datetime) -> None:
    """One table after the other, as `drop_reading_partitions` has it."""
    for table in TABLES:
        await connection.execute(_DROP, before, table)

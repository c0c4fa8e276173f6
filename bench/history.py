"""How long questions to the history store take, and how that grows with its table, beside the same SQL by hand.

Ten series, a reading every 15 s for a year, in the order of time as they would have come: 21 million. The SQL by hand
is asked on asyncpg, of the readings and of the roll-ups, turn by turn with ours, each time of another day and series.
Ours decides first which roll-ups are exact, and so asks twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import asyncpg

from bench.rows import Row, table
from domain.points import Figure
from gateways.timescale import TimescaleStore
from voltgraph.database import plain_url
from voltgraph.embedded import Urls, throwaway
from voltgraph.migrate import migrate

SERIES = list(range(1, 11))
EVERY = timedelta(seconds=15)
DAYS, DAYS_AT_FIRST = 365, 18
TIMES = 200
DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
END = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

_FILL = """
insert into reading (series, at, value)
select series, at, 1000 * sin(extract(epoch from at)::bigint % 86400 / 13751.0) + series
from generate_series($1::timestamptz, $2::timestamptz - $4::interval, $4::interval) at, unnest($3::bigint[]) series
"""
_MARK = "insert into reading_dirty (series, first_at, last_at) select series, $1, $2 from unnest($3::bigint[]) series"
_RAW = """
select series, date_bin($4, at, 'epoch') as bucket, avg(value) from reading
where series = any($1::bigint[]) and at >= $2 and at < $3 and quality <= 1 group by 1, 2 order by 1, 2
"""
_ROLLUPS = """
select series, at, sum / count from reading_rollup
where series = any($1::bigint[]) and at >= $2 and at < $3 and width_s = $4 order by 1, 2
"""

Question = Callable[[list[int], datetime], Awaitable[Any]]


def run() -> list[Row]:
    with throwaway(fast=False) as urls:
        return asyncio.run(_measured(urls))


async def _measured(urls: Urls) -> list[Row]:
    await migrate(urls.database_owner, urls.database)
    url = plain_url(urls.database)
    async with TimescaleStore(url) as store:
        hand = await asyncpg.connect(url)
        try:
            return await _asked(store, hand)
        finally:
            await hand.close()


async def _asked(store: TimescaleStore, hand: asyncpg.Connection) -> list[Row]:
    of_a_day = [
        partial(_ours, store, length=DAY, width=QUARTER),
        partial(_by_hand, hand, _RAW, length=DAY, width=QUARTER),
        partial(_by_hand, hand, _ROLLUPS, length=DAY, width=900),
    ]
    of_a_year = [
        partial(_ours, store, length=DAYS * DAY, width=DAY),
        partial(_by_hand, hand, _RAW, length=DAYS * DAY, width=DAY),
        partial(_by_hand, hand, _ROLLUPS, length=DAYS * DAY, width=86_400),
    ]
    await _filled(store, hand, END - DAYS_AT_FIRST * DAY, END)
    few = await _times(of_a_day, days=DAYS_AT_FIRST, series=1)
    filled_s, rolled_s = await _filled(store, hand, END - DAYS * DAY, END - DAYS_AT_FIRST * DAY)
    many = await _times(of_a_day, days=DAYS, series=1)
    ten = await _times(of_a_day, days=DAYS, series=len(SERIES))
    year = await _times(of_a_year, days=DAYS, series=1, times=TIMES // 5)
    rows, added = _millions(DAYS), _millions(DAYS - DAYS_AT_FIRST)
    return [
        *_compared(f"24 hours at 15-minute means, {_millions(DAYS_AT_FIRST):.0f} million readings", few),
        *_compared(f"24 hours at 15-minute means, {rows:.0f} million readings", many),
        Row(
            "how that grows",
            _shown(many[0]),
            f"{_millions(DAYS_AT_FIRST):.0f} million {_shown(few[0])}",
            median(many[0]) / median(few[0]),
        ),
        *_compared("the same of ten points at once", ten),
        *_compared("a year at 1 day", year),
        Row(
            "readings rolled up, all four widths",
            f"{added * 1e6 / rolled_s:,.0f}/s",
            f"insert … select of them {added * 1e6 / filled_s:,.0f}/s",
            filled_s / rolled_s,
        ),
    ]


def _compared(what: str, times: list[list[float]]) -> list[Row]:
    ours, raw, rollups = times
    return [
        Row(what, _shown(ours), f"by hand of the readings {_shown(raw)}", median(ours) / median(raw)),
        Row(what, _shown(ours), f"by hand of the roll-ups {_shown(rollups)}", median(ours) / median(rollups)),
    ]


def _shown(times: list[float]) -> str:
    return f"p50 {median(times) * 1e3:.2f} ms, p95 {quantiles(times, n=20)[-1] * 1e3:.2f} ms"


def _millions(days: int) -> float:
    return len(SERIES) * days * (DAY / EVERY) / 1e6


async def _filled(
    store: TimescaleStore, hand: asyncpg.Connection, start: datetime, end: datetime
) -> tuple[float, float]:
    """As if it had come late: how long that took, and how long the roller took."""
    started = perf_counter()
    for n in range((end - start).days):
        day = start + n * DAY
        await hand.execute("select ensure_reading_partition($1)", date(day.year, day.month, 1))
        await hand.execute("select ensure_reading_partition($1, 'reading_rollup')", date(day.year, day.month, 1))
        await hand.execute(_FILL, day, day + DAY, SERIES, EVERY)
        await hand.execute(_MARK, day, day + DAY - EVERY, SERIES)
    filled = perf_counter()
    await store.roll()
    rolled = perf_counter()
    for name in ("reading", "reading_rollup"):
        await hand.execute(f"analyze {name}")
    return filled - started, rolled - filled


async def _times(questions: Sequence[Question], *, days: int, series: int, times: int = TIMES) -> list[list[float]]:
    """Warm, as most questions of a dashboard are; the answers are the same."""
    chance = Random(days + series)
    took: list[list[float]] = [[] for _ in questions]
    for turn in range(times + 10):
        asked, start = chance.sample(SERIES, series), END - chance.randint(1, days) * DAY
        answers = []
        for question, its in zip(questions, took, strict=True):
            started = perf_counter()
            answers.append(await question(asked, start))
            if turn >= 10:  # statements are prepared and planned
                its.append(perf_counter() - started)
        assert len({round(sum(answer), 3) for answer in answers}) == 1, "not the same answers"
    return took


async def _ours(
    store: TimescaleStore, series: list[int], start: datetime, *, length: timedelta, width: timedelta
) -> list[float]:
    start = min(start, END - length)
    edges = [start + n * width for n in range(length // width + 1)]
    found = await store.figures(series, edges=edges, wanted=[Figure.MEAN])
    return [value for figures in found for value in figures[Figure.MEAN]]


async def _by_hand(
    hand: asyncpg.Connection, sql: str, series: list[int], start: datetime, *, length: timedelta, width: Any
) -> list[float]:
    start = min(start, END - length)
    return [value for _, _, value in await hand.fetch(sql, series, start, start + length, width)]


if __name__ == "__main__":
    print(table(run()))

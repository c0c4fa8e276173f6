"""Roll-ups change no answer: whatever was written in whatever order, and whenever they were made."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.points import HOLD, Figure, Quality, Row
from gateways.timescale import TimescaleStore
from gateways.timescale.roller import Roller
from gateways.timescale.rollups import WIDTHS, Piece, Span, pieces, usable
from tests.gateways.timescale.waiting import until
from voltgraph.database import plain_url
from voltgraph.embedded import Urls

pytestmark = pytest.mark.anyio

SECOND, MINUTE, QUARTER, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 900, 3_600, 86_400))
MIDNIGHT = datetime(2026, 5, 4, tzinfo=UTC)

# --- which roll-ups a question is answered from ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "offset", "coarsest"),
    [
        (DAY, timedelta(), DAY),
        (DAY, -2 * HOUR, HOUR),  # days of Berlin
        (DAY, 5 * HOUR + 3 * QUARTER, QUARTER),  # days of Kathmandu
        (5 * MINUTE, timedelta(), MINUTE),
        (QUARTER, timedelta(), QUARTER),
        (90 * SECOND, timedelta(), None),
    ],
)
def test_no_bucket_of_a_roll_up_lies_across_an_edge(step: timedelta, offset: timedelta, coarsest: timedelta) -> None:
    edges = [MIDNIGHT + offset + n * step for n in range(8)]

    assert next(iter(usable(edges)), None) == coarsest
    cut = [edges[0] + 17 * SECOND, *edges[1:-1], edges[-1] - 3 * SECOND]
    assert next(iter(usable(cut)), None) == coarsest  # the first and the last may begin and end anywhere


def test_a_period_is_read_coarse_inside_and_finer_at_its_ends() -> None:
    start, end = MIDNIGHT - 61 * MINUTE - SECOND, MIDNIGHT + DAY + 2 * HOUR

    assert list(pieces(start, end, widths=WIDTHS, rolled_to=MIDNIGHT + 30 * DAY)) == [
        Piece(timedelta(), start, start + SECOND),
        Piece(MINUTE, start + SECOND, MIDNIGHT - HOUR),
        Piece(HOUR, MIDNIGHT - HOUR, MIDNIGHT),
        Piece(DAY, MIDNIGHT, MIDNIGHT + DAY),
        Piece(HOUR, MIDNIGHT + DAY, end),
    ]


def test_what_is_young_or_out_of_date_is_read_finer_and_in_the_end_raw() -> None:
    late = Span(MIDNIGHT + 90 * SECOND, MIDNIGHT + 95 * SECOND)

    assert list(
        pieces(
            MIDNIGHT - DAY,
            MIDNIGHT + HOUR,
            widths=[DAY, MINUTE],
            rolled_to=MIDNIGHT + 10 * MINUTE,
            dirty=[late],
        )
    ) == [
        Piece(DAY, MIDNIGHT - DAY, MIDNIGHT),
        Piece(MINUTE, MIDNIGHT, MIDNIGHT + MINUTE),
        Piece(timedelta(), MIDNIGHT + MINUTE, MIDNIGHT + 2 * MINUTE),
        Piece(MINUTE, MIDNIGHT + 2 * MINUTE, MIDNIGHT + 10 * MINUTE),
        Piece(timedelta(), MIDNIGHT + 10 * MINUTE, MIDNIGHT + HOUR),
    ]


seconds_of_a_week = st.one_of(st.integers(0, 7 * 86_400), st.integers(0, 7 * 24).map(lambda hour: hour * 3_600))


@given(
    ends=st.tuples(seconds_of_a_week, seconds_of_a_week).map(sorted),
    late=st.lists(st.tuples(seconds_of_a_week, st.integers(1, 100_000)), max_size=8),
    rolled_s=seconds_of_a_week,
)
def test_pieces_follow_each_other_and_none_but_readings_is_young_or_out_of_date(
    ends: list[int], late: list[tuple[int, int]], rolled_s: int
) -> None:
    start, end, rolled_to = (MIDNIGHT + second * SECOND for second in (*ends, rolled_s))
    dirty = [Span(MIDNIGHT + first * SECOND, MIDNIGHT + (first + length) * SECOND) for first, length in late]

    found = list(pieces(start, end, widths=WIDTHS, rolled_to=rolled_to, dirty=dirty))

    assert [piece.start for piece in found] + [end] == [start] + [piece.end for piece in found]
    for width, begins, ends_at in found:
        if width:
            assert not (begins - MIDNIGHT) % width
            assert not (ends_at - MIDNIGHT) % width
            assert ends_at <= rolled_to
            assert not any(span.start < ends_at and begins < span.end for span in dirty)


# --- the same answers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Write:
    """Of each the series, seconds since the day's beginning, the value, the quality and the version."""

    readings: Sequence[tuple[int, int, int | None, Quality, int]]


@dataclass(frozen=True)
class Roll:
    """So many minutes into the day; back is not possible, but what is late is mended."""

    minutes: int


@dataclass(frozen=True)
class Ask:
    step: timedelta
    start_s: int
    length: int
    cut_s: int
    worst: Quality


moments = st.one_of(
    st.integers(-26 * 60, 26 * 60).map(lambda minute: minute * 60),
    st.integers(-20, 200),  # many in the same minutes
    st.integers(-DAY // SECOND, DAY // SECOND),
)
writes = st.lists(
    st.tuples(
        st.integers(0, 1),
        moments,
        st.one_of(st.none(), st.integers(-50, 50)),
        st.sampled_from([Quality.GOOD, Quality.GOOD, Quality.UNCERTAIN, Quality.BAD]),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=25,
).map(Write)
rolls = st.integers(-10, 26 * 60).map(Roll)
asks = st.builds(
    Ask,
    step=st.sampled_from([SECOND, MINUTE, 7 * MINUTE, QUARTER, HOUR, 6 * HOUR, DAY]),
    start_s=st.sampled_from([-DAY // SECOND, -2 * 3_600, -900, 0, 60, 37]),
    length=st.integers(1, 12),
    cut_s=st.sampled_from([0, 0, 1, 100, 4_000]),
    worst=st.sampled_from([Quality.UNCERTAIN, Quality.UNCERTAIN, Quality.GOOD, Quality.BAD]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(writes, writes, rolls, asks), max_size=8), last=asks)
async def test_figures_are_those_of_plain_arithmetic_whenever_roll_ups_are_made(
    timescale: TimescaleStore,
    application: asyncpg.Connection,
    series: Iterator[int],
    steps: Sequence[Write | Roll | Ask],
    last: Ask,
) -> None:
    """Around what is closed just now, so that of what is written some is late and some is not."""
    numbers = [next(series), next(series)]
    day = await today(application)
    kept: dict[tuple[int, datetime], Row] = {}
    for step in [*steps, Ask(HOUR, -DAY // SECOND, 50, 0, Quality.UNCERTAIN), last, Roll(0), last]:
        match step:
            case Write(readings):
                rows = [
                    Row(numbers[n], day + second * SECOND, value, None, quality, version=version)
                    for n, second, value, quality, version in readings
                ]
                assert await timescale.write(rows) == []
                for row in rows:
                    known = kept.get((row.series, row.at))
                    if known is None or row.version >= known.version:
                        kept[row.series, row.at] = row
            case Roll(minutes):
                await timescale.roll(until=day + minutes * MINUTE)
            case Ask(step=width, start_s=start_s, length=length, cut_s=cut_s, worst=worst):
                edges = [day + start_s * SECOND + n * width for n in range(length + 1)]
                edges[0] -= cut_s * SECOND
                edges[-1] += cut_s * SECOND
                found = await timescale.figures(numbers, edges=edges, wanted=list(Figure), worst=worst)
                assert [columns(each) for each in found] == [
                    plainly([row for row in kept.values() if row.series == number], edges, worst) for number in numbers
                ]


async def today(application: asyncpg.Connection) -> datetime:
    """The beginning of the day (UTC) that is not closed yet, or not all of it."""
    closed_to: datetime = await application.fetchval("select closed_to from reading_rolled")
    return closed_to.replace(hour=0, minute=0, second=0, microsecond=0)


def columns(found: Any) -> dict[Figure, list[Any]]:
    return {figure: list(found[figure]) for figure in Figure}


def plainly(rows: Sequence[Row], edges: Sequence[datetime], worst: Quality) -> dict[Figure, list[Any]]:
    counts = list(Quality)[: list(Quality).index(worst) + 1]
    buckets: list[list[Row]] = [[] for _ in edges[1:]]
    for row in sorted(rows, key=lambda row: row.at):
        if edges[0] <= row.at < edges[-1] and row.value is not None and row.quality in counts:
            buckets[bisect_right(edges, row.at) - 1].append(row)
    return {figure: [plain(bucket) for bucket in buckets] for figure, plain in PLAIN.items()}


def if_any(plain: Callable[[list[datetime], list[float]], Any]) -> Callable[[list[Row]], Any]:
    return lambda bucket: plain([row.at for row in bucket], [row.value or 0.0 for row in bucket]) if bucket else None


PLAIN: dict[Figure, Callable[[list[Row]], Any]] = {
    Figure.COUNT: len,
    Figure.SUM: if_any(lambda _, values: sum(values)),
    Figure.MEAN: if_any(lambda _, values: sum(values) / len(values)),
    Figure.MIN: if_any(lambda _, values: min(values)),
    Figure.MAX: if_any(lambda _, values: max(values)),
    Figure.FIRST: if_any(lambda _, values: values[0]),
    Figure.FIRST_AT: if_any(lambda at, _: at[0]),
    Figure.LAST: if_any(lambda _, values: values[-1]),
    Figure.LAST_AT: if_any(lambda at, _: at[-1]),
    Figure.AREA: if_any(
        lambda at, values: sum(
            value * min(later - earlier, HOLD).total_seconds()
            for (earlier, later), value in zip(pairwise(at), values, strict=False)
        )
    ),
    Figure.COVERED: if_any(
        lambda at, _: sum(min(later - earlier, HOLD).total_seconds() for earlier, later in pairwise(at))
    ),
    Figure.DROPS: if_any(lambda _, values: sum(later < earlier for earlier, later in pairwise(values))),
}


async def test_a_long_question_is_answered_without_the_readings(
    timescale: TimescaleStore, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    """As can be seen where they are taken away behind the store's back."""
    one = next(series)
    await timescale.write([Row(one, MIDNIGHT + n * HOUR, n, None, Quality.GOOD) for n in range(72)])
    await timescale.roll()
    await owner.execute("delete from reading where series = $1", one)

    edges = [MIDNIGHT + n * DAY for n in range(4)]
    (found,) = await timescale.figures([one], edges=edges, wanted=[Figure.SUM, Figure.COUNT])
    assert found == {Figure.SUM: [sum(range(n, n + 24)) for n in (0, 24, 48)], Figure.COUNT: [24, 24, 24]}
    for width in (60, 900, 3_600):
        query = "select count(*) from reading_rollup where series = $1 and width_s = $2"
        assert await application.fetchval(query, one, width) == 72


async def test_what_is_forgotten_is_in_no_roll_up(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    await timescale.write([Row(one, MIDNIGHT + n * HOUR, 1, None, Quality.GOOD) for n in range(72)])
    await timescale.roll()
    edges = [MIDNIGHT + n * DAY for n in range(4)]

    for _ in range(2):  # before and after they are made again
        await timescale.forget([one], before=MIDNIGHT + 30 * HOUR + SECOND)
        (found,) = await timescale.figures([one], edges=edges, wanted=[Figure.COUNT])
        assert found == {Figure.COUNT: [0, 17, 24]}
        await timescale.roll()
    days = "select count from reading_rollup where series = $1 and width_s = 86400 order by at"
    assert [count for (count,) in await application.fetch(days, one)] == [17, 24]


async def test_numbers_too_large_to_add_up_hold_nobody_else_up(
    timescale: TimescaleStore, series: Iterator[int]
) -> None:
    huge, one = next(series), next(series)
    await timescale.write(
        [Row(huge, MIDNIGHT + n * SECOND, value, None, Quality.GOOD) for n, value in enumerate([1e308, -1e308, 1e308])]
    )
    await timescale.write([Row(huge, MIDNIGHT + MINUTE, 1e308, None, Quality.GOOD)])
    await timescale.write([Row(one, MIDNIGHT + n * SECOND, 1, None, Quality.GOOD) for n in range(3)])
    await timescale.roll()

    edges = [MIDNIGHT, MIDNIGHT + MINUTE, MIDNIGHT + 2 * MINUTE]
    found = await timescale.figures([huge, one], edges=edges, wanted=[Figure.SUM, Figure.MAX])
    assert [list(each[Figure.SUM]) for each in found] == [[1e308, 1e308], [3, None]]
    assert [list(each[Figure.MAX]) for each in found] == [[1e308, 1e308], [1, None]]


# --- who does it -----------------------------------------------------------------------------------------------------


async def test_what_is_written_now_is_not_marked_and_what_is_late_is(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    late, young = next(series), next(series)
    closed_to = await application.fetchval("select closed_to from reading_rolled")
    await timescale.write([Row(late, closed_to - SECOND, 1, None, Quality.GOOD)])
    await timescale.write([Row(young, closed_to + 100 * DAY, 1, None, Quality.GOOD)])

    marked = "select count(*) from reading_dirty where series = $1"
    assert (await application.fetchval(marked, late), await application.fetchval(marked, young)) == (1, 0)
    assert (await timescale.rolled()).marks > 0
    await timescale.roll()
    assert await application.fetchval(marked, late) == 0


async def test_a_writer_under_way_is_waited_for_before_its_time_is_closed(
    urls: Urls, timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    """Else its readings would be in no roll-up, and nobody would know."""
    one = next(series)
    async with asyncpg.create_pool(plain_url(urls.database), min_size=1, max_size=1) as pool, pool.acquire() as writer:
        transaction = writer.transaction()
        await transaction.start()
        closed_to = await writer.fetchval("select reading_closed_to()")
        rolling = asyncio.create_task(timescale.roll(until=closed_to + 2 * MINUTE))
        await until(
            lambda: application.fetchval(
                "select count(*) > 0 from pg_stat_activity where wait_event = 'advisory' "
                "and query like '%readings are closed%'"
            )
        )
        await writer.execute("insert into reading (series, at, value) values ($1, $2, 7)", one, closed_to + SECOND)
        await transaction.commit()
    await rolling

    edges = [closed_to, closed_to + MINUTE]
    rolled = "select sum from reading_rollup where series = $1 and width_s = 60 and at = $2"
    assert await application.fetchval(rolled, one, closed_to) == 7
    (found,) = await timescale.figures([one], edges=edges, wanted=[Figure.SUM])
    assert found == {Figure.SUM: [7]}


async def test_many_write_late_and_ask_while_roll_ups_are_made(
    urls: Urls, timescale: TimescaleStore, series: Iterator[int]
) -> None:
    """Two processes roll up at once; in the end no reading is missing, and meanwhile none that was acknowledged."""
    one = next(series)
    edges = [MIDNIGHT, MIDNIGHT + DAY]
    acknowledged = 0

    async def write(store: TimescaleStore, start: int) -> None:
        nonlocal acknowledged
        for n in range(start, 400, 4):
            await store.write([Row(one, MIDNIGHT + n * MINUTE + m * SECOND, 1, None, Quality.GOOD) for m in range(3)])
            acknowledged += 3

    async def ask_and_roll(store: TimescaleStore) -> None:
        for _ in range(25):
            before = acknowledged
            (found,) = await store.figures([one], edges=edges, wanted=[Figure.COUNT])
            assert found[Figure.COUNT][0] >= before
            await store.roll()

    async with TimescaleStore(plain_url(urls.database)) as other:
        stores = [timescale, other]
        await asyncio.gather(
            *(write(stores[n % 2], n) for n in range(4)), *(ask_and_roll(stores[n % 2]) for n in range(2))
        )
    await timescale.roll()

    (found,) = await timescale.figures([one], edges=edges, wanted=[Figure.COUNT, Figure.AREA])
    assert found == {Figure.COUNT: [1_200], Figure.AREA: [399 * 60 + 2]}


class Stumbling(Roller):
    """Its first pass fails, in a way that nobody has thought of."""

    passes = 0

    async def roll(self, **how: Any) -> None:
        self.passes += 1
        if self.passes == 1:
            raise asyncpg.InternalClientError("got result for unknown protocol state")


async def test_a_pass_that_fails_is_not_the_last(urls: Urls) -> None:
    async with asyncpg.create_pool(plain_url(urls.database), min_size=0, max_size=1) as pool:
        roller = Stumbling(pool)
        async with roller.running(every_s=0.01), asyncio.timeout(60):
            while roller.passes < 2:  # noqa: ASYNC110  # the next pass has no event
                await asyncio.sleep(0.01)


async def test_a_process_that_serves_rolls_up_by_itself(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    await timescale.write([Row(one, MIDNIGHT, 1, None, Quality.GOOD)])
    there = "select count(*) > 0 from reading_rollup where series = $1"

    async with timescale.rolling():
        await until(lambda: application.fetchval(there, one))

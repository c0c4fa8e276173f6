"""What every history store does, whatever it is made of."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from math import fsum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.points import Figure, HistoryStore, Quality, Row, Sample, Source, Track

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
EARLY, LATE = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def row(
    series: int, at: datetime, value: float | None, *, text: str | None = None, quality: Quality = Quality.GOOD
) -> Row:
    return Row(series, at, value, text, quality)


async def ever(store: HistoryStore, series: list[int]) -> list[Track]:
    return await store.raw(series, start=EARLY, end=LATE, limit=1_000_000)


async def means(store: HistoryStore, series: list[int], *, edges: list[datetime]) -> list[list[float | None]]:
    return [list(found[Figure.MEAN]) for found in await store.figures(series, edges=edges, wanted=[Figure.MEAN])]


async def test_what_was_written_is_read_in_the_order_of_time(store: HistoryStore, series: Iterator[int]) -> None:
    one, other = next(series), next(series)
    assert await store.write([row(one, NOON + SECOND, 2), row(other, NOON, -7.5), row(one, NOON, 1)]) == []

    assert await ever(store, [other, one]) == [
        Track([NOON], [-7.5]),
        Track([NOON, NOON + SECOND], [1, 2]),
    ]


async def test_nothing_written_is_nothing_to_wait_for(store: HistoryStore) -> None:
    assert await store.write([]) == []


async def test_a_period_includes_its_start_and_not_its_end(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    await store.write([row(one, NOON + n * SECOND, n) for n in range(-1, 4)])

    assert await store.raw([one], start=NOON, end=NOON + 2 * SECOND, limit=10) == [Track([NOON, NOON + SECOND], [0, 1])]
    assert await means(store, [one], edges=[NOON, NOON + SECOND, NOON + 2 * SECOND]) == [[0, 1]]


async def test_microseconds_and_zones_are_exact(store: HistoryStore, series: Iterator[int]) -> None:
    one, at = next(series), datetime(2026, 6, 1, 12, 0, 0, 123_457, tzinfo=UTC)
    await store.write([row(one, at.astimezone(timezone(timedelta(hours=5, minutes=45))), 0.1)])

    assert await ever(store, [one]) == [Track([at], [0.1])]


@pytest.mark.parametrize("value", [0.0, -0.0, 1e308, -1e308, 5e-324, 2.0**53, 1 / 3])
async def test_a_double_comes_back_as_it_went(store: HistoryStore, series: Iterator[int], value: float) -> None:
    one = next(series)
    await store.write([row(one, NOON, value)])

    assert [repr(found) for found in (await ever(store, [one]))[0].values] == [repr(value)]


async def test_of_readings_at_one_moment_the_last_written_is_kept(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    await store.write([row(one, NOON, 1), row(one, NOON, 2), row(one, NOON, 3)])
    assert await ever(store, [one]) == [Track([NOON], [3])]

    await store.write([row(one, NOON, 1)])
    assert await ever(store, [one]) == [Track([NOON], [1])]


async def test_a_number_may_be_withdrawn(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    await store.write([row(one, NOON, 1)])
    await store.write([row(one, NOON, None, quality=Quality.BAD)])

    assert await ever(store, [one]) == [Track([], [])]


async def test_texts_are_taken_and_are_no_numbers(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    text = "Motor läuft — 電動機 \U0001f50c\t'\"\\"
    assert await store.write([row(one, NOON, None, text=text), row(one, NOON + SECOND, 4, text="Charging")]) == []

    assert await ever(store, [one]) == [Track([NOON + SECOND], [4])]
    assert await means(store, [one], edges=[NOON, NOON + HOUR]) == [[4]]


async def test_what_a_device_calls_bad_is_shown_raw_and_moves_no_mean(
    store: HistoryStore, series: Iterator[int]
) -> None:
    one = next(series)
    await store.write(
        [
            row(one, NOON, 10),
            row(one, NOON + SECOND, 20, quality=Quality.UNCERTAIN),
            row(one, NOON + 2 * SECOND, 9_999, quality=Quality.BAD),
            row(one, NOON + HOUR, 9_999, quality=Quality.BAD),
        ]
    )

    assert (await ever(store, [one]))[0].values == [10, 20, 9_999, 9_999]
    assert await means(store, [one], edges=[NOON, NOON + HOUR, NOON + 2 * HOUR]) == [[15, None]]


async def test_a_bucket_without_readings_has_no_mean(store: HistoryStore, series: Iterator[int]) -> None:
    one, silent = next(series), next(series)
    await store.write([row(one, NOON, 1), row(one, NOON + 3 * HOUR, 2)])

    edges = [NOON + n * HOUR for n in range(-1, 5)]
    assert await means(store, [silent, one, silent], edges=edges) == [[None] * 5, [None, 1, None, None, 2], [None] * 5]


async def test_buckets_are_as_long_as_their_edges_say(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    await store.write([row(one, NOON + n * SECOND, n) for n in range(100)])

    edges = [NOON + n * SECOND for n in (0, 1, 10, 97, 500)]
    assert await means(store, [one], edges=edges) == [[0, 5, 53, 98]]


async def test_large_values_have_a_mean(store: HistoryStore, series: Iterator[int]) -> None:
    """Where squares are summed up too, this overflows."""
    one = next(series)
    await store.write([row(one, NOON, 1e200), row(one, NOON + SECOND, 3e200)])

    assert await means(store, [one], edges=[NOON, NOON + HOUR]) == [[2e200]]


async def test_reading_stops_soon_after_the_limit(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    await store.write([row(one, NOON + n * SECOND, n) for n in range(100)])

    found = await store.raw([one], start=NOON, end=NOON + HOUR, limit=10)

    assert 10 < len(found[0].values) < 100


async def test_readings_stand_in_their_months_from_1970_to_the_far_future(
    store: HistoryStore, series: Iterator[int]
) -> None:
    one = next(series)
    moments = [
        datetime(1969, 12, 31, 23, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2150, 1, 1, tzinfo=UTC),
    ]
    await store.write([row(one, at, n) for n, at in enumerate(moments)])

    assert await ever(store, [one]) == [Track(moments, list(range(7)))]
    january = [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)]
    assert await means(store, [one], edges=january) == [[3, 4]]


async def test_a_hundred_thousand_rows_over_two_months(store: HistoryStore, series: Iterator[int]) -> None:
    start, one = datetime(2026, 4, 30, 12, tzinfo=UTC), next(series)
    rows = [row(one, start + n * SECOND, n % 7) for n in range(100_000)]
    assert await store.write(rows) == []

    found = (await ever(store, [one]))[0]
    assert found == Track([each.at for each in rows], [each.value for each in rows if each.value is not None])


async def test_many_write_the_same_readings_at_once(store: HistoryStore, series: Iterator[int]) -> None:
    """In every order: neither a deadlock nor a row twice."""
    one, other = next(series), next(series)
    rows = [row(number, NOON + n * SECOND, n) for n in range(200) for number in (one, other)]
    await asyncio.wait_for(asyncio.gather(*(store.write(rows[::step]) for step in (1, -1) * 10)), timeout=120)

    expected = Track([NOON + n * SECOND for n in range(200)], list(range(200)))
    assert await ever(store, [one, other]) == [expected, expected]


quarters = st.integers(0, 4 * 24 * 40).map(lambda n: datetime(2026, 3, 15, tzinfo=UTC) + n * timedelta(minutes=15))
readings = st.lists(
    st.tuples(st.integers(0, 2), quarters, st.one_of(st.none(), st.integers(-1000, 1000)), st.sampled_from(Quality)),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings=readings, edges=st.lists(quarters, min_size=2, max_size=20, unique=True).map(sorted))
async def test_means_are_those_of_plain_arithmetic(
    store: HistoryStore,
    series: Iterator[int],
    readings: list[tuple[int, datetime, int | None, Quality]],
    edges: list[datetime],
) -> None:
    numbers = [next(series) for _ in range(3)]
    await store.write([row(numbers[n], at, value, quality=quality) for n, at, value, quality in readings])

    kept = {(n, at): (value, quality) for n, at, value, quality in readings}  # the last one at each moment
    expected: list[list[float | None]] = []
    for n in range(3):
        buckets: list[list[float]] = [[] for _ in edges[1:]]
        for (number, at), (value, quality) in kept.items():
            if number == n and edges[0] <= at < edges[-1] and value is not None and quality is not Quality.BAD:
                buckets[bisect_right(edges, at) - 1].append(value)
        expected.append([fsum(bucket) / len(bucket) if bucket else None for bucket in buckets])
    assert await means(store, numbers, edges=edges) == expected


async def test_the_figures_of_a_bucket_are_those_of_its_numbers(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    written = [(0, 4.0), (10, 1.0), (20, 9.0), (30, 6.0), (7_200, 5.0)]
    await store.write([row(one, NOON + seconds * SECOND, value) for seconds, value in written])

    (found,) = await store.figures(
        [one], edges=[NOON, NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR], wanted=list(Figure)
    )

    at = [NOON + seconds * SECOND for seconds, _ in written]
    assert {name: list(column) for name, column in found.items()} == {
        Figure.COUNT: [4, 0, 1],
        Figure.SUM: [20, None, 5],
        Figure.MEAN: [5, None, 5],
        Figure.MIN: [1, None, 5],
        Figure.MAX: [9, None, 5],
        Figure.FIRST: [4, None, 5],
        Figure.FIRST_AT: [at[0], None, at[4]],
        Figure.LAST: [6, None, 5],
        Figure.LAST_AT: [at[3], None, at[4]],
        Figure.AREA: [10 * (4 + 1 + 9), None, 0],
        Figure.COVERED: [30, None, 0],
        Figure.DROPS: [2, None, 0],
    }


async def test_a_value_stands_for_an_hour_at_most(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    await store.write([row(one, NOON, 2), row(one, NOON + 10 * HOUR, 0)])

    (found,) = await store.figures([one], edges=[NOON, NOON + 24 * HOUR], wanted=[Figure.AREA, Figure.COVERED])

    assert found == {Figure.AREA: [2 * HOUR.total_seconds()], Figure.COVERED: [HOUR.total_seconds()]}


async def test_a_higher_version_corrects_and_a_lower_one_comes_too_late(
    store: HistoryStore, series: Iterator[int]
) -> None:
    one = next(series)
    await store.write([row(one, NOON, 1)._replace(version=2)])
    await store.write([row(one, NOON, 7)])
    assert await ever(store, [one]) == [Track([NOON], [1])]

    await store.write([row(one, NOON, 3)._replace(version=3), row(one, NOON, 2)._replace(version=2)])
    assert await ever(store, [one]) == [Track([NOON], [3])]


async def test_what_was_known_at_a_moment_can_be_asked_for(store: HistoryStore, series: Iterator[int]) -> None:
    one = next(series)
    before = datetime.now(UTC) - SECOND
    await store.write([row(one, NOON, 1), row(one, NOON + HOUR, 5)])
    between = datetime.now(UTC)
    await store.write([row(one, NOON, 2)._replace(version=2)])

    async def known(as_of: datetime) -> list[Track]:
        return await store.raw([one], start=EARLY, end=LATE, limit=10, as_of=as_of)

    assert await known(before) == [Track([], [])]
    assert await known(between) == [Track([NOON, NOON + HOUR], [1, 5])]
    assert await known(datetime.now(UTC)) == [Track([NOON, NOON + HOUR], [2, 5])]
    assert await store.last_before([one], at=NOON + HOUR, as_of=between) == [Sample(NOON, 1)]
    (found,) = await store.figures([one], edges=[NOON, NOON + HOUR], wanted=[Figure.MEAN], as_of=between)
    assert found == {Figure.MEAN: [1]}


@pytest.mark.parametrize("as_of", [None, LATE])
async def test_the_last_number_before_a_moment_is_found_however_old_it_is(
    store: HistoryStore, series: Iterator[int], as_of: datetime | None
) -> None:
    one, silent = next(series), next(series)
    await store.write(
        [
            row(one, NOON, 1),
            row(one, NOON + HOUR, None, text="offline"),
            row(one, NOON + HOUR + SECOND, 9, quality=Quality.BAD),
            row(one, NOON + 900 * 24 * HOUR, 2),
        ]
    )

    later = NOON + 900 * 24 * HOUR
    assert await store.last_before([silent, one], at=later, as_of=as_of) == [None, Sample(NOON, 1)]
    assert await store.last_before([one, silent], at=later + SECOND, as_of=as_of) == [Sample(later, 2), None]
    assert await store.last_before([one], at=NOON, as_of=as_of) == [None]


async def test_every_reading_comes_out_as_it_went_in(store: HistoryStore, series: Iterator[int]) -> None:
    one, other = next(series), next(series)
    written = [
        row(one, NOON, 1),
        row(one, NOON + SECOND, None, text="Charging", quality=Quality.UNCERTAIN)._replace(source=Source.IMPORTED),
        row(other, NOON - HOUR, 3)._replace(source=Source.ENTERED, version=4),
    ]
    await store.write(written)

    parts = [part async for part in store.rows([one, other], start=NOON - HOUR, end=NOON + HOUR)]

    assert [found for part in parts for found in part] == written


async def test_what_is_forgotten_is_gone_and_the_rest_is_not(store: HistoryStore, series: Iterator[int]) -> None:
    one, other = next(series), next(series)
    hours = [NOON + n * HOUR for n in range(48)]
    await store.write([row(number, at, 1) for number in (one, other) for at in hours])
    await store.write([row(one, at, 2)._replace(version=2) for at in hours])

    cut = NOON + 30 * HOUR + SECOND
    await store.forget([one], before=cut)

    assert [track.timestamps for track in await ever(store, [one, other])] == [hours[31:], hours]
    days = [datetime(2026, 6, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    found = await store.figures([one, other], edges=days, wanted=[Figure.COUNT, Figure.SUM])
    assert [list(each[Figure.COUNT]) for each in found] == [[0, 5, 12], [12, 24, 12]]
    assert [list(each[Figure.SUM]) for each in found] == [[None, 10, 24], [12, 24, 12]]
    known = await store.raw([one], start=EARLY, end=LATE, limit=100, as_of=datetime.now(UTC))
    assert known[0].timestamps == hours[31:]


async def test_what_is_forgotten_of_all_is_nothing_younger(store: HistoryStore, series: Iterator[int]) -> None:
    """A store may keep for longer what lies close before that moment: it lets go of months, or of weeks, as wholes."""
    one, cut = next(series), datetime(2000, 3, 1, tzinfo=UTC)
    moments = [cut - 31 * 24 * HOUR, cut - 14 * 24 * HOUR, cut, cut + 30 * 24 * HOUR]
    await store.write([row(one, at, 1) for at in moments])

    await store.forget_all(before=cut)

    assert (await ever(store, [one]))[0].timestamps == moments[2:]

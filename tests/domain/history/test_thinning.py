"""Fewer rows for a plot that looks the same."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.history import Column, Downsampling
from domain.history.thinning import ROWS_MIN, thinned
from domain.points import Reading
from tests.domain.history.asking import MINUTE, NOON, asked, columns, recorded
from tests.tester import Tester

pytestmark = pytest.mark.anyio

VALUES = st.one_of(st.none(), st.integers(-5, 5).map(float), st.floats(-1e9, 1e9))
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.tuples(st.integers(1, 500), *[VALUES] * width), min_size=2, max_size=200)
)


def taken(
    table: Sequence[tuple[Any, ...]], how: Downsampling, rows: int, *, gaps: bool
) -> tuple[list[int], list[list[float | None]], list[Column], list[int]]:
    """Times in seconds and columns before, columns after, and which rows were kept."""
    seconds = [0]
    for step, *_ in table:
        seconds.append(seconds[-1] + step)
    seconds.pop()
    before: list[list[float | None]] = [list(column) for column in list(zip(*table, strict=True))[1:]]
    timestamps = [NOON + timedelta(seconds=at) for at in seconds]
    times, after = thinned(timestamps, before, how, rows=rows, gaps=gaps)
    kept = [timestamps.index(at) for at in times]
    return seconds, before, after, kept


@given(table=TABLES, how=st.sampled_from(Downsampling), spare=st.integers(0, 60), gaps=st.booleans())
def test_rows_are_chosen_and_not_made_up(
    table: list[tuple[Any, ...]], how: Downsampling, spare: int, *, gaps: bool
) -> None:
    rows = ROWS_MIN * (len(table[0]) - 1) + spare
    _, before, after, kept = taken(table, how, rows, gaps=gaps)

    assert len(kept) <= rows
    assert kept == sorted(set(kept))
    assert {0, len(table) - 1} <= set(kept)
    for column, shown in zip(before, after, strict=True):
        there = {row: value for row, value in zip(kept, shown, strict=True) if value is not None}
        assert there == {row: column[row] for row in there}
        assert gaps or shown == [column[row] for row in kept]
        numbers = [row for row, value in enumerate(column) if value is not None]
        if numbers:
            assert {numbers[0], numbers[-1]} <= there.keys()
    if len(table) <= rows:
        assert kept == list(range(len(table)))


@given(table=TABLES, rows=st.integers(3 * ROWS_MIN, 80), gaps=st.booleans())
def test_min_max_loses_no_peak(table: list[tuple[Any, ...]], rows: int, *, gaps: bool) -> None:
    _, before, after, _ = taken(table, Downsampling.MIN_MAX, rows, gaps=gaps)

    for column, shown in zip(before, after, strict=True):
        numbers = [value for value in column if value is not None]
        left = [value for value in shown if value is not None]
        if numbers:
            assert (min(left), max(left)) == (min(numbers), max(numbers))


@given(
    table=st.one_of(TABLES, st.lists(st.tuples(st.just(60), *[VALUES] * 3), min_size=60, max_size=100)),
    how=st.sampled_from(Downsampling),
    rows=st.integers(3 * ROWS_MIN, 80),
)
def test_no_line_is_drawn_over_a_gap(table: list[tuple[Any, ...]], how: Downsampling, rows: int) -> None:
    _, before, after, kept = taken(table, how, rows, gaps=True)

    for column, shown in zip(before, after, strict=True):
        numbers = [index for index, value in enumerate(shown) if value is not None]
        for left, right in pairwise(numbers):
            if right == left + 1:
                assert None not in column[kept[left] : kept[right]]


@given(
    values=st.lists(st.integers(-1000, 1000), min_size=30, max_size=200),
    rows=st.integers(12, 25),
    shift=st.floats(-9, 9),
)
def test_the_largest_triangles_are_chosen(values: list[int], rows: int, shift: float) -> None:
    """Against Steinarsson's algorithm as his thesis has it (2013, section 4.2), written plainly."""
    table = [(1 + index % 3, value + shift) for index, value in enumerate(values)]
    seconds, (column,), _, kept = taken(table, Downsampling.LTTB, rows, gaps=True)

    line = [(float(at), float(value or 0)) for at, value in zip(seconds, column, strict=True)]
    assert kept == plain_lttb(line, rows)


def plain_lttb(line: list[tuple[float, float]], threshold: int) -> list[int]:
    inner, buckets = len(line) - 2, threshold - 2
    starts = [1 + number * inner // buckets for number in range(buckets)]
    parts = [
        [0],
        *([*range(a, b)] for a, b in zip(starts, [*starts[1:], len(line) - 1], strict=True)),
        [len(line) - 1],
    ]
    kept = [0]
    for part, after in pairwise(parts[1:]):
        ax, ay = line[kept[-1]]
        cx, cy = (sum(line[index][axis] for index in after) / len(after) for axis in (0, 1))
        areas = [abs((line[b][0] - ax) * (cy - ay) - (line[b][1] - ay) * (cx - ax)) for b in part]
        kept.append(part[areas.index(max(areas))])
    return [*kept, len(line) - 1]


async def test_a_plot_of_raw_values_gets_as_many_rows_as_it_asks_for(acme: Tester) -> None:
    await recorded(acme, *(Reading("a", NOON + n * MINUTE, 500 if n == 333 else n % 7) for n in range(600)))

    for how in Downsampling:
        found = await asked(acme, "a", max_points=20, downsampling=how)
        assert len(found.timestamps) <= 20
        assert found.timestamps[0] == NOON
        assert found.timestamps[-1] == NOON + 599 * MINUTE
        assert columns(found)[0][found.timestamps.index(NOON + 333 * MINUTE)] == 500


async def test_means_are_thinned_too_and_their_gaps_stay(acme: Tester) -> None:
    await recorded(acme, *(Reading("a", NOON + n * MINUTE, n) for n in range(600) if not 200 <= n < 400))

    found = await asked(acme, "a", to=NOON + 600 * MINUTE, resolution="PT1M", max_points=30)

    assert len(found.timestamps) <= 30
    values = columns(found)[0]
    assert values[0] == 0
    assert values[-1] == 599
    assert values[values.index(199) + 1] is None


def test_the_rows_of_others_draw_no_line_over_a_gap_either() -> None:
    """Two chargers that are read in turn: what one of them shows where only the other one's peak is."""
    minutes = range(400)
    phases = ([float(n % 50 == at) if n % 2 == at else None for n in minutes] for at in (0, 1))
    table = [(60, *row) for row in zip(*phases, strict=True)]

    for how in Downsampling:
        _, before, after, kept = taken(table, how, 40, gaps=True)
        for column, shown in zip(before, after, strict=True):
            for (left, one), (right, other) in pairwise(zip(kept, shown, strict=True)):
                assert None in (one, other) or None not in column[left:right]


async def test_too_few_rows_for_so_many_points_are_refused(acme: Tester) -> None:
    await recorded(acme, *(Reading(address, NOON, 1) for address in "ab"))

    for rows in (19, 0, -1):
        with pytest.raises(Invalid, match="maxPoints must be at least 10 for each point: 20"):
            await asked(acme, "a", "b", max_points=rows)
    assert len((await asked(acme, "a", "b", max_points=20)).timestamps) == 1

"""Fewer rows for a plot that looks the same: rows are chosen, never reckoned, so all that is shown was measured.

Each column chooses its rows; every column shows what it has at all rows that are chosen. The first and the last row
stay, and so do the first and the last number of each column. Where empty entries are gaps, one stays of each gap that
lies between two numbers that stay, so that no line is drawn over it; a number at a row that only others have chosen
gives way where it would be the end of such a line.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import accumulate, pairwise

from domain.errors import Invalid
from domain.history.columns import Column

ROWS_MIN = 10  # for each column


class Downsampling(StrEnum):
    MIN_MAX = "MIN_MAX"  # of equal parts of the time the least and the greatest: no peak is lost
    LTTB = "LTTB"  # largest triangle three buckets (Steinarsson, 2013): the shape of the line, with fewer rows


def check_rows(rows: int | None, *, columns: int) -> None:
    if rows is not None and rows < ROWS_MIN * columns:
        raise Invalid(f"maxPoints must be at least {ROWS_MIN} for each point: {ROWS_MIN * columns}", field="maxPoints")


def thinned(
    timestamps: Sequence[datetime], columns: Sequence[Column], how: Downsampling, *, rows: int, gaps: bool
) -> tuple[Sequence[datetime], list[Column]]:
    """At most `rows` rows; `gaps` says that an empty entry is a gap, not a time at which only others were read."""
    if len(timestamps) <= rows:
        return timestamps, list(columns)
    since = [(at - timestamps[0]).total_seconds() for at in timestamps]
    ends = 0 if all(None not in (column[0], column[-1]) for column in columns) else 2
    share = (rows - ends) // len(columns)
    chosen = [_chosen(since, column, how, share, gaps=gaps) for column in columns]
    kept = sorted({0, len(timestamps) - 1}.union(*chosen))
    shown = [
        _shown(column, kept, frozenset(own)) if gaps else [column[row] for row in kept]
        for column, own in zip(columns, chosen, strict=True)
    ]
    return [timestamps[row] for row in kept], shown


def _chosen(since: Sequence[float], column: Column, how: Downsampling, share: int, *, gaps: bool) -> Sequence[int]:
    numbers = [row for row, value in enumerate(column) if value is not None]
    if not numbers:
        return ()
    broken = gaps and numbers[-1] - numbers[0] >= len(numbers)
    chosen = _CHOOSE[how](since, column, numbers, share // 2 if broken else share)
    return [*chosen, *_breaks(column, chosen)] if broken else chosen


def _breaks(column: Column, chosen: Sequence[int]) -> Iterator[int]:
    """The first empty row between neighbors, where there is one."""
    for left, right in pairwise(chosen):
        for row in range(left + 1, right):
            if column[row] is None:
                yield row
                break


def _shown(column: Column, kept: Sequence[int], own: frozenset[int]) -> Column:
    """At the rows that are kept, its own among them, with a gap between two numbers wherever there is one."""
    empty = list(accumulate((value is None for value in column), initial=0))
    found: list[float | None] = []
    before = None  # the row of the number right before
    for row in kept:
        value = column[row]
        if value is not None and before is not None and empty[row] > empty[before]:
            if row in own:
                found[-1] = None
            else:
                value = None
        found.append(value)
        before = None if value is None else row
    return found


def _min_max(since: Sequence[float], column: Column, numbers: Sequence[int], share: int) -> Sequence[int]:
    if len(numbers) <= share:
        return numbers
    parts = (share - 2) // 2
    start, length = since[numbers[0]], since[numbers[-1]] - since[numbers[0]]
    least: dict[int, int] = {}
    greatest: dict[int, int] = {}
    for row in numbers:
        part = int((since[row] - start) / length * parts)
        value = column[row]
        if part not in least:
            least[part] = greatest[part] = row
        elif value < column[least[part]]:  # type: ignore[operator]  # numbers
            least[part] = row
        elif value > column[greatest[part]]:  # type: ignore[operator]
            greatest[part] = row
    return sorted({numbers[0], numbers[-1], *least.values(), *greatest.values()})


def _lttb(since: Sequence[float], column: Column, numbers: Sequence[int], share: int) -> Sequence[int]:
    """Of each bucket the number that makes the largest triangle with the one before and the mean of the next bucket."""
    count = len(numbers)
    if count <= share:
        return numbers
    values: list[float] = [column[row] for row in numbers]  # type: ignore[misc]
    times = [since[row] for row in numbers]
    edges = [1 + part * (count - 2) // (share - 2) for part in range(share - 1)]
    chosen = [0]
    for part in range(share - 2):
        start, end = edges[part], edges[part + 1]
        after = slice(end, edges[part + 2]) if part + 3 < share else slice(count - 1, count)
        length = after.stop - after.start
        next_time, next_value = sum(times[after]) / length, sum(values[after]) / length
        time, value = times[chosen[-1]], values[chosen[-1]]
        rise, run = next_value - value, next_time - time
        best, largest = start, -1.0
        for index in range(start, end):
            area = abs((times[index] - time) * rise - (values[index] - value) * run)
            if area > largest:
                best, largest = index, area
        chosen.append(best)
    chosen.append(count - 1)
    return [numbers[index] for index in chosen]


_CHOOSE = {Downsampling.MIN_MAX: _min_max, Downsampling.LTTB: _lttb}

"""What virtual points were: their readings, made of those of their inputs.

One has a reading whenever one of its inputs has one, which is what was shown live at that moment: the value of its
expression, of which each input stands until its next reading, at most for `HOLD`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import fsum, inf
from typing import NamedTuple, cast

from domain.errors import LimitExceeded
from domain.history.columns import Column, Function
from domain.history.standing import Stood, stands_until
from domain.points import HOLD, HistoryStore, Quality, Row
from domain.virtual_points import Composed, Composite

READINGS_MAX = 500_000  # of inputs, read for one virtual point
VALUES_MAX = 2_000_000  # of the columns of its inputs


class Stretch(NamedTuple):
    """For how long a value stood."""

    start: datetime
    end: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Made:
    """The readings of a virtual point, in the order of time; None where nothing comes out. `is_sure`: where nothing was
    missing or UNCERTAIN of what it is made of."""

    timestamps: Sequence[datetime]
    values: Column
    is_sure: Sequence[bool] = ()

    def numbers(self) -> list[tuple[datetime, float]]:
        return [(at, value) for at, value in zip(self.timestamps, self.values, strict=True) if value is not None]

    def figures(self, function: Function, edges: Sequence[datetime]) -> Column:
        """Of the numbers in each bucket; None where there are none, except that a COUNT is 0 there."""
        figure = _FIGURES[function]
        places = [bisect_left(self.timestamps, edge) for edge in edges]
        buckets = ([value for value in self.values[start:end] if value is not None] for start, end in pairwise(places))
        return [figure(values) if values or function is Function.COUNT else None for values in buckets]

    def stood(self, edges: Sequence[datetime], now: datetime) -> list[Stood]:
        """As `standing.stood`."""
        areas: list[list[float]] = [[] for _ in edges[1:]]
        covered = [0.0] * len(areas)
        for stretch in self._stretches(edges[-1], now):
            first = max(bisect_right(edges, stretch.start) - 1, 0)
            for bucket in range(first, len(areas)):
                if edges[bucket] >= stretch.end:
                    break
                seconds = (min(stretch.end, edges[bucket + 1]) - max(stretch.start, edges[bucket])).total_seconds()
                if seconds > 0:
                    areas[bucket].append(stretch.value * seconds)
                    covered[bucket] += seconds
        last = self.figures(Function.LAST, edges)
        return [Stood(_total(parts), seconds, one) for parts, seconds, one in zip(areas, covered, last, strict=True)]

    def _stretches(self, until: datetime, now: datetime) -> list[Stretch]:
        nexts = [*self.timestamps[1:], until]
        return [
            Stretch(at, end, value)
            for at, after, value in zip(self.timestamps, nexts, self.values, strict=False)  # perhaps there is none
            if value is not None and (end := min(after, stands_until(at, now), until)) > at
        ]


def _total(values: Sequence[float]) -> float:
    """Infinite where it is more than a number can be."""
    try:
        return fsum(values)
    except (OverflowError, ValueError):
        return inf


_FIGURES: dict[Function, Callable[[list[float]], float]] = {
    Function.MEAN: lambda values: _total(values) / len(values),
    Function.MIN: min,
    Function.MAX: max,
    Function.FIRST: lambda values: values[0],
    Function.LAST: lambda values: values[-1],
    Function.SUM: _total,
    Function.COUNT: len,
}


async def readings(
    store: HistoryStore,
    composite: Composite,
    composed: Composed,
    *,
    start: datetime,
    end: datetime,
    worst: Quality,
    as_of: datetime | None,
    with_quality: bool = False,
) -> Made:
    """One whenever an input was read in [start, end)."""
    inputs = {
        composed.measured[address].series: address for address in composite.inputs if address in composed.measured
    }
    read: dict[str, tuple[list[datetime], list[float | None]]] = {address: ([], []) for address in composite.inputs}
    good: dict[str, list[float | None]] = {address: [] for address in composite.inputs}
    count = 0
    if inputs:
        asking = store.rows(sorted(inputs), start=start - HOLD, end=end, as_of=as_of)
        async with aclosing(cast("AsyncGenerator[Sequence[Row], None]", asking)) as parts:
            async for rows in parts:
                count += len(rows)
                if count > READINGS_MAX:
                    raise too_much(composite)
                for row in rows:
                    address = inputs[row.series]
                    timestamps, values = read[address]
                    timestamps.append(row.at)
                    values.append(counted := _counted(row, worst))
                    if with_quality:
                        good[address].append(None if counted is None else float(row.quality is Quality.GOOD))
    moments = sorted({at for timestamps, _ in read.values() for at in timestamps if at >= start})
    if len(moments) * len(inputs) > VALUES_MAX:
        raise too_much(composite)
    standing = {address: _standing(*columns, moments) for address, columns in read.items()}
    before = await there_before(store, composite, composed, at=start - HOLD, as_of=as_of)
    since = {
        address: bisect_left(moments, timestamps[0]) if timestamps else len(moments)
        for address, (timestamps, _) in read.items()
        if address not in before
    }
    made = composite.values(standing, rows=len(moments), since=since)
    if not with_quality:
        return Made(moments, made)
    sure = {address: _standing(timestamps, good[address], moments) for address, (timestamps, _) in read.items()}
    matched_since = {address: row for address, row in since.items() if not composite.inputs[address]}
    return Made(moments, made, _all_sure(sure, rows=len(moments), since=matched_since))


def _all_sure(sure: Mapping[str, Column], *, rows: int, since: Mapping[str, int]) -> list[bool]:
    """Whether all inputs stood, and were GOOD; what a pattern matches only from its first reading on."""
    found = [True] * rows
    for address, column in sure.items():
        for row in range(since.get(address, 0), rows):
            if not column[row]:
                found[row] = False
    return found


async def there_before(
    store: HistoryStore, composite: Composite, composed: Composed, *, at: datetime, as_of: datetime | None
) -> set[str]:
    """Those of its inputs that count from the beginning: no pattern has them, or they were read before."""
    matched = sorted({address for found in composite.matches.values() for address in found} & composed.measured.keys())
    series = [composed.measured[address].series for address in matched]
    read = await store.last_before(series, at=at, worst=Quality.BAD, as_of=as_of) if series else []
    found = {address for address, sample in zip(matched, read, strict=True) if sample is not None}
    return found | (composite.inputs.keys() - set(matched))


def first_rows(columns: Mapping[str, Column], before: Collection[str]) -> dict[str, int]:
    """Of each input that was not there before, the first row in which there is anything of it."""
    return {
        address: next((row for row, value in enumerate(column) if value is not None), len(column))
        for address, column in columns.items()
        if address not in before
    }


def too_much(composite: Composite) -> LimitExceeded:
    return LimitExceeded(
        f"{composite.address} is made of more than can be read at once: ask for a shorter period, or for the mean of a "
        "sum",
        address=composite.address,
    )


def _counted(row: Row, worst: Quality) -> float | None:
    """What is BAD counts for nothing, as it does live; it ends what stood before."""
    sound = row.quality is Quality.GOOD or (row.quality is Quality.UNCERTAIN and worst is not Quality.GOOD)
    return row.value if sound else None


def _standing(timestamps: Sequence[datetime], values: Column, moments: Sequence[datetime]) -> Column:
    """What an input showed at each moment."""
    found: list[float | None] = []
    last = -1
    for at in moments:
        while last + 1 < len(timestamps) and timestamps[last + 1] <= at:
            last += 1
        found.append(values[last] if last >= 0 and at - timestamps[last] < HOLD else None)
    return found

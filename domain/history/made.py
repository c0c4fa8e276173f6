"""What virtual points were: their readings, made of those of their inputs.

One has a reading whenever one of its inputs has one, which is what was shown live at that moment: the value of its
expression, of which each input stands until its next reading, at most for `HOLD`. Computed in a thread of its own, so
that a question about much holds up nobody else.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
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


class Heard(NamedTuple):
    """What was read of one input; what is BAD counts for nothing, as it does live, but ends what stood before."""

    timestamps: list[datetime]
    values: list[float | None]
    good: list[bool]


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
    heard = await _heard(store, composite, composed, start=start - HOLD, end=end, worst=worst, as_of=as_of)
    before = await there_before(store, composite, composed, at=start - HOLD, as_of=as_of)
    return await asyncio.to_thread(_made, composite, heard, before, start, with_quality=with_quality)


async def _heard(
    store: HistoryStore,
    composite: Composite,
    composed: Composed,
    *,
    start: datetime,
    end: datetime,
    worst: Quality,
    as_of: datetime | None,
) -> dict[str, Heard]:
    heard = {address: Heard([], [], []) for address in composite.inputs}
    by_series = {
        composed.measured[address].series: one for address, one in heard.items() if address in composed.measured
    }
    if not by_series:
        return heard
    counting = {Quality.GOOD} if worst is Quality.GOOD else {Quality.GOOD, Quality.UNCERTAIN}
    count = 0
    asking = store.rows(sorted(by_series), start=start, end=end, as_of=as_of)
    async with aclosing(cast("AsyncGenerator[Sequence[Row], None]", asking)) as parts:
        async for rows in parts:
            count += len(rows)
            if count > READINGS_MAX:
                raise too_much(composite)
            for row in rows:
                timestamps, values, good = by_series[row.series]
                timestamps.append(row.at)
                values.append(row.value if row.quality in counting else None)
                good.append(row.quality is Quality.GOOD)
    return heard


def _made(
    composite: Composite, heard: Mapping[str, Heard], before: Collection[str], start: datetime, *, with_quality: bool
) -> Made:
    """`before` are those that were there before anything of this was read."""
    in_order = sorted(at for one in heard.values() for at in one.timestamps if at >= start)  # fast: they are, of each
    moments = [at for at, _ in groupby(in_order)]
    if len(moments) * len(heard) > VALUES_MAX:
        raise too_much(composite)
    places = {address: _standing(one.timestamps, moments) for address, one in heard.items()}
    standing: dict[str, Column] = {
        address: [None if place is None else one.values[place] for place in places[address]]
        for address, one in heard.items()
    }
    since = {
        address: bisect_left(moments, one.timestamps[0]) if one.timestamps else len(moments)
        for address, one in heard.items()
        if address not in before
    }
    values = composite.values(standing, rows=len(moments), since=since)
    if not with_quality:
        return Made(moments, values)
    is_sure = [True] * len(moments)
    for address, one in heard.items():
        first = 0 if composite.inputs[address] else since.get(address, 0)
        for row in range(first, len(moments)):
            place = places[address][row]
            is_sure[row] &= place is not None and one.good[place] and one.values[place] is not None
    return Made(moments, values, is_sure)


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


def _standing(timestamps: Sequence[datetime], moments: Sequence[datetime]) -> list[int | None]:
    """Which reading stood at each moment."""
    found: list[int | None] = []
    last = -1
    for at in moments:
        while last + 1 < len(timestamps) and timestamps[last + 1] <= at:
            last += 1
        found.append(last if last >= 0 and at - timestamps[last] < HOLD else None)
    return found

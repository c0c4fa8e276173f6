"""Columns of all points, measured or made of others: what virtual points were is computed where it is asked for.

A virtual point has a reading whenever one of its inputs has one, which is what was shown live at that moment: the value
of its expression, of which each input stands until its next reading, at most for `HOLD`. So is its history computed,
from the readings themselves, and so exactly. Means are computed from the means of the inputs where that makes none but
the same: where the expression is a sum of them, each times a number, perhaps with a constant.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import fsum
from typing import NamedTuple

from domain.actor import Actor
from domain.errors import LimitExceeded
from domain.expressions import Shape
from domain.history import columns as measured
from domain.history.columns import Buckets, Column, Function
from domain.history.energies import Kind, Periods, kind
from domain.history.energies import energies as measured_energies
from domain.history.registers import Counted
from domain.points import HOLD, HistoryStore, Point, Quality, Row, Sample, Track
from domain.virtual_points import Composed, Composite
from domain.work import Workplace

READINGS_MAX = 500_000  # of inputs, read for one virtual point
VALUES_MAX = 2_000_000  # of the columns of its inputs

_HOUR_S = 3600
_MEANS = {Function.MEAN, Function.TIME_WEIGHTED_MEAN}


class Stretch(NamedTuple):
    """For how long a value stood."""

    start: datetime
    end: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Made:
    """The readings of a virtual point, in the order of time; None where nothing comes out."""

    timestamps: Sequence[datetime]
    values: Column

    def numbers(self) -> list[tuple[datetime, float]]:
        return [(at, value) for at, value in zip(self.timestamps, self.values, strict=True) if value is not None]

    def stretches(self, until: datetime) -> list[Stretch]:
        nexts = [*self.timestamps[1:], until]
        return [
            Stretch(at, end, value)
            for at, after, value in zip(self.timestamps, nexts, self.values, strict=True)
            if value is not None and (end := min(after, at + HOLD, until)) > at
        ]


async def columns(store: HistoryStore, asked: Sequence[Point], buckets: Buckets, composed: Composed) -> list[Column]:
    """As `domain.history.columns.columns`, of virtual points too."""
    plain = [point for point in asked if point.address not in composed.composites]
    found = dict(zip([point.address for point in plain], await measured.columns(store, plain, buckets), strict=True))
    for composite in composed.composites.values():
        found[composite.address] = await _column(store, composite, buckets, composed)
    return [found[point.address] for point in asked]


async def tracks(
    store: HistoryStore,
    asked: Sequence[Point],
    composed: Composed,
    *,
    start: datetime,
    end: datetime,
    limit: int,
    worst: Quality = Quality.BAD,
    as_of: datetime | None = None,
) -> list[Track]:
    """As `domain.history.columns.tracks`, of virtual points too."""
    plain = [point for point in asked if point.address not in composed.composites]
    read = await measured.tracks(store, plain, start=start, end=end, limit=limit, worst=worst, as_of=as_of)
    found = dict(zip([point.address for point in plain], read, strict=True))
    for composite in composed.composites.values():
        made = await readings(store, composite, composed, start=start, end=end, worst=worst, as_of=as_of)
        numbers = made.numbers()
        found[composite.address] = Track([at for at, _ in numbers], [value for _, value in numbers])
    return [found[point.address] for point in asked]


async def last_before(
    store: HistoryStore,
    asked: Sequence[Point],
    composed: Composed,
    *,
    at: datetime,
    worst: Quality,
    as_of: datetime | None = None,
) -> list[Sample | None]:
    """As `domain.history.columns.last_before`, of virtual points too: of these only within `HOLD`."""
    plain = [point for point in asked if point.address not in composed.composites]
    read = await measured.last_before(store, plain, at=at, worst=worst, as_of=as_of)
    found = dict(zip([point.address for point in plain], read, strict=True))
    for composite in composed.composites.values():
        made = await readings(store, composite, composed, start=at - HOLD, end=at, worst=worst, as_of=as_of)
        numbers = [Sample(moment, value) for moment, value in made.numbers()]
        found[composite.address] = numbers[-1] if numbers else None
    return [found[point.address] for point in asked]


async def readings(
    store: HistoryStore,
    composite: Composite,
    composed: Composed,
    *,
    start: datetime,
    end: datetime,
    worst: Quality,
    as_of: datetime | None,
) -> Made:
    """One whenever an input was read in [start, end)."""
    inputs = {
        composed.measured[address].series: address for address in composite.inputs if address in composed.measured
    }
    read: dict[str, tuple[list[datetime], list[float | None]]] = {address: ([], []) for address in composite.inputs}
    count = 0
    if inputs:
        async for rows in store.rows(sorted(inputs), start=start - HOLD, end=end, as_of=as_of):
            count += len(rows)
            if count > READINGS_MAX:
                raise _too_much(composite)
            for row in rows:
                timestamps, values = read[inputs[row.series]]
                timestamps.append(row.at)
                values.append(_counted(row, worst))
    moments = sorted({at for timestamps, _ in read.values() for at in timestamps if at >= start})
    if len(moments) * len(inputs) > VALUES_MAX:
        raise _too_much(composite)
    standing = {address: _standing(*columns, moments) for address, columns in read.items()}
    before = await there_before(store, composite, composed, at=start - HOLD, as_of=as_of)
    since = {
        address: bisect_left(moments, timestamps[0]) if timestamps else len(moments)
        for address, (timestamps, _) in read.items()
        if address not in before
    }
    return Made(moments, composite.values(standing, rows=len(moments), since=since))


async def there_before(
    store: HistoryStore, composite: Composite, composed: Composed, *, at: datetime, as_of: datetime | None
) -> set[str]:
    """Those of its inputs that count from the beginning, as they are named or were read before."""
    matched = [address for address, named in composite.inputs.items() if not named and address in composed.measured]
    series = [composed.measured[address].series for address in matched]
    read = await store.last_before(series, at=at, worst=Quality.BAD, as_of=as_of) if series else []
    found = {address for address, sample in zip(matched, read, strict=True) if sample is not None}
    return found | {address for address, named in composite.inputs.items() if named}


def first_rows(columns: Mapping[str, Column], before: Collection[str]) -> dict[str, int]:
    """Of each input that was not there before, the first row in which there is anything of it."""
    return {
        address: next((row for row, value in enumerate(column) if value is not None), len(column))
        for address, column in columns.items()
        if address not in before
    }


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


async def _column(store: HistoryStore, composite: Composite, buckets: Buckets, composed: Composed) -> Column:
    rows = len(buckets.edges) - 1
    if buckets.function in _MEANS and composite.shape is not Shape.OTHER:
        inputs = [composed.measured[address] for address in composite.inputs if address in composed.measured]
        if len(inputs) * rows > VALUES_MAX:
            raise _too_much(composite)
        means = await measured.columns(store, inputs, buckets) if inputs else []
        found = {one.address: mean for one, mean in zip(inputs, means, strict=True)}
        before = await there_before(store, composite, composed, at=buckets.edges[0], as_of=buckets.as_of)
        return composite.values(found, rows=rows, since=first_rows(found, before))
    edges = buckets.edges
    start = edges[0] - HOLD if buckets.function is Function.TIME_WEIGHTED_MEAN else edges[0]
    made = await readings(
        store, composite, composed, start=start, end=edges[-1], worst=buckets.worst, as_of=buckets.as_of
    )
    if buckets.function is Function.TIME_WEIGHTED_MEAN:
        return [area / seconds if seconds else None for area, seconds in areas(made, edges, buckets.now)]
    return _figures(made, edges, _FIGURES[buckets.function])


async def energies(
    workplace: Workplace,
    actor: Actor,
    asked: Sequence[Point],
    periods: Periods,
    composed: Composed,
    inputs: Mapping[str, Point],
) -> list[Counted]:
    """As `domain.history.energies.energies`, of virtual points too; `inputs` are what they are made of, by address.

    It is the expression of the energies of the inputs. But of power of which the energy is not made so, as of
    `max(0, a - b)`, it is the integral of what it was.
    """
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    made = [(point, composed.composites[point.address]) for point in asked if point.address in composed.composites]
    summed = [one for point, one in made if kind(point) is not Kind.POWER or one.shape is Shape.PROPORTIONAL]
    parts = [inputs[address] for one in summed for address in one.inputs if address in inputs]
    if len(parts) * len(periods.edges) > VALUES_MAX:
        raise _too_much(summed[0])
    plain = [*(point for point in asked if point.address not in composed.composites), *parts]
    found = dict(
        zip(
            [point.address for point in plain],
            await measured_energies(workplace, actor, plain, periods),
            strict=True,
        )
    )
    for _, composite in made:
        if composite in summed:
            before = await there_before(store, composite, composed, at=periods.edges[0], as_of=periods.as_of)
            found[composite.address] = _summed(composite, found, before, rows=len(periods.edges) - 1)
        else:
            found[composite.address] = await _integrated(store, composite, composed, periods)
    return [found[point.address] for point in asked]


def _summed(composite: Composite, found: Mapping[str, Counted], before: Collection[str], *, rows: int) -> Counted:
    """An input that was never read before counts from then on."""
    parts = {address: found[address] for address in composite.inputs if address in found}
    energies_wh = {address: counted.energies_wh for address, counted in parts.items()}
    values = composite.values(energies_wh, rows=rows, since=first_rows(energies_wh, before))
    drops = [drop for counted in parts.values() for drop in counted.drops]
    return Counted(list(values), sorted(drops, key=lambda drop: drop.at))


async def _integrated(store: HistoryStore, composite: Composite, composed: Composed, periods: Periods) -> Counted:
    edges = periods.edges
    made = await readings(
        store, composite, composed, start=edges[0] - HOLD, end=edges[-1], worst=periods.worst, as_of=periods.as_of
    )
    found = areas(made, edges, periods.now)
    return Counted([area / _HOUR_S if seconds else None for area, seconds in found], [])


def areas(made: Made, edges: Sequence[datetime], now: datetime) -> list[tuple[float, float]]:
    """Of each bucket value times seconds, and for how many seconds there was a value."""
    parts: list[list[float]] = [[] for _ in edges[1:]]
    covered = [0.0] * len(parts)
    for stretch in made.stretches(min(edges[-1], now)):
        first = max(bisect_right(edges, stretch.start) - 1, 0)
        for bucket in range(first, len(parts)):
            if edges[bucket] >= stretch.end:
                break
            seconds = (min(stretch.end, edges[bucket + 1]) - max(stretch.start, edges[bucket])).total_seconds()
            if seconds > 0:
                parts[bucket].append(stretch.value * seconds)
                covered[bucket] += seconds
    return [(fsum(values), seconds) for values, seconds in zip(parts, covered, strict=True)]


def _figures(made: Made, edges: Sequence[datetime], figure: Callable[[list[float]], float | None]) -> Column:
    places = [bisect_left(made.timestamps, edge) for edge in edges]
    buckets = ([value for value in made.values[start:end] if value is not None] for start, end in pairwise(places))
    return [figure(values) if values or figure is _count else None for values in buckets]


def _count(values: list[float]) -> float:
    return len(values)


_FIGURES: dict[Function, Callable[[list[float]], float | None]] = {
    Function.MEAN: lambda values: fsum(values) / len(values),
    Function.MIN: min,
    Function.MAX: max,
    Function.FIRST: lambda values: values[0],
    Function.LAST: lambda values: values[-1],
    Function.SUM: fsum,
    Function.COUNT: _count,
}


def _too_much(composite: Composite) -> LimitExceeded:
    return LimitExceeded(
        f"{composite.address} is made of more than can be read at once: ask for a shorter period, or for the mean of a "
        "sum",
        address=composite.address,
    )

"""Columns of all points, measured or made of others: what virtual points were is computed where it is asked for.

Their history is made of the readings themselves, and so exactly (`made`). Means are computed from the means of the
inputs where that makes none but the same: where the expression is a sum of them, each times a number, perhaps with a
constant.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from domain.actor import Actor
from domain.expressions import Shape
from domain.history import columns as measured
from domain.history.columns import Buckets, Column, Function
from domain.history.energies import Kind, Periods, kind
from domain.history.energies import energies as measured_energies
from domain.history.made import VALUES_MAX, first_rows, readings, there_before, too_much
from domain.history.questions import check_finite
from domain.history.registers import Counted
from domain.points import HOLD, HistoryStore, Point, Quality, Sample, Track, ValueType
from domain.virtual_points import Composed, Composite
from domain.work import Workplace

_MEANS = {Function.MEAN, Function.TIME_WEIGHTED_MEAN}

Found = TypeVar("Found")


async def columns(store: HistoryStore, asked: Sequence[Point], buckets: Buckets, composed: Composed) -> list[Column]:
    """As `domain.history.columns.columns`, of virtual points too."""
    return await _of_each(
        asked,
        composed,
        lambda plain: measured.columns(store, plain, buckets),
        lambda virtual: _column(store, virtual, buckets, composed),
    )


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

    async def track(virtual: Composite) -> Track:
        made = await readings(store, virtual, composed, start=start, end=end, worst=worst, as_of=as_of)
        numbers = made.numbers()
        return Track([at for at, _ in numbers], [value for _, value in numbers])

    return await _of_each(
        asked,
        composed,
        lambda plain: measured.tracks(store, plain, start=start, end=end, limit=limit, worst=worst, as_of=as_of),
        track,
    )


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

    async def last(virtual: Composite) -> Sample | None:
        made = await readings(store, virtual, composed, start=at - HOLD, end=at, worst=worst, as_of=as_of)
        return next((Sample(moment, value) for moment, value in reversed(made.numbers())), None)

    return await _of_each(
        asked, composed, lambda plain: measured.last_before(store, plain, at=at, worst=worst, as_of=as_of), last
    )


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
    `max(0, a - b)` or of what is made of anything but power, it is the integral of what it was.
    """
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    made = {point.address: point for point in asked if point.address in composed.composites}
    summed = {
        address: composed.composites[address]
        for address, point in made.items()
        if kind(point) is not Kind.POWER or _is_of_powers(composed.composites[address], inputs)
    }
    parts = {address: inputs[address] for one in summed.values() for address in one.inputs if address in inputs}
    if len(parts) * len(periods.edges) > VALUES_MAX:
        raise too_much(next(iter(summed.values())))
    counted = await measured_energies(workplace, actor, list(parts.values()), periods)
    of_parts = dict(zip(parts, counted, strict=True))

    async def energy(virtual: Composite) -> Counted:
        if virtual.address not in summed:
            return await _integrated(store, virtual, composed, periods)
        before = await there_before(store, virtual, composed, at=periods.edges[0], as_of=periods.as_of)
        return await asyncio.to_thread(_summed, virtual, of_parts, before, rows=len(periods.edges) - 1)

    return await _of_each(asked, composed, lambda plain: measured_energies(workplace, actor, plain, periods), energy)


async def _of_each(
    asked: Sequence[Point],
    composed: Composed,
    of_measured: Callable[[list[Point]], Awaitable[Sequence[Found]]],
    of_virtual: Callable[[Composite], Awaitable[Found]],
) -> list[Found]:
    """In the order of the question; the measured ones together, the virtual ones one after the other."""
    plain = {point.address: point for point in asked if point.address not in composed.composites}
    found = dict(zip(plain, await of_measured(list(plain.values())), strict=True)) if plain else {}
    for point in asked:
        if point.address not in found:
            found[point.address] = await of_virtual(composed.composites[point.address])
    return [found[point.address] for point in asked]


async def _column(store: HistoryStore, composite: Composite, buckets: Buckets, composed: Composed) -> Column:
    edges, function = buckets.edges, buckets.function
    if function in _MEANS and composite.shape is not Shape.OTHER:
        return await _of_means(store, composite, buckets, composed)
    weighted = function is Function.TIME_WEIGHTED_MEAN
    start = edges[0] - HOLD if weighted else edges[0]
    made = await readings(
        store, composite, composed, start=start, end=edges[-1], worst=buckets.worst, as_of=buckets.as_of
    )
    found: Column
    if weighted:
        found = [one.mean for one in await asyncio.to_thread(made.stood, edges, buckets.now)]
    else:
        found = await asyncio.to_thread(made.figures, function, edges)
    check_finite(composite.address, found)
    return found


async def _of_means(store: HistoryStore, composite: Composite, buckets: Buckets, composed: Composed) -> Column:
    rows = len(buckets.edges) - 1
    inputs = [composed.measured[address] for address in composite.inputs if address in composed.measured]
    if len(inputs) * rows > VALUES_MAX:
        raise too_much(composite)
    means = await measured.columns(store, inputs, buckets) if inputs else []
    found = {one.address: mean for one, mean in zip(inputs, means, strict=True)}
    before = await there_before(store, composite, composed, at=buckets.edges[0], as_of=buckets.as_of)
    return await asyncio.to_thread(composite.values, found, rows=rows, since=first_rows(found, before))


def _is_of_powers(composite: Composite, inputs: Mapping[str, Point]) -> bool:
    """A sum of them: without a unit a point would be a register, of which the energy is what it counted."""
    parts = [inputs[address] for address in composite.inputs if address in inputs]
    return composite.shape is Shape.PROPORTIONAL and all(
        point.unit == "W" and point.value_type is ValueType.NUMBER for point in parts
    )


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
    stood = await asyncio.to_thread(made.stood, edges, periods.now)
    return Counted([one.energy_wh for one in stood], [])

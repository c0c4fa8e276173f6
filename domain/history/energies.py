"""Energies, one column per measured point; those of virtual points are made of them in `making`.

How a point tells of energy, its unit says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog

from domain.actor import Actor
from domain.errors import Invalid, Unavailable
from domain.history.registers import Base, Counted, Registers
from domain.history.standing import stood
from domain.points import Figure, HistoryStore, Latest, Point, Quality, Sample, SeriesAggregation, ValueType
from domain.work import Workplace

log = structlog.get_logger()

_INSTANT = timedelta(microseconds=1)
_WORST_LAST = list(Quality)  # GOOD, UNCERTAIN, BAD


@dataclass(frozen=True, slots=True)
class Periods:
    """Of what energy is asked: [edges[i], edges[i + 1]), none of it beyond `now`.

    `base` is what registers showed before their first readings; `worst` and `as_of` are as in `Buckets`.
    """

    edges: Sequence[datetime]
    now: datetime
    base: Base = Base.FIRST
    worst: Quality = Quality.UNCERTAIN
    as_of: datetime | None = None


class Kind(StrEnum):
    """How a point tells of energy."""

    REGISTER = "REGISTER"
    INTERVALS = "INTERVALS"
    POWER = "POWER"


def kind(point: Point) -> Kind:
    if point.value_type is not ValueType.NUMBER:
        raise Invalid(f"point {point.address} is no number, so no energy either", address=point.address)
    if point.unit == "W":
        return Kind.POWER
    if point.unit not in {"Wh", None}:
        raise Invalid(
            f"point {point.address} is in {point.unit}: there is energy of registers in Wh and of power in W",
            address=point.address,
        )
    return Kind.INTERVALS if point.aggregation is SeriesAggregation.SUM else Kind.REGISTER


async def energies(workplace: Workplace, actor: Actor, asked: Sequence[Point], periods: Periods) -> list[Counted]:
    """Of each point the energy in each period, in Wh; None where nothing is known of it."""
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    kinds: dict[Kind, list[Point]] = {}
    for point in {point.address: point for point in asked}.values():
        kinds.setdefault(kind(point), []).append(point)
    found: dict[str, Counted] = {}
    for one, alike in kinds.items():
        match one:
            case Kind.REGISTER:
                newest = await _newest(workplace, actor, alike, periods)
                counted = await _of_registers(store, alike, periods, newest)
            case Kind.INTERVALS:
                counted = await _of_intervals(store, alike, periods)
            case Kind.POWER:
                counted = await _of_power(store, alike, periods)
        found |= {point.address: energy for point, energy in zip(alike, counted, strict=True)}
    return [found[point.address] for point in asked]


async def _of_registers(
    store: HistoryStore, asked: Sequence[Point], periods: Periods, newest: dict[UUID, Sample]
) -> list[Counted]:
    registers = Registers(store, periods.edges, periods.base, periods.worst, periods.as_of)
    return await registers.counted(asked, [newest.get(point.id) for point in asked])


async def _of_intervals(store: HistoryStore, asked: Sequence[Point], periods: Periods) -> list[Counted]:
    """A reading tells of the time before it, so the one at a period's end is of that period."""
    found = await store.figures(
        [point.series for point in asked],
        edges=[edge + _INSTANT for edge in periods.edges],
        wanted=[Figure.SUM],
        worst=periods.worst,
        as_of=periods.as_of,
    )
    return [Counted(list(figures[Figure.SUM]), []) for figures in found]


async def _of_power(store: HistoryStore, asked: Sequence[Point], periods: Periods) -> list[Counted]:
    found = await stood(
        store,
        [point.series for point in asked],
        edges=periods.edges,
        now=periods.now,
        worst=periods.worst,
        as_of=periods.as_of,
    )
    return [Counted([one.energy_wh for one in column], []) for column in found]


async def _newest(
    workplace: Workplace, actor: Actor, registers: Sequence[Point], periods: Periods
) -> dict[UUID, Sample]:
    """What each register shows now. While Redis is away the store's word must do, which has all but the last moment."""
    if periods.as_of is not None:
        return {}
    try:
        found = await workplace.port(Latest).get(actor.tenant_id, [point.id for point in registers])  # type: ignore[type-abstract]
    except Unavailable as error:
        log.info("energy without what registers show now", reason=error.message)
        return {}
    return {
        one: Sample(latest.at, latest.value)
        for one, latest in found.items()
        if latest.value is not None and _WORST_LAST.index(latest.quality) <= _WORST_LAST.index(periods.worst)
    }

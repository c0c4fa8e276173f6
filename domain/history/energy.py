"""Energy over time: from registers in Wh, or from power in W; which one a point is, its unit says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog

from domain.actor import Actor, Permission
from domain.errors import Invalid, Unavailable
from domain.history import questions
from domain.history.columns import Column
from domain.history.registers import Base, Counted, Drop, DropKind, Registers
from domain.history.standing import stood
from domain.points import (
    Figure,
    HistoryStore,
    Latest,
    Point,
    Quality,
    Sample,
    SeriesAggregation,
    ValueType,
)
from domain.work import Workplace

log = structlog.get_logger()

DROPS_SHOWN = 100
_HOUR_S = 3600
_INSTANT = timedelta(microseconds=1)
_WORST_LAST = list(Quality)  # GOOD, UNCERTAIN, BAD


@dataclass(frozen=True, slots=True)
class Dropped:
    """Where a register went down and what that was taken for: the first hundred, and how many of each kind."""

    drops: Sequence[Drop]
    resets: int
    rollovers: int
    corrections: int


@dataclass(frozen=True, slots=True)
class EnergyColumn(Dropped):
    """A point's energy of each period, None where nothing is known of it."""

    address: str
    unit: str
    values: Column


@dataclass(frozen=True, slots=True)
class EnergyPerPeriod:
    timestamps: Sequence[datetime]
    series: Sequence[EnergyColumn]


@dataclass(frozen=True, slots=True)
class EnergySeries(Dropped):
    """A point's energy, None where nothing is known of it."""

    address: str
    energy_wh: float | None


@dataclass(frozen=True, slots=True)
class Energy:
    series: Sequence[EnergySeries]


async def energy(
    workplace: Workplace,
    actor: Actor,
    *,
    addresses: Sequence[str],
    from_: datetime,
    to: datetime,
    base: Base = Base.FIRST,
    quality: Quality = Quality.UNCERTAIN,
    as_of: datetime | None = None,
) -> Energy:
    """The energy of points in [from_, to), as one period: see `energy_per_period`."""
    found = await energy_per_period(
        workplace, actor, addresses=addresses, from_=from_, to=to, base=base, quality=quality, as_of=as_of
    )
    return Energy(
        [
            EnergySeries(column.drops, column.resets, column.rollovers, column.corrections, column.address, energy_wh)
            for column in found.series
            for energy_wh in column.values
        ]
    )


async def energy_per_period(
    workplace: Workplace,
    actor: Actor,
    *,
    addresses: Sequence[str],
    from_: datetime,
    to: datetime,
    resolution: str | None = None,
    timezone: str | None = None,
    base: Base = Base.FIRST,
    quality: Quality = Quality.UNCERTAIN,
    as_of: datetime | None = None,
) -> EnergyPerPeriod:
    """The energy of points in each bucket of `resolution`, in Wh; without one the whole of [from_, to) is one bucket.

    Of a register (Wh, or no unit) its last reading before a bucket's end less the last one before its beginning, never
    below 0; what it counted while it was not read belongs to the bucket in which it is read again. `base` is what it
    showed before its first reading. Of a point that is given as the sum of each interval (`aggregation` SUM), the sum
    of those that end in the bucket. Of power (W), its integral, negative where power is; a gap counts as nothing.

    A bucket that goes on counts until now: a register by the latest reading that anybody has seen.
    """
    async with workplace.open_work(actor, read_only=True) as work:
        work.require(Permission.VIEW)
        asked = await questions.asked(work, addresses)
        kinds = _by_kind(asked)
        questions.check_period(from_, to)
        now = questions.known_until(as_of, work.now)
        edges = [from_, to]
        if resolution is not None:
            edges = await questions.edges(
                work, from_=from_, to=to, resolution=resolution, timezone=timezone, columns=len(asked)
            )
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    asking = _Asking(store, edges, now, base, quality, as_of)
    found: dict[str, Counted] = {}
    for kind, of_kind in kinds.items():
        match kind:
            case _Kind.REGISTER:
                newest = {} if as_of is not None else await _newest(workplace, actor, of_kind, quality)
                counted = await asking.registers(of_kind, [newest.get(point.id) for point in of_kind])
            case _Kind.INTERVALS:
                counted = await asking.intervals(of_kind)
            case _Kind.POWER:
                counted = await asking.power(of_kind)
        found |= {point.address: one for point, one in zip(of_kind, counted, strict=True)}
    return EnergyPerPeriod(edges[:-1], [_column(address, found[address]) for address in addresses])


class _Kind(StrEnum):
    """How a point tells of energy."""

    REGISTER = "REGISTER"
    INTERVALS = "INTERVALS"
    POWER = "POWER"


def _kind(point: Point) -> _Kind:
    if point.value_type is not ValueType.NUMBER:
        raise Invalid(f"point {point.address} is no number, so no energy either", address=point.address)
    if point.unit == "W":
        return _Kind.POWER
    if point.unit not in {"Wh", None}:
        raise Invalid(
            f"point {point.address} is in {point.unit}: there is energy of registers in Wh and of power in W",
            address=point.address,
        )
    return _Kind.INTERVALS if point.aggregation is SeriesAggregation.SUM else _Kind.REGISTER


def _by_kind(asked: Sequence[Point]) -> dict[_Kind, list[Point]]:
    kinds: dict[_Kind, list[Point]] = {}
    for point in {point.address: point for point in asked}.values():
        kinds.setdefault(_kind(point), []).append(point)
    return kinds


@dataclass(frozen=True, slots=True)
class _Asking:
    """One question to the store."""

    store: HistoryStore
    edges: Sequence[datetime]
    now: datetime
    base: Base
    worst: Quality
    as_of: datetime | None

    async def registers(self, asked: Sequence[Point], newest: Sequence[Sample | None]) -> list[Counted]:
        return await Registers(self.store, self.edges, self.base, self.worst, self.as_of).counted(asked, newest)

    async def intervals(self, asked: Sequence[Point]) -> list[Counted]:
        """A reading tells of the time before it, so the one at a bucket's end is of that bucket."""
        edges = [edge + _INSTANT for edge in self.edges]
        found = await self.store.figures(
            [point.series for point in asked], edges=edges, wanted=[Figure.SUM], worst=self.worst, as_of=self.as_of
        )
        return [Counted(list(figures[Figure.SUM]), []) for figures in found]

    async def power(self, asked: Sequence[Point]) -> list[Counted]:
        found = await stood(
            self.store,
            [point.series for point in asked],
            edges=self.edges,
            now=self.now,
            worst=self.worst,
            as_of=self.as_of,
        )
        return [
            Counted(
                [None if bucket.mean is None else bucket.area / _HOUR_S for bucket in buckets],
                [],
            )
            for buckets in found
        ]


async def _newest(workplace: Workplace, actor: Actor, registers: Sequence[Point], worst: Quality) -> dict[UUID, Sample]:
    """What each register shows now. While Redis is away the store's word must do, which has all but the last moment."""
    try:
        found = await workplace.port(Latest).get(actor.tenant_id, [point.id for point in registers])  # type: ignore[type-abstract]
    except Unavailable as error:
        log.info("energy without what registers show now", reason=error.message)
        return {}
    return {
        one: Sample(latest.at, latest.value)
        for one, latest in found.items()
        if latest.value is not None and _WORST_LAST.index(latest.quality) <= _WORST_LAST.index(worst)
    }


def _column(address: str, counted: Counted) -> EnergyColumn:
    questions.check_finite(address, counted.energies_wh)
    kinds = [drop.kind for drop in counted.drops]
    return EnergyColumn(
        address=address,
        unit="Wh",
        values=counted.energies_wh,
        drops=counted.drops[:DROPS_SHOWN],
        resets=kinds.count(DropKind.RESET),
        rollovers=kinds.count(DropKind.ROLLOVER),
        corrections=kinds.count(DropKind.CORRECTION),
    )

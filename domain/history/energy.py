"""Energy over time: from registers in Wh, or from power in W; which one a point is, its unit says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import points
from domain.actor import Actor
from domain.history import questions
from domain.history.columns import Column
from domain.history.energies import Periods, kind
from domain.history.making import energies
from domain.history.registers import Base, Counted, Drop, DropKind
from domain.points import Quality
from domain.work import Workplace

DROPS_SHOWN = 100


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

    Of a virtual point, what its expression makes of the energies of its inputs, see `making`.

    A bucket that goes on counts until now: a register by the latest reading that anybody has seen.
    """
    async with workplace.open_work(actor, read_only=True) as work:
        asked = await questions.understood(
            work, addresses=addresses, from_=from_, to=to, resolution=resolution, timezone=timezone, as_of=as_of
        )
        for point in asked.points:
            kind(point)
        inputs = await points.by_addresses(work, list(asked.composed.measured))
    periods = Periods(asked.edges, asked.now, base, quality, as_of)
    found = await energies(workplace, actor, asked.points, periods, asked.composed, inputs)
    return EnergyPerPeriod(asked.edges[:-1], [_column(*each) for each in zip(addresses, found, strict=True)])


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

from datetime import datetime

import strawberry

from domain import history
from domain.history import DropKind
from domain.points import Quality, Source, ValueType
from resolvers import history as door
from schema import limits
from schema.view import answer, attribute, view


@view(history.Series)
class Series:
    """A point's column."""

    address: str = attribute("Of the point.")
    unit: str | None = attribute("Of the values.")
    values: list[float | None] = attribute("As long as `timestamps`; null where there is no number.")


@view(history.History)
class History:
    """A time series as columns."""

    timestamps: list[datetime] = attribute("Of each row; with a resolution the beginning of each period.")
    series: list[Series] = attribute("A column per point, in the order of the question.")


@view(history.ReadingColumns)
class PointReadings:
    """A point's readings as columns of the same length, in the order of time."""

    address: str = attribute("Of the point.")
    unit: str | None = attribute("Of the values.")
    value_type: ValueType = attribute("What its readings are.")
    timestamps: list[datetime] = attribute("When it was measured, by the device's clock.")
    values: list[float | None] = attribute("In `unit`; booleans are 0 and 1; null where there is no number.")
    texts: list[str | None] = attribute("Where the value is no number, or the name of the number.")
    qualities: list[Quality] = attribute("How far the device believes in it.")
    sources: list[Source] = attribute("How it came.")
    versions: list[int] = attribute("Which delivery of its moment it is.")


@view(history.Drop)
class RegisterDrop:
    """A reading of a register that was less than the one before."""

    at: datetime = attribute("When it was read.")
    kind: DropKind = attribute("What it was taken for.")
    before_wh: float = attribute("What the register showed before.")
    after_wh: float = attribute("What it showed then.")


@view(history.EnergySeries)
class EnergySeries:
    """A point's energy in a period."""

    address: str = attribute("Of the point.")
    energy_wh: float | None = attribute("Null where nothing is known of it.")
    resets: int = attribute("How often its register began again from 0.")
    rollovers: int = attribute("How often it passed its last digit.")
    corrections: int = attribute("How often it showed a little less than before.")
    drops: list[RegisterDrop] = attribute("The first hundred of these.", size=limits.DROPS)


@view(history.Energy)
class Energy:
    """The energy of points in a period."""

    series: list[EnergySeries] = attribute("One per point, in the order of the question.")


@view(history.EnergyColumn)
class EnergyColumn:
    """A point's energy in each period."""

    address: str = attribute("Of the point.")
    unit: str = attribute("Wh.")
    values: list[float | None] = attribute("As long as `timestamps`; null where nothing is known of it.")
    resets: int = attribute("How often its register began again from 0.")
    rollovers: int = attribute("How often it passed its last digit.")
    corrections: int = attribute("How often it showed a little less than before.")
    drops: list[RegisterDrop] = attribute("The first hundred of these.", size=limits.DROPS)


@view(history.EnergyPerPeriod)
class EnergyPerPeriod:
    """Energy as columns."""

    timestamps: list[datetime] = attribute("The beginning of each period.")
    series: list[EnergyColumn] = attribute("A column per point, in the order of the question.")


@strawberry.type
class HistoryQuery:
    history: History | None = answer(
        door.columns,
        "What points were, from `from` until before `to`.",
        cost=limits.of_history,
        size="points",
    )
    readings: list[PointReadings] | None = answer(
        door.readings,
        "Every reading of points from `from` until before `to`, texts too; as many at once as `history` answers.",
        cost=limits.of_raw,
        size="points",
    )
    history_energy: Energy | None = answer(
        door.energy,
        "The energy of points from `from` until before `to`: of registers (Wh) what they counted, of power (W) its "
        "integral.",
        cost=limits.of_energy,
        size="points",
    )
    history_energy_per_period: EnergyPerPeriod | None = answer(
        door.energy_per_period,
        "The same of each period of `resolution`. What a register counted while it was not read is of the period in "
        "which it is read again.",
        cost=limits.of_history,
        size="points",
    )

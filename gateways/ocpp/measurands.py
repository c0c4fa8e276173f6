"""Meter values of any version: as readings of points, every one of them, and as what a session wants to know.

What is missing has OCPP's defaults: the import register, in Wh, at the outlet, sampled periodically, raw.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Final

from domain import points
from domain.errors import Invalid
from domain.points import Owner, OwnerKind, Quality, Reading
from domain.sessions import Moment, Sample, Signed
from domain.stations import address_of
from domain.units import normalized
from gateways.ocpp.deviations import Deviation
from gateways.ocpp.link import Call

REGISTER: Final = "Energy.Active.Import.Register"
_POWER: Final = "Power.Active.Import"
_SOC: Final = "SoC"
_OUTLET: Final = "Outlet"
_SIGNED: Final = "SignedData"
_PERIODIC: Final = "Sample.Periodic"

_MOMENTS: Final = {"Transaction.Begin": Moment.BEGIN, "Transaction.End": Moment.END}
_TOTALS_AT: Final = (_OUTLET, "Cable", "Inlet", "Body")  # never the vehicle's own meter
_MULTIPLIER_MAX: Final = 30
_WORD_MAX: Final = 64
_TEXT_CUT: Final = 1_000
_PHASES: Final = (("L1", "L2", "L3"), ("L1-N", "L2-N", "L3-N"))

_DEFAULT_UNITS: Final = {
    "Energy.Active": "Wh",
    "Energy.Reactive": "varh",
    "Energy.Apparent": "VAh",
    "Power.Active": "W",
    "Power.Offered": "W",
    "Power.Reactive": "var",
    "Current": "A",
    "Voltage": "V",
    "Frequency": "Hz",
    "SoC": "Percent",
    "Temperature": "Celsius",
    # of 2.1
    "Power.Import": "W",
    "Power.Export": "W",
    "EnergyRequest": "Wh",
    "Display.BatteryEnergyCapacity": "Wh",
    "Display.PresentSOC": "Percent",
    "Display.TargetSOC": "Percent",
    "Display.MinimumSOC": "Percent",
    "Display.MaximumSOC": "Percent",
    "Display.RemainingTimeToTargetSOC": "s",
    "Display.RemainingTimeToMinimumSOC": "s",
    "Display.RemainingTimeToMaximumSOC": "s",
}
_SPELLINGS: Final = {
    unit.lower(): unit
    for unit in (
        *("Wh", "kWh", "varh", "kvarh", "VAh", "kVAh", "W", "kW", "var", "kvar", "VA", "kVA"),
        *("A", "V", "Hz", "Percent", "Celsius", "Celcius", "Fahrenheit"),
    )
}


@dataclass(frozen=True, slots=True)
class Value:
    """One sampled value in the words that the versions share. `signed` is its signed form as it came, if it has one,
    `signed_format` how that is written."""

    value: str | float | None
    measurand: str | None = None
    unit: str | None = None
    multiplier: int = 0
    phase: str | None = None
    location: str | None = None
    context: str | None = None
    signed: str | None = None
    signed_format: str | None = None

    @property
    def measures(self) -> str:
        return self.measurand or REGISTER

    @property
    def number(self) -> float | None:
        """As a finite number, its multiplier applied; in its own unit."""
        if self.value is None or abs(self.multiplier) > _MULTIPLIER_MAX:
            return None
        try:
            number = float(self.value.strip().replace(",", ".") if isinstance(self.value, str) else self.value)
        except (ValueError, OverflowError):
            return None
        shifted = number * 10**self.multiplier if self.multiplier >= 0 else number / 10**-self.multiplier
        return float(f"{shifted:.15g}") if isfinite(shifted) else None

    @property
    def own_unit(self) -> str | None:
        """As the standard spells it; what it does not know is kept as it came."""
        if self.unit:
            return _SPELLINGS.get(self.unit.strip().lower(), self.unit.strip()) or None
        kind = ".".join(self.measures.split(".")[:2])
        return _DEFAULT_UNITS.get(kind) or _DEFAULT_UNITS.get(kind.split(".", maxsplit=1)[0])

    @property
    def address(self) -> str:
        """`<measurand>[@<location>][/<phase>]`"""
        location = "" if self.location in (None, "", _OUTLET) else f"@{_word(self.location)}"
        phase = f"/{_word(self.phase)}" if self.phase else ""
        return f"{_word(self.measures)}{location}{phase}"

    def quantity(self, unit: str) -> float | None:
        """In the base unit that is asked for; None if it is not of that kind."""
        number, own_unit = self.number, self.own_unit
        if number is None or own_unit is None:
            return None
        base, base_unit = normalized(number, own_unit)
        return base if base_unit == unit else None


@dataclass(frozen=True, slots=True)
class Meter:
    """What was sampled at one time."""

    at: datetime
    values: Sequence[Value]


def samples(meters: Iterable[Meter]) -> list[Sample]:
    """One per time and moment; also where nothing in it concerns a session, for then it was heard of."""
    return [
        Sample(
            at=meter.at,
            register_wh=_total(values, REGISTER, "Wh"),
            power_w=_total(values, _POWER, "W"),
            soc_percent=_first(values, _SOC, "%"),
            moment=moment,
            signed=any(value.signed is not None and value.measures == REGISTER for value in values),
        )
        for meter in meters
        for moment in Moment
        if (values := [v for v in meter.values if _MOMENTS.get(v.context or "", Moment.AMID) is moment])
    ]


def signed(meters: Iterable[Meter]) -> list[Signed]:
    """What the meter has signed of it, as it came."""
    return [
        Signed(
            at=meter.at,
            context=value.context or _PERIODIC,
            measurand=value.measures,
            phase=value.phase,
            location=value.location,
            format=value.signed_format or _SIGNED,
            value=value.signed,
        )
        for meter in meters
        for value in meter.values
        if value.signed is not None
    ]


def readings(meters: Iterable[Meter], *, identity: str, evse_number: int | None) -> Iterator[Reading]:
    """Every value as one of a point; those that are no numbers as text, signed ones under an address of their own."""
    place = address_of(identity, evse_number)
    for meter in meters:
        for value in meter.values:
            address = f"{place}/{value.address}"
            if value.signed is not None:
                yield Reading(f"{address}/{_SIGNED}", meter.at, text=value.signed)
            if value.number is not None:
                yield Reading(address, meter.at, value=value.number, unit=value.own_unit)
            elif value.value is not None:
                yield Reading(address, meter.at, text=str(value.value), quality=_quality(value.value))


async def record(call: Call, meters: Sequence[Meter], *, evse_number: int | None) -> None:
    """Answer the station after this: then they are kept. What is refused as it is, is kept as a text that is."""
    batch = list(readings(meters, identity=call.identity, evse_number=evse_number))
    if not batch:
        return
    refused = await _recorded(call, batch)
    if refused:
        await _recorded(call, [_as_text(reading) for reading in refused])


def _as_text(reading: Reading) -> Reading:
    """`1e+308 kWh`, which is too large in Wh; the beginning of what is too long, all of which the station log has."""
    text = reading.text if reading.value is None else f"{reading.value:.15g} {reading.unit or ''}".strip()
    text = (text or "").replace("\0", "\N{REPLACEMENT CHARACTER}")[:_TEXT_CUT]
    return reading._replace(value=None, unit=None, text=text, quality=Quality.UNCERTAIN)


async def _recorded(call: Call, batch: Sequence[Reading]) -> list[Reading]:
    """Those that were not, for what they are."""
    async with call.write() as work:
        done = await points.record(work, batch, owner=Owner(OwnerKind.STATION, call.station_id))
    problems = [*done.errors, *done.quarantined]
    call.tolerate([Deviation("reading", batch[error.index].address[:120], error.message) for error in problems])
    return [batch[error.index] for error in done.errors if error.code == Invalid.code]


def _total(values: Sequence[Value], measurand: str, unit: str) -> float | None:
    """Over all phases, at the best place that has it: the total if there is one, else the sum of the phases."""
    for location in _TOTALS_AT:
        here = [v for v in values if v.measures == measurand and (v.location or _OUTLET) == location]
        by_phase = {v.phase or None: number for v in here if (number := v.quantity(unit)) is not None}
        if None in by_phase:
            return by_phase[None]
        for phases in _PHASES:
            parts = [by_phase[phase] for phase in phases if phase in by_phase]
            if parts:
                return sum(parts)
    return None


def _first(values: Sequence[Value], measurand: str, unit: str) -> float | None:
    numbers = (value.quantity(unit) for value in values if value.measures == measurand)
    return next((number for number in numbers if number is not None), None)


def _quality(value: str | float) -> Quality:
    """Words are what they are; NaN and its like say that there is no number."""
    try:
        float(value)
    except ValueError:
        return Quality.GOOD
    return Quality.BAD


def _word(text: str) -> str:
    """A part of an address, also where a station invents it."""
    return "".join(letter if letter.isprintable() and letter not in "/@" else "_" for letter in text.strip())[
        :_WORD_MAX
    ]

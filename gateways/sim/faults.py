"""What goes wrong at real sites, on demand. Of all that a server can be told right in spite of it."""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from gateways.sim.outlet import Reading, Value

SLOW_S: Final = (3.0, 12.0)  # of wall-clock time, as the server's patience
CLOCK_OFF_S: Final = (600.0, 18_000.0)
# kWh and kW in letters that no standard has
_MISTAKEN: Final = {"Wh": "KWH", "W": "Kw"}


class Fault(StrEnum):
    DUPLICATE_STOP = "duplicate-stop"  # every stop is told twice, as two messages
    OFFLINE_BURST = "offline-burst"  # the line is down for a while; then all that happened is told at once
    REBOOT = "reboot"  # the power fails during a charge, whose stop is told after the boot
    SLOW_ANSWERS = "slow-answers"  # the server's orders are answered late
    WRONG_UNITS = "wrong-units"  # meter values in units that the standard does not have
    CLOCK_SKEW = "clock-skew"  # a clock that is hours ahead or behind
    HALF_OPEN = "half-open"  # the line dies in silence, and a second socket comes beside the first


def clock_off(faults: frozenset[Fault], dice: random.Random) -> timedelta:
    if Fault.CLOCK_SKEW not in faults:
        return timedelta()
    return dice.choice((-1, 1)) * timedelta(seconds=dice.uniform(*CLOCK_OFF_S))


def named(names: Iterable[str]) -> frozenset[Fault]:
    """`all` is each of them. Raises `ValueError` for what is none."""
    wanted = set(names)
    if unknown := wanted - set(Fault) - {"all"}:
        raise ValueError(f"{', '.join(sorted(unknown))}: one of {', '.join(Fault)}, all")
    return frozenset(Fault) if "all" in wanted else frozenset(map(Fault, wanted))


def mistaken(reading: Reading) -> Reading:
    return replace(reading, values=tuple(_mistaken(value) for value in reading.values))


def _mistaken(value: Value) -> Value:
    unit = _MISTAKEN.get(value.unit)
    return value if unit is None else replace(value, value=value.value / 1000, unit=unit)

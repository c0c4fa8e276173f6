"""What a car draws from a connector: ramp, flat part, taper. Pure physics, no clock and no wire."""

import math
import random
from dataclasses import dataclass

AC_RAMP_S, DC_RAMP_S = 3.0, 12.0
AC_EFFICIENCY, DC_EFFICIENCY = 0.90, 0.95
NOISE = 0.015
FINEST_STEP_S, MOST_STEPS = 1.0, 60
TRICKLE = 0.12  # share of full power that is left when the battery is full


@dataclass(frozen=True, slots=True)
class Supply:
    """What one connector can give; `phases` is 0 for direct current."""

    phases: int
    rated_w: float

    @property
    def direct(self) -> bool:
        return self.phases == 0


@dataclass(slots=True)
class Car:
    """A battery with its own limits; `target_percent` is where it stops drawing by itself."""

    capacity_wh: float
    ac_phases: int
    ac_w: float
    dc_w: float
    soc_percent: float
    target_percent: float = 100.0
    knee_percent: float = 70.0

    def room_wh(self, efficiency: float) -> float:
        """Energy at the plug until the target is reached."""
        return max(0.0, self.target_percent - self.soc_percent) / 100 * self.capacity_wh / efficiency


def full_power_w(supply: Supply, car: Car) -> float:
    """The flat part of the curve: the weakest of connector, phases in use and car."""
    if supply.direct:
        return min(supply.rated_w, car.dc_w)
    shared = min(supply.phases, car.ac_phases) / supply.phases
    return min(supply.rated_w * shared, car.ac_w)


def taper(soc_percent: float, knee_percent: float) -> float:
    """Share of full power at this state of charge: 1 up to the knee, then falling evenly to a trickle."""
    if soc_percent <= knee_percent:
        return 1.0
    above = min(1.0, (soc_percent - knee_percent) / (100 - knee_percent))
    return 1.0 - (1.0 - TRICKLE) * above


class Charge:
    """One car on one connector with the contactor closed."""

    def __init__(self, *, supply: Supply, car: Car, dice: random.Random) -> None:
        self.supply, self.car = supply, car
        self.phases = 0 if supply.direct else min(supply.phases, car.ac_phases)
        self.limit_w = full_power_w(supply, car)
        self.power_w = 0.0
        self.suspended = False
        self._dice = dice
        self._flowing_s = 0.0
        # An on-board charger is the bottleneck of AC nearly to the end; only the last percents taper.
        self._knee_percent = car.knee_percent if supply.direct else max(car.knee_percent, 97.0)
        self._ramp_s = DC_RAMP_S if supply.direct else AC_RAMP_S
        self._efficiency = DC_EFFICIENCY if supply.direct else AC_EFFICIENCY

    @property
    def complete(self) -> bool:
        return self.car.soc_percent >= self.car.target_percent

    def suspend(self) -> None:
        self.suspended, self.power_w, self._flowing_s = True, 0.0, 0.0

    def resume(self) -> None:
        self.suspended = False

    def advance(self, seconds: float) -> float:
        """Lets time pass and answers the energy that went through the meter, in Wh."""
        steps = min(MOST_STEPS, math.ceil(seconds / FINEST_STEP_S))
        return sum(self._step(seconds / steps) for _ in range(steps))

    def _step(self, seconds: float) -> float:
        if self.suspended or self.complete:
            self.power_w = 0.0
            return 0.0
        before_w = self.power_w
        self._flowing_s += seconds
        self.power_w = self._wanted_w()
        room_wh = self.car.room_wh(self._efficiency)
        energy_wh = (before_w + self.power_w) / 2 * seconds / 3600
        if energy_wh >= room_wh:
            self.car.soc_percent, self.power_w = self.car.target_percent, 0.0
            return room_wh
        self.car.soc_percent += energy_wh * self._efficiency / self.car.capacity_wh * 100
        return energy_wh

    def _wanted_w(self) -> float:
        ramp = min(1.0, self._flowing_s / self._ramp_s)
        noise = 1.0 - self._dice.random() * NOISE
        return self.limit_w * ramp * taper(self.car.soc_percent, self._knee_percent) * noise

"""One connector of a station: its meter, its car, its charge."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from gateways.sim.battery import Car, Charge, Supply
from gateways.sim.settings import CURRENT, ENERGY, POWER, SOC, VOLTAGE


class Status(Enum):
    """AWAITING_CABLE: the card was shown before the cable was plugged in."""

    AVAILABLE = auto()
    AWAITING_CABLE = auto()
    PREPARING = auto()
    CHARGING = auto()
    SUSPENDED_EV = auto()
    FINISHING = auto()
    UNAVAILABLE = auto()


class Cause(Enum):
    """Which of the two, card or cable, came last and so closed the power path."""

    CARD = auto()
    CABLE = auto()
    REMOTE = auto()


class Reason(Enum):
    LOCAL = auto()
    REMOTE = auto()
    EV_DISCONNECTED = auto()
    TARGET_REACHED = auto()
    SOFT_RESET = auto()
    HARD_RESET = auto()
    UNLOCK = auto()
    POWER_LOSS = auto()
    DEAUTHORIZED = auto()


@dataclass(frozen=True, slots=True)
class Card:
    """A token as it is shown; `kind` is OCPP 2.0.1's IdTokenEnumType."""

    uid: str
    kind: str = "ISO14443"


@dataclass(frozen=True, slots=True)
class Order:
    """A start that the server has asked for."""

    card: Card
    remote_start_id: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A reservation, `number` being what the server calls it."""

    number: int
    uid: str
    until: datetime

    def is_for(self, card: Card) -> bool:
        return self.uid.casefold() == card.uid.casefold()


@dataclass(eq=False, slots=True)
class Session:
    """A charge as the station knows it; `acknowledged_wh` is the last register reading that the server has answered."""

    transaction_id: str | None  # None in 1.6 until the server has named it
    outlet: int
    card: Card
    cause: Cause
    started_at: datetime
    meter_start_wh: int
    acknowledged_wh: int
    remote_start_id: int | None = None
    reservation: int | None = None
    next_sequence: int = 0
    ended_at: datetime | None = None
    meter_stop_wh: int | None = None
    reason: Reason | None = None
    start_delivered: bool = False
    stop_delivered: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    measurand: str
    value: float
    unit: str
    phase: str | None = None
    location: str = "Outlet"


@dataclass(frozen=True, slots=True)
class Reading:
    at: datetime
    register_wh: int
    values: tuple[Value, ...]


@dataclass(eq=False)
class Outlet:
    number: int
    supply: Supply
    dice: random.Random
    register_wh: float
    status: Status = Status.AVAILABLE
    operative: bool = True
    car: Car | None = None
    charge: Charge | None = None
    session: Session | None = None
    order: Order | None = None
    place: Place | None = None
    turns_away: bool = False  # the next driver has come and waits
    said: str | None = None  # the status word that the server has or is about to get
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _metered_s: float = 0.0

    def is_open_to(self, card: Card) -> bool:
        """Whether it is not kept for another."""
        return self.place is None or self.place.is_for(card)

    async def rest(self, seconds: float) -> None:
        """Sleeps, unless something happens to the outlet first; wakes say nothing, look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self.wake.wait()
        self.wake.clear()

    def plug(self, car: Car) -> None:
        self.car = car

    def unplug(self) -> None:
        self.car = self.charge = None

    def energize(self, car: Car, now_s: float) -> None:
        """Closes the contactor; `now_s` is on the simulated clock, as in `advance`."""
        self.charge = Charge(supply=self.supply, car=car, dice=self.dice)
        self._metered_s = now_s

    def advance(self, now_s: float) -> None:
        """Moves the meter on to now. It only ever moves forward."""
        passed_s = max(0.0, now_s - self._metered_s)
        if self.charge is not None:
            self.register_wh += self.charge.advance(passed_s)
        self._metered_s += passed_s

    def take_order(self) -> Order | None:
        order, self.order = self.order, None
        return order

    def read(self, at: datetime) -> Reading:
        register_wh = int(self.register_wh)
        power_w = round(self.charge.power_w) if self.charge else 0
        values = [Value(ENERGY, register_wh, "Wh"), Value(POWER, power_w, "W")]
        values += self._direct(power_w) if self.supply.direct else self._alternating(power_w)
        if self.car is not None and self.supply.direct:  # an AC station has no way to learn it
            values.append(Value(SOC, int(self.car.soc_percent), "Percent", location="EV"))
        return Reading(at, register_wh, tuple(values))

    def _direct(self, power_w: float) -> list[Value]:
        voltage_v = round(350 + (self.car.soc_percent if self.car else 0) * 0.6, 1)
        return [Value(CURRENT, round(power_w / voltage_v, 1), "A"), Value(VOLTAGE, voltage_v, "V")]

    def _alternating(self, power_w: float) -> list[Value]:
        used = self.charge.phases if self.charge else 0
        values = []
        for phase in range(1, self.supply.phases + 1):
            voltage_v = round(self.dice.uniform(229.0, 233.0), 1)
            current_a = power_w / used / voltage_v if phase <= used else 0.0
            values.append(Value(CURRENT, round(current_a, 1), "A", phase=f"L{phase}"))
            values.append(Value(VOLTAGE, voltage_v, "V", phase=f"L{phase}-N"))
        return values

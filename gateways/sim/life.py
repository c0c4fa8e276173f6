"""What happens at one connector: drivers come, charge and leave. All dwell times are of simulated seconds.

The sequence, with TxStartPoint and TxStopPoint PowerPathClosed in 2.0.1:

    plug, then card   1.6  Preparing, Authorize, StartTransaction, Charging
                      2.0.1  Occupied, Authorize, Started (Authorized), Updated (ChargingStateChanged: Charging)
    card, then plug   1.6  Authorize, Preparing, StartTransaction, Charging
                      2.0.1  Authorize, Occupied, Started (CablePluggedIn), Updated (ChargingStateChanged: Charging)
    by the server     as card, then plug, without Authorize; 2.0.1 Started (RemoteStart)

and at the end StopTransaction / Ended first, then Finishing (1.6), then the cable goes: Available.
"""

import math
import random
from dataclasses import dataclass

from gateways.sim.battery import Car, full_power_w
from gateways.sim.catalog import arriving_car
from gateways.sim.charger import Charger
from gateways.sim.outlet import Cause, Order, Outlet, Reason, Status

UNTIL_SOMETHING_HAPPENS_S = 3_600.0
CARD_FIRST = 0.25
ENDS_AT_TARGET = 0.4
PAUSES = 0.3
STAY_S = (60.0, 240.0)
FIRST_READING_S = 1.5  # of wall-clock time, as the meter interval


@dataclass(frozen=True, slots=True)
class Visit:
    """A driver's plan."""

    stay_s: float
    card_first: bool
    target_share: float | None  # of the stay after which the car has enough
    pause_at_s: float | None
    pause_s: float


def first_arrival_s(charger: Charger, outlet: Outlet) -> float:
    """The first five stations are busy within seconds; a large fleet fills up over some minutes."""
    if charger.busy_share is not None:
        return charger.dice.uniform(0, sum(STAY_S) / 2 / charger.busy_share)
    if outlet.number > 1:
        return charger.dice.uniform(20, 70)
    if charger.index < 5:
        return 0.5 + 1.8 * charger.index
    return charger.dice.uniform(5, 180)


def planned(dice: random.Random, *, short: bool) -> Visit:
    stay_s = dice.uniform(40, 60) if short else dice.uniform(*STAY_S)
    return Visit(
        stay_s=stay_s,
        card_first=dice.random() < CARD_FIRST,
        target_share=dice.uniform(0.6, 0.95) if dice.random() < ENDS_AT_TARGET else None,
        pause_at_s=stay_s * dice.uniform(0.3, 0.5) if dice.random() < PAUSES else None,
        pause_s=dice.uniform(6, 15),
    )


async def live(charger: Charger, outlet: Outlet) -> None:
    """For ever; an order from the server brings the next driver at once."""
    wait_s, visits = first_arrival_s(charger, outlet), 0
    while True:
        await charger.registered.wait()
        if outlet.order is None:
            await _rest(charger, outlet, wait_s)
        if not _open(charger, outlet, outlet.order):
            outlet.turns_away = True
            await outlet.rest(UNTIL_SOMETHING_HAPPENS_S)
            outlet.turns_away = False
            continue
        visit = planned(charger.dice, short=charger.index % 5 == 0 and visits == 0)
        await _visit(charger, outlet, visit)
        charger.settle(outlet)
        wait_s, visits = _pause_s(charger, visit), visits + 1


def _pause_s(charger: Charger, visit: Visit) -> float:
    """Until the next driver comes."""
    if charger.busy_share is None:
        return charger.dice.uniform(8, 40)
    return visit.stay_s * (1 / charger.busy_share - 1) * charger.dice.uniform(0.5, 1.5)


def _open(charger: Charger, outlet: Outlet, order: Order | None) -> bool:
    card = order.card if order else charger.card
    return charger.ready and charger.in_service(outlet) and outlet.is_open_to(card)


async def _rest(charger: Charger, outlet: Outlet, seconds: float) -> None:
    await outlet.rest(seconds / charger.speed)


async def _visit(charger: Charger, outlet: Outlet, visit: Visit) -> None:
    order = outlet.take_order()
    card_first = order is not None or visit.card_first
    if card_first:
        if order is None and not await charger.authorize(charger.card):
            return
        charger.change(outlet, Status.AWAITING_CABLE)
        await _rest(charger, outlet, charger.dice.uniform(0.8, 2.0))
        car = _plug(charger, outlet, visit)
    else:
        car = _plug(charger, outlet, visit)
        await _rest(charger, outlet, charger.dice.uniform(0.8, 2.0))
        if outlet.order is None and not await charger.authorize(charger.card):
            await _rest(charger, outlet, charger.dice.uniform(3, 8))
            return
    order = order or outlet.take_order()
    if _open(charger, outlet, order):
        cause = Cause.REMOTE if order else Cause.CABLE if card_first else Cause.CARD
        await _charge(charger, outlet, visit, car=car, cause=cause, order=order)


def _plug(charger: Charger, outlet: Outlet, visit: Visit) -> Car:
    car = arriving_car(charger.dice)
    if visit.target_share is not None:
        enough_wh = full_power_w(outlet.supply, car) * visit.stay_s * visit.target_share / 3600
        car.target_percent = min(100.0, car.soc_percent + enough_wh / car.capacity_wh * 100)
    outlet.plug(car)
    charger.change(outlet, Status.PREPARING)
    return car


async def _charge(
    charger: Charger, outlet: Outlet, visit: Visit, *, car: Car, cause: Cause, order: Order | None
) -> None:
    charger.start(outlet, card=order.card if order else charger.card, cause=cause, order=order)
    session = outlet.session
    await _rest(charger, outlet, charger.dice.uniform(0.5, 1.5))
    if outlet.session is not session:
        return
    outlet.energize(car, charger.now_s)
    charger.change(outlet, Status.CHARGING)
    acts = _Acts(charger, visit)
    # The first reading comes soon, but not before there is something to read.
    metered_s = charger.now_s + min(0.0, FIRST_READING_S - charger.settings.meter_interval_s) * charger.speed
    while outlet.session is session:
        meter_due_s = metered_s + (charger.settings.meter_interval_s or math.inf) * charger.speed
        due_s = min(meter_due_s, acts.next_s)
        await _rest(charger, outlet, due_s - charger.now_s)
        if outlet.session is not session:
            break
        outlet.advance(charger.now_s)
        if charger.now_s >= meter_due_s:
            charger.meter(outlet)
            metered_s = charger.now_s
        acts.play(outlet)
    outlet.wake.clear()
    await _rest(charger, outlet, charger.dice.uniform(2, 6))


class _Acts:
    """What the car and its driver do of their own accord while it charges."""

    def __init__(self, charger: Charger, visit: Visit) -> None:
        self._charger = charger
        self._leave_s = charger.now_s + visit.stay_s
        self._pause_s = charger.now_s + visit.pause_at_s if visit.pause_at_s is not None else None
        self._resume_s: float | None = None
        self._pause_length_s = visit.pause_s
        self._leaving = Reason.LOCAL

    @property
    def next_s(self) -> float:
        return min(at_s for at_s in (self._leave_s, self._pause_s, self._resume_s) if at_s is not None)

    def play(self, outlet: Outlet) -> None:
        charger, charge, now_s = self._charger, outlet.charge, self._charger.now_s
        if charge is None:
            return
        if now_s >= self._leave_s:
            charger.stop(outlet, self._leaving)
        elif charge.complete and outlet.status is not Status.SUSPENDED_EV:
            self._have_enough(outlet)
        elif self._pause_s is not None and now_s >= self._pause_s:
            self._pause_s, self._resume_s = None, now_s + self._pause_length_s
            charge.suspend()
            charger.change(outlet, Status.SUSPENDED_EV)
        elif self._resume_s is not None and now_s >= self._resume_s:
            self._resume_s = None
            charge.resume()
            charger.change(outlet, Status.CHARGING)

    def _have_enough(self, outlet: Outlet) -> None:
        """A DC station ends by itself; at an AC station the car stops drawing, and its driver comes and unplugs."""
        if outlet.supply.direct:
            self._charger.stop(outlet, Reason.TARGET_REACHED)
            return
        self._charger.change(outlet, Status.SUSPENDED_EV)
        self._pause_s = self._resume_s = None
        self._leaving = Reason.EV_DISCONNECTED
        self._leave_s = min(self._leave_s, self._charger.now_s + self._charger.dice.uniform(4, 12))

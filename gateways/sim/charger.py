"""One simulated station: what it has, what happens to it, and what it therefore has to tell.

It decides nothing about wording (that is its dialect's) nor about when things happen (that is `life`), and it owns no
task: `power` keeps it connected, registered and heard.
"""

import asyncio
import random
from collections.abc import Coroutine
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Protocol

from gateways.sim.catalog import Make
from gateways.sim.faults import SLOW_S, Fault, clock_off, mistaken
from gateways.sim.outbox import Message, Outbox, Stage
from gateways.sim.outlet import Card, Cause, Order, Outlet, Place, Reading, Reason, Session, Status
from gateways.sim.settings import ENERGY, Settings
from gateways.sim.wire import Answer, CallFailed, Link, NoAnswer, Offline, Payload, quietly

Call = tuple[str, Payload]
ORDERABLE = (Status.AVAILABLE, Status.PREPARING)  # elsewhere somebody is at it already


class Dialect(Protocol):
    """The words of one version of OCPP; None where it has none for the occasion."""

    subprotocol: str
    malformed_code: str
    keeps_message_ids: bool  # a repeated message has the id of its first attempt

    def boot(self, charger: "Charger", *, reason: str) -> Call: ...
    def word(self, outlet: Outlet) -> str: ...
    def status(self, charger: "Charger", outlet: Outlet | None) -> Call | None: ...
    def authorize(self, card: Card) -> Call: ...
    def new_transaction_id(self) -> str | None: ...
    def started(self, charger: "Charger", session: Session, reading: Reading) -> Call: ...
    def changed(self, charger: "Charger", outlet: Outlet, session: Session) -> Call | None: ...
    def metered(self, charger: "Charger", outlet: Outlet, reading: Reading, *, triggered: bool) -> Call | None: ...
    def stopped(self, charger: "Charger", session: Session, reading: Reading, reason: Reason) -> Call: ...
    def freed(self, place: Place, why: str) -> Call | None: ...
    def sealed(self, message: Message) -> Payload: ...
    def learn(self, session: Session, answer: Payload) -> None: ...
    def card_status(self, answer: Payload) -> str | None: ...
    def answer(self, charger: "Charger", action: str, request: Payload) -> Answer: ...


class Reset(Enum):
    SOFT = auto()
    HARD = auto()
    IMMEDIATE = auto()
    ON_IDLE = auto()
    POWER_LOSS = auto()


_STOPPED_BY = {Reset.HARD: Reason.HARD_RESET, Reset.POWER_LOSS: Reason.POWER_LOSS}


class Charger:
    def __init__(
        self,
        *,
        url: str,
        identity: str,
        index: int,
        make: Make,
        dialect: Dialect,
        settings: Settings,
        card: Card,
        dice: random.Random,
        password: str | None,
        speed: float,
        busy_share: float | None = None,
        faults: frozenset[Fault] = frozenset(),
    ) -> None:
        self.identity, self.index, self.make, self.dialect, self.settings = identity, index, make, dialect, settings
        self.card, self.dice, self.speed = card, dice, speed
        self.busy_share, self.faults, self.clock_off = busy_share, faults, clock_off(faults, dice)
        self.outlets = [
            Outlet(number, make.supply, dice, register_wh=dice.uniform(10_000, 5_000_000))
            for number in range(1, make.outlets + 1)
        ]
        self.operative = True
        self.sessions: list[Session] = []
        self.cards: dict[str, str] = {}  # the authorization cache: uid to status
        self.outbox = Outbox()
        self.link = Link(
            url=url,
            identity=identity,
            subprotocol=dialect.subprotocol,
            password=password,
            malformed_code=dialect.malformed_code,
            answer=self._answer,
            dice=dice,
            slow_s=SLOW_S if Fault.SLOW_ANSWERS in faults else None,
        )
        self.boots = 0
        self.registration = "Pending"
        self.registered = asyncio.Event()  # stays set while offline: a station that reconnects does not boot
        self.boot_asked = asyncio.Event()
        self.heartbeat_changed = asyncio.Event()
        self.places_changed = asyncio.Event()
        self.reset_due = asyncio.Event()
        self.resetting: Reset | None = None
        self.tasks: asyncio.TaskGroup | None = None

    @property
    def now_s(self) -> float:
        """The simulated clock."""
        return asyncio.get_running_loop().time() * self.speed

    def clock(self) -> datetime:
        """The station's own, as it writes times; it may be wrong."""
        return datetime.now(UTC) + self.clock_off

    @property
    def ready(self) -> bool:
        return self.registered.is_set() and self.resetting is None

    def read(self, outlet: Outlet) -> Reading:
        reading = outlet.read(self.clock())
        return mistaken(reading) if Fault.WRONG_UNITS in self.faults else reading

    def outlet(self, number: int) -> Outlet | None:
        return next((outlet for outlet in self.outlets if outlet.number == number), None)

    def outlet_charging(self, transaction_id: str) -> Outlet | None:
        return next((o for o in self.outlets if o.session and o.session.transaction_id == transaction_id), None)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Something to do beside the rest, until the power is cut."""
        if self.tasks is None:
            raise RuntimeError("the power is off")
        self.tasks.create_task(quietly(work))

    def _answer(self, action: str, request: Payload) -> Answer:
        return self.dialect.answer(self, action, request)

    # A charge, from card to cable

    async def authorize(self, card: Card) -> bool:
        """Offline, a card is good that the server called good the last time."""
        try:
            answer = await self.link.call(*self.dialect.authorize(card))
        except CallFailed:
            return False
        except (Offline, NoAnswer):
            return self.settings.authorizes_offline and self.cards.get(card.uid) == "Accepted"
        status = self.cards[card.uid] = self.dialect.card_status(answer) or "Invalid"
        if status != "Accepted":
            self.link.traffic.fail(f"Authorize {card.uid}: {status}")
        return status == "Accepted"

    def start(self, outlet: Outlet, *, card: Card, cause: Cause, order: Order | None) -> None:
        reading = self.read(outlet)
        place, outlet.place = outlet.place, None
        session = outlet.session = Session(
            transaction_id=self.dialect.new_transaction_id(),
            outlet=outlet.number,
            card=card,
            cause=cause,
            started_at=reading.at,
            meter_start_wh=reading.register_wh,
            acknowledged_wh=reading.register_wh,
            remote_start_id=order.remote_start_id if order else None,
            reservation=place.number if place else None,
            offline=not self.link.online.is_set(),
        )
        self.sessions.append(session)
        self._tell(self.dialect.started(self, session, reading), Stage.START, outlet, session, reading)

    def change(self, outlet: Outlet, status: Status) -> None:
        if outlet.status is status:
            return
        outlet.status = status
        self.say_status(outlet)
        if outlet.session is not None:
            self._tell(self.dialect.changed(self, outlet, outlet.session), Stage.UPDATE, outlet, outlet.session)

    def meter(self, outlet: Outlet, *, triggered: bool = False) -> None:
        outlet.advance(self.now_s)
        reading = self.read(outlet)
        call = self.dialect.metered(self, outlet, reading, triggered=triggered)
        self._tell(call, Stage.METER, outlet, outlet.session, reading)

    def stop(self, outlet: Outlet, reason: Reason) -> None:
        session = outlet.session
        if session is None:
            return
        outlet.advance(self.now_s)
        outlet.charge = outlet.session = None
        reading = self.read(outlet)
        session.ended_at, session.meter_stop_wh, session.reason = reading.at, reading.register_wh, reason
        session.offline |= not self.link.online.is_set()
        for _ in range(2 if Fault.DUPLICATE_STOP in self.faults else 1):
            self._tell(self.dialect.stopped(self, session, reading, reason), Stage.STOP, outlet, session, reading)
        self.change(outlet, Status.FINISHING)
        outlet.wake.set()
        if self.resetting is Reset.ON_IDLE:
            self.reset(Reset.ON_IDLE)

    def settle(self, outlet: Outlet) -> None:
        """No cable, no card: free, or out of service."""
        outlet.unplug()
        self.change(outlet, Status.AVAILABLE if self.in_service(outlet) else Status.UNAVAILABLE)

    # What the server asks

    def takes_orders(self, outlet: Outlet, card: Card) -> bool:
        free = outlet.session is None and outlet.order is None and outlet.status in ORDERABLE
        return free and outlet.is_open_to(card) and self.in_service(outlet) and self.ready

    def outlet_for(self, card: Card, wanted: int | None) -> Outlet | None:
        """Where a charge that the server asks for can begin; rather where the card has a place."""
        outlets = [one for one in self.outlets if wanted in (None, one.number) and self.takes_orders(one, card)]
        return next((one for one in outlets if one.place), None) or next(iter(outlets), None)

    def order(self, outlet: Outlet, order: Order) -> None:
        outlet.order = order
        outlet.wake.set()

    def outlet_kept(self, number: int) -> Outlet | None:
        return next((one for one in self.outlets if one.place is not None and one.place.number == number), None)

    def keep_place(self, outlet: Outlet, place: Place) -> None:
        if (before := self.outlet_kept(place.number)) is not None:
            self.free_place(before)
        outlet.place = place
        self.places_changed.set()
        self.say_status(outlet)

    def free_place(self, outlet: Outlet, *, told: str | None = None) -> None:
        """`told` is why, where the server does not know (OCPP 2.x)."""
        place, outlet.place = outlet.place, None
        if place is not None and told is not None:
            self._tell(self.dialect.freed(place, told), Stage.UPDATE)
        self.say_status(outlet)
        if outlet.turns_away:
            outlet.wake.set()

    def in_service(self, outlet: Outlet) -> bool:
        return self.operative and outlet.operative

    def busy(self, outlet: Outlet | None) -> bool:
        """None asks for the whole station."""
        return any(one.session for one in self.outlets if outlet in (None, one))

    def put_in_service(self, outlet: Outlet | None, *, operative: bool) -> None:
        """Where a charge goes on, the outlet follows when it has ended."""
        if outlet is None:
            self.operative = operative
            self._tell(self.dialect.status(self, None), Stage.STATUS)
        else:
            outlet.operative = operative
        for one in self.outlets:
            if outlet in (None, one) and one.place is not None and not operative:
                self.free_place(one, told="Removed")
            if outlet in (None, one) and one.session is None and one.status is not Status.FINISHING:
                self.settle(one)
                one.wake.set()

    def reset(self, kind: Reset) -> None:
        """Ends what goes on and asks for a power-cut; what could not be told before it is told after."""
        if self.reset_due.is_set():
            return
        self.resetting = kind
        if kind is Reset.ON_IDLE and self.busy(None):
            return  # the last `stop` comes back here
        for outlet in self.outlets:
            self.stop(outlet, _STOPPED_BY.get(kind, Reason.SOFT_RESET))
        self.reset_due.set()

    def lose_power(self) -> None:
        self.link.cut_off(0)  # first: nothing can be told any more
        self.reset(Reset.POWER_LOSS)

    def settings_changed(self) -> None:
        self.link.ping_s = self.settings.ping_s
        self.heartbeat_changed.set()

    # What the server is told

    def say_status(self, outlet: Outlet) -> None:
        """By the outbox, so that status and transaction messages keep their order; each word once."""
        word = self.dialect.word(outlet)
        if outlet.said == word or not self.link.online.is_set() or not self.registered.is_set():
            return
        outlet.said = word
        self._tell(self.dialect.status(self, outlet), Stage.STATUS, outlet)

    def say_statuses(self) -> None:
        if not self.registered.is_set():
            return
        self._tell(self.dialect.status(self, None), Stage.STATUS)
        for outlet in self.outlets:
            self.say_status(outlet)

    def forget_statuses(self) -> None:
        """The socket is gone and with it the statuses that were under way: they are said anew."""
        for message in self.outbox.drop_statuses():
            if message.outlet is not None:
                message.outlet.said = None

    def heard(self, message: Message, answer: Payload | None) -> None:
        """The server has answered a message for good; None where it refused it too often."""
        session, outlet = message.session, message.outlet
        if session is None or outlet is None:
            return
        if message.stage is Stage.START:
            self.dialect.learn(session, answer or {})
        if answer is None:
            return
        session.start_delivered |= message.stage is Stage.START
        session.stop_delivered |= message.stage is Stage.STOP
        session.acknowledged_wh = message.register_wh or session.acknowledged_wh
        status = self.dialect.card_status(answer)
        if status is None:
            return
        self.cards[session.card.uid] = status
        if status != "Accepted" and outlet.session is session and self.settings.stops_on_invalid_token:
            self.stop(outlet, Reason.DEAUTHORIZED)

    def _tell(
        self,
        call: Call | None,
        stage: Stage,
        outlet: Outlet | None = None,
        session: Session | None = None,
        reading: Reading | None = None,
    ) -> None:
        if call is not None:
            metered = reading is not None and (stage is not Stage.METER or ENERGY in self.settings.sampled)
            register_wh = reading.register_wh if reading and metered else None
            self.outbox.put(Message(*call, stage, outlet=outlet, session=session, register_wh=register_wh))

"""What really happened at a station one day, and how it will be told: late, twice, in part, in another order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from hypothesis import strategies as st

EVSES = (1, 2)
DAY = 24 * 60  # minutes


class Ending(StrEnum):
    STOPPED = "STOPPED"
    LOST = "LOST"  # the power failed, and nobody will ever say so
    UNNAMED = "UNNAMED"  # 1.6: the stop names a transaction that nobody knows


@dataclass(frozen=True)
class Charge:
    """The register at each minute from start to stop; where it was reset, two values of one minute."""

    number: int
    evse: int
    start_at: int
    registers_wh: tuple[int, ...]
    reset_before: int | None  # the part with which the register began anew
    ending: Ending
    dropped: frozenset[int]  # 2.x: parts that never arrive
    seq: int  # 2.x: that of its first part
    answered: bool  # 1.6: the station got the number of its transaction

    @property
    def card(self) -> str:
        return f"CARD-{self.number}"

    @property
    def last(self) -> int:
        return len(self.registers_wh) - 1

    @property
    def stop_at(self) -> int:
        return self.start_at + self.last

    @property
    def told(self) -> list[int]:
        """The parts that ever arrive."""
        lost = {self.last} if self.ending is Ending.LOST else set()
        return [part for part in range(self.last + 1) if part not in self.dropped | lost]

    @property
    def energy_wh(self) -> int:
        """As far as anybody was told."""
        first, last = self.registers_wh[self.told[0]], self.registers_wh[self.told[-1]]
        if self.reset_before is None or self.reset_before > self.told[-1]:
            return last - first
        return self.registers_wh[self.reset_before - 1] - first + last

    @property
    def is_reset(self) -> bool:
        return self.reset_before is not None and self.reset_before <= self.told[-1]


@dataclass(frozen=True)
class Message:
    """A part of a charge, told `copies` times: with one message id or with new ones, at once on two sockets or not."""

    charge: Charge
    part: int
    copies: int
    same_id: bool
    at_once: bool


@dataclass(frozen=True)
class Day:
    """`messages` in the order in which they arrive; before some the station boots. `vacated` are charges after the last
    part of which their plug is said to be free.

    `skew` is how many minutes its clock is ahead, None that it was never set. `late` is after how many messages the
    line is lost, for two days.
    """

    charges: tuple[Charge, ...]
    messages: tuple[Message, ...]
    boots: frozenset[int]
    vacated: frozenset[int]
    skew: int | None
    late: int
    socket_changes: frozenset[int]


def is_set(skew: int | None) -> TypeGuard[int]:
    """A clock that is more than a day ahead is not believed either."""
    return skew is not None and skew <= DAY


@st.composite
def charges(
    draw: st.DrawFn, number: int, evse: int, start_at: int, first_wh: int, *, numbered: bool, is_clock_set: bool
) -> Charge:
    registers, reset_before = [first_wh], None
    for step in draw(st.lists(st.integers(0, 400), min_size=2, max_size=5)):
        registers.append(registers[-1] + step)
    if draw(st.integers(0, 4)) == 0 and len(registers) > 3:
        reset_before = draw(st.integers(2, len(registers) - 2))
        registers[reset_before:] = [wh - registers[reset_before] for wh in registers[reset_before:]]
    last = len(registers) - 1
    endings = [Ending.STOPPED, Ending.STOPPED, Ending.LOST] + ([] if numbered else [Ending.UNNAMED])
    ending = draw(st.sampled_from(endings if reset_before is None else [Ending.STOPPED]))
    # values that name no transaction revive none: of a charge without number or stop nobody could say that it goes on
    is_answered = numbered or not is_clock_set or reset_before is not None or ending is Ending.LOST
    can_drop = numbered and reset_before is None
    return Charge(
        number,
        evse,
        start_at,
        tuple(registers),
        reset_before,
        ending,
        draw(st.frozensets(st.integers(0, last - 1), max_size=2)) if can_drop and last > 2 else frozenset(),
        draw(st.sampled_from([0, 1, 40_000])),
        is_answered or draw(st.integers(0, 3)) > 0,
    )


@st.composite
def days(draw: st.DrawFn, *, numbered: bool) -> Day:
    """`numbered`: of 2.x, whose parts carry all that is needed to put them in order."""
    skew = draw(st.sampled_from([0, 0, 0, -180, 300, 20 * 60, 34 * 365 * DAY, None]))
    done: list[Charge] = []
    for evse in EVSES:
        at, register = draw(st.integers(0, 3)), draw(st.integers(10_000, 10**8))
        for _ in range(draw(st.integers(1, 2))):
            one = charges(len(done), evse, at, register, numbered=numbered, is_clock_set=is_set(skew))
            done.append(draw(one.filter(lambda charge: charge.told)))
            at, register = done[-1].stop_at + draw(st.integers(1, 5)), done[-1].registers_wh[-1] + 10_000
    messages = [
        Message(charge, part, draw(st.integers(1, 2)), draw(st.booleans()), draw(st.booleans()))
        for charge in done
        for part in charge.told
    ]
    arriving = _arriving(draw, done, messages, shuffles=is_set(skew) and skew <= 0, numbered=numbered)
    places = st.frozensets(st.integers(0, len(arriving) - 1), max_size=2)
    return Day(
        tuple(done),
        tuple(arriving),
        draw(places),
        draw(st.frozensets(st.sampled_from(range(len(done))))),
        skew,
        draw(st.integers(0, len(arriving))),
        draw(places),
    )


def _arriving(
    draw: st.DrawFn, done: list[Charge], messages: list[Message], *, shuffles: bool, numbered: bool
) -> list[Message]:
    """In the order of what happened; or shuffled as far as the version lets a server put it right again.

    1.6: a station learns the number of a charge from the answer to its start, so the start is told first; and what
    names no number needs the order that its times have.
    """
    in_time = sorted(messages, key=lambda message: (message.charge.start_at + message.part, message.charge.evse))
    if not shuffles:
        return in_time
    if numbered:
        return draw(st.permutations(in_time))
    if not all(charge.answered and charge.ending is not Ending.UNNAMED for charge in done):
        return in_time
    starts = [message for message in in_time if message.part == 0]
    return [*starts, *draw(st.permutations([message for message in in_time if message.part > 0]))]

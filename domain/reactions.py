"""Every cause and effect on one screen. The relay runs these: at least once each, in a Work of the event's tenant.

A reaction is a use-case `(work, event)`. What it does in its Work happens once; what it does elsewhere it must be able
to repeat. `Later` runs one after a while. `Apart` is one that opens the works that it needs, and may happen more than
once: `(workplace, actor, event)`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain import commands, imports, local_lists, points, reservations, sessions, station_log, stations, tokens
from domain.actor import Actor
from domain.events import Event
from domain.work import Work, Workplace

Reaction = Callable[[Work, Any], Awaitable[None]]
Deed = Callable[[Workplace, Actor, Any], Awaitable[None]]
Condition = Callable[[Work, Any], Awaitable[bool]]
Sweep = Callable[[Work], Awaitable[object]]
Errand = Callable[[Workplace, Actor], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Later:
    """`only_if` is asked in the Work that tells of the event, for what mostly leads to nothing: it costs a look
    instead of a job."""

    reaction: Reaction
    delay: timedelta = timedelta()
    only_if: Condition | None = None


@dataclass(frozen=True, slots=True)
class Apart:
    reaction: Deed
    delay: timedelta = timedelta()
    only_if: Condition | None = None


REACTIONS: dict[type[Event], list[Reaction | Later | Apart]] = {
    stations.StationReportCompleted: [commands.tell_reported],
    commands.CommandChanged: [reservations.settle],
    # a station that lost power sends its stop after the boot: give it time before inferring one
    stations.StationDeleted: [commands.hang_up, station_log.forget],
    stations.StationRegistrationChanged: [commands.ask_to_boot],
    stations.StationBooted: [
        Later(sessions.interrupt_unheard, timedelta(minutes=5), only_if=sessions.is_running_at),
        Later(commands.wake, only_if=commands.is_waiting_for),
    ],
    # a stop may come after its connector was said to be free
    sessions.EvseVacated: [Later(sessions.interrupt_vacated, timedelta(minutes=5))],
    sessions.SessionStopped: [Apart(sessions.come_to_rest)],
    stations.StationMoved: [local_lists.follow_station],
    tokens.TokenChanged: [local_lists.follow_tokens, sessions.clear_caches],
    tokens.TokenGroupChanged: [local_lists.follow_tokens],
}

# What no event tells of, looked after for every tenant now and then.
SWEEPS: list[Sweep] = [
    commands.expire_overdue,
    commands.retake_lost,
    commands.wake_waiting,
    stations.forget_lost,
    sessions.interrupt_forgotten,
    reservations.expire,
    imports.look_after,
    points.bound_quarantine,
]

# What waits for equipment, done for every tenant now and then: these open the works that they need.
ERRANDS: list[Errand] = [local_lists.keep]


# What speaks against an order that has waited, asked as it is at last sent.
OBJECTIONS: dict[commands.CommandKind, commands.Objection] = {
    commands.CommandKind.REMOTE_START: sessions.object_to_start,
    commands.CommandKind.RESERVE_NOW: reservations.object_to_request,
}


def name_of(reaction: Reaction | Deed) -> str:
    return f"{reaction.__module__.split('.')[1]}.{reaction.__name__}"


async def leads_on(work: Work, event: Event) -> bool:
    """Whether anything follows from an event; else it is told on the bus alone."""
    for later in reactions_to(type(event)):
        if later.only_if is None or await later.only_if(work, event):
            return True
    return False


def reactions_to(event: type[Event]) -> list[Later | Apart]:
    """What follows from an event, each with its delay."""
    return [r if isinstance(r, Later | Apart) else Later(r) for r in REACTIONS.get(event, [])]


def by_name(name: str) -> Later | Apart:
    """A reaction as its job names it; KeyError when a release has dropped it."""
    return {name_of(following.reaction): following for event in REACTIONS for following in reactions_to(event)}[name]

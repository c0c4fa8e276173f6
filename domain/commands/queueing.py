"""Orders that wait for a station: one at a time, by priority and age, each until it expires.

Whoever chooses the next one holds the station's row meanwhile; whoever ends one or takes it back holds the order's.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, or_
from sqlmodel import col, select

from domain.actor import Permission
from domain.commands.ending import end, tell
from domain.commands.link import CALLED_OFF, Miss, Outcome, StationLink
from domain.commands.models import Command, CommandStatus
from domain.commands.objecting import objection_to
from domain.commands.rules import CommandRules
from domain.commands.traits import WHILE_PENDING, traits_of
from domain.errors import Conflict, Invalid, LimitExceeded, NotFound, Unavailable
from domain.stations import Presence, Registration, Station, StationBooted
from domain.work import Work

_GRACE = timedelta(seconds=5)  # what a caller's own write of the result may take before the sweep steps in
_WOKEN_AT_ONCE = 1_000

_NEVER = "the station was not there in time: it never was delivered"
_NOBODY = "nobody waited for the answer any more"
_LOST = "the connection was lost before the station answered"


async def hold_place(work: Work, command: Command, queue_for_s: float) -> None:
    """Lets a new order wait. The caller holds the station, so that no more than the limit do."""
    rules = work.port(CommandRules)
    if not 1 <= queue_for_s <= rules.queue_for_max_s:
        raise Invalid(f"an order may wait for 1 to {rules.queue_for_max_s} s, not {queue_for_s:g}", field="queueForS")
    waiting = select(func.count()).where(
        Command.station_id == command.station_id, col(Command.completed_at).is_(None), _waits()
    )
    if (await work.session.exec(waiting)).one() >= rules.queue_max:
        raise LimitExceeded(f"{rules.queue_max} orders wait for this station already")
    command.expires_at = command.deadline_at = work.now + timedelta(seconds=queue_for_s)


async def take(work: Work, *, station_id: UUID, only: UUID | None = None) -> Command | None:
    """The next order for a station, which is SENT from now on; one that may not be sent any more ends instead.

    None where nothing is due, where the station is not ready or has one on its way, and where `only` is not the next.
    """
    work.require(Permission.CONTROL)
    try:
        station = await work.get(Station, station_id, lock=True)
    except NotFound:
        return None
    holder = await _holder(work, station)
    if holder is None or await _is_busy(work, station_id):
        return None
    while (command := await _next(work, station)) is not None and only in (None, command.id):
        objection = await objection_to(work, command)
        if objection is None:
            return _sent(work, command, holder)
        end(work, command, _forbidden(command, objection))
    return None


async def missed(work: Work, *, command_id: UUID, attempt: int, outcome: Outcome) -> Command:
    """An attempt that came to nothing: the order waits for another where that is safe, else this is its end."""
    work.require(Permission.CONTROL)
    command = await work.get(Command, command_id, lock=True)
    if command.status is CommandStatus.SENT and command.attempts == attempt:
        _miss(work, command, outcome)
    return command


async def withdraw(work: Work, *, command_id: UUID) -> Command:
    """Calls off an order that waits; one that is on its way stays as it is."""
    work.require(Permission.CONTROL)
    command = await work.get(Command, command_id, lock=True)
    if command.status is CommandStatus.QUEUED:
        end(work, command, CALLED_OFF)
    elif command.completed_at is not None and command.status is not CommandStatus.CANCELLED:
        raise Conflict(f"the order has ended already: {command.status}", status=command.status)
    return command


async def expire_overdue(work: Work) -> Sequence[Command]:
    """Orders that waited for too long, and those whose caller died before it could write down the end."""
    work.require(Permission.CONTROL)
    has_waited = and_(col(Command.status) == CommandStatus.QUEUED, _waits())
    is_late = or_(has_waited, col(Command.deadline_at) < work.now - _GRACE)
    query = select(Command).where(col(Command.completed_at).is_(None), col(Command.deadline_at) <= work.now, is_late)
    overdue = (await work.session.exec(query.with_for_update(skip_locked=True))).all()
    for command in overdue:
        if command.status is CommandStatus.QUEUED and command.waits:
            end(work, command, _expired(command))
        else:
            _miss(work, command, Outcome(CommandStatus.TIMEOUT, None, _NOBODY, Miss.UNANSWERED))
    return overdue


async def retake_lost(work: Work) -> Sequence[Command]:
    """Orders that were on their way when their process died, as soon as their stations are back: the connection that
    they went out on is no more, and whoever survived it has written down the end by now."""
    work.require(Permission.CONTROL)
    query = (
        select(Command)
        .join(Station, col(Station.id) == Command.station_id)
        .where(
            Command.status == CommandStatus.SENT,
            _waits(),
            col(Station.connected_at) > Command.sent_at,
            col(Station.connected_at) <= work.now - _GRACE,
        )
    )
    lost = []
    for command in (await work.session.exec(query.with_for_update(skip_locked=True, of=Command))).all():
        holder = await _presence(work).holder(work.tenant_id, command.station_id)
        if holder not in (None, command.holder):
            _miss(work, command, Outcome(CommandStatus.TIMEOUT, None, _LOST, Miss.UNANSWERED))
            command.next_attempt_at = None  # there is nothing to wait for
            lost.append(command)
    return lost


_IS_WAITING: Final = """
select exists (select from command where station_id = $1 and status = 'QUEUED' and expires_at is not null)
"""


async def is_waiting_for(work: Work, booted: StationBooted) -> bool:
    """Whether there is an order that a boot may wake."""
    work.require(Permission.REPORT)
    connection = await work.connection()
    return bool(await connection.fetchval(_IS_WAITING, booted.station_id))


async def wake(work: Work, booted: StationBooted) -> None:
    """What waits for a station that has booted goes out."""
    work.require(Permission.CONTROL)
    due = select(Command.id).where(Command.station_id == booted.station_id, *_due(work)).limit(1)
    if (await work.session.exec(due)).first() is not None:
        await _link(work).wake(tenant_id=work.tenant_id, station_id=booted.station_id)


async def wake_waiting(work: Work) -> None:
    """Stations that are there, did not boot, and have something waiting; orders whose next attempt is due."""
    work.require(Permission.CONTROL)
    due = select(Command.station_id).where(*_due(work)).distinct().limit(_WOKEN_AT_ONCE)
    if waiting := (await work.session.exec(due)).all():
        online = await _presence(work).online(work.tenant_id)
        for station_id in online.intersection(waiting):
            await _link(work).wake(tenant_id=work.tenant_id, station_id=station_id)


async def _next(work: Work, station: Station) -> Command | None:
    due = select(Command).where(Command.station_id == station.id, *_due(work))
    if station.registration is Registration.PENDING:
        due = due.where(col(Command.kind).in_(WHILE_PENDING))
    due = due.order_by(col(Command.priority), col(Command.created_at), col(Command.id)).limit(1)
    return (await work.session.exec(due.with_for_update(skip_locked=True))).first()


def _sent(work: Work, command: Command, holder: str) -> Command:
    command.status, command.sent_at, command.attempts = CommandStatus.SENT, work.now, command.attempts + 1
    command.holder = holder
    command.next_attempt_at = command.error = None
    command.deadline_at = work.now + timedelta(seconds=work.port(CommandRules).deadline_s)
    tell(work, command)
    return command


def _waits() -> Any:
    return col(Command.expires_at).is_not(None)


def _due(work: Work) -> tuple[Any, ...]:
    return (
        Command.status == CommandStatus.QUEUED,
        col(Command.expires_at) > work.now,
        or_(col(Command.next_attempt_at).is_(None), col(Command.next_attempt_at) <= work.now),
    )


async def _holder(work: Work, station: Station) -> str | None:
    """Who has the station's socket, where it is there, is ours, and has booted or does not seem to want to."""
    if station.registration is Registration.REJECTED:
        return None
    came = station.connected_at
    if came is not None and (station.booted_at is None or station.booted_at < came):
        grace = timedelta(seconds=work.port(CommandRules).boot_grace_s)
        if work.now < came + grace:
            return None
    try:
        return await _presence(work).holder(work.tenant_id, station.id)
    except Unavailable:
        return None


async def _is_busy(work: Work, station_id: UUID) -> bool:
    on_its_way = select(Command.id).where(
        Command.station_id == station_id, Command.status == CommandStatus.SENT, _waits()
    )
    return (await work.session.exec(on_its_way)).first() is not None


def _miss(work: Work, command: Command, outcome: Outcome) -> None:
    if command.expires_at is None:
        end(work, command, outcome)
        return
    unheard = outcome.miss is Miss.UNHEARD
    if unheard:
        command.attempts -= 1  # the station knows nothing of it
    elif not traits_of(command.kind).repeatable:
        error = f"{outcome.error}; the station may have done it, so it is not sent again"
        end(work, command, Outcome(CommandStatus.TIMEOUT, outcome.result, error))
        return
    rules = work.port(CommandRules)
    if work.now >= command.expires_at or command.attempts >= rules.attempts_max:
        end(work, command, replace(_expired(command), result=outcome.result))
        return
    command.status, command.deadline_at, command.error = CommandStatus.QUEUED, command.expires_at, outcome.error
    command.next_attempt_at = None if unheard else work.now + _pause(rules, command.attempts)
    tell(work, command)


def _expired(command: Command) -> Outcome:
    times = "once" if command.attempts == 1 else f"{command.attempts} times"
    error = f"it was sent {times}, and the station did not answer" if command.attempts else _NEVER
    return Outcome(CommandStatus.TIMEOUT, None, error)


def _forbidden(command: Command, objection: str) -> Outcome:
    """Where the station may have heard it before, nobody knows what it made of it."""
    if command.attempts == 0:
        return Outcome(CommandStatus.FAILED, None, objection)
    return Outcome(CommandStatus.TIMEOUT, None, f"{_expired(command).error}; it is not sent again, for {objection}")


def _pause(rules: CommandRules, attempts: int) -> timedelta:
    """Doubled every time, give or take a quarter: what failed together is not tried again together."""
    pause_s = min(rules.retry_s * 2.0 ** (attempts - 1), rules.retry_max_s)
    return timedelta(seconds=pause_s * random.uniform(0.75, 1.25))


def _link(work: Work) -> StationLink:
    return work.port(StationLink)  # type: ignore[type-abstract]


def _presence(work: Work) -> Presence:
    return work.port(Presence)  # type: ignore[type-abstract]

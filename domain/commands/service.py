"""A command's life: requested in one work, carried out without any (`delivering.py`), completed in another one."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlmodel import select

from domain.actor import Permission
from domain.commands.ending import end, tell
from domain.commands.learning import learn
from domain.commands.link import Miss, Outcome, StationLink
from domain.commands.models import Command, CommandKind, CommandStatus
from domain.commands.permitting import permit
from domain.commands.preparing import check, prepare
from domain.commands.queueing import hold_place
from domain.commands.rules import CommandRules
from domain.commands.traits import traits_of
from domain.stations import Station, StationDeleted, StationReportCompleted
from domain.work import Work


async def request(
    work: Work,
    *,
    station_id: UUID,
    kind: CommandKind,
    arguments: dict[str, Any] | None = None,
    deadline_s: float | None = None,
    queue_for_s: float | None = None,
) -> Command:
    """An order, written down before it is sent. `deliver` carries it out.

    With `queue_for_s` it waits for so long where the station is not there, and is tried again where that is safe.
    """
    work.require(Permission.CONTROL)
    given = arguments or {}
    check(given)
    station = await work.get(Station, station_id, lock=queue_for_s is not None)
    if queue_for_s is None:  # else it waits until the station is accepted
        permit(station, kind, given)
    deadline = work.port(CommandRules).deadline_s if deadline_s is None else deadline_s
    command = Command(
        station_id=station_id,
        kind=kind,
        arguments=given,
        priority=traits_of(kind).priority,
        actor=work.actor.name,
        created_at=work.now,
        deadline_at=work.now + timedelta(seconds=deadline),
    )
    await prepare(work, command)
    if queue_for_s is not None:
        await hold_place(work, command, queue_for_s)
    tell(work, command)
    return work.add(command)


async def mark_sent(work: Work, *, command_id: UUID) -> Command:
    """It is on its way to the process that holds the socket."""
    work.require(Permission.CONTROL)
    command = await work.get(Command, command_id, lock=True)
    if command.status is CommandStatus.QUEUED:
        command.status, command.sent_at, command.attempts = CommandStatus.SENT, work.now, 1
        tell(work, command)
    return command


async def complete(work: Work, *, command_id: UUID, outcome: Outcome) -> Command:
    """The end of a command; the first one counts."""
    work.require(Permission.CONTROL)
    command = await work.get(Command, command_id, lock=True)
    if command.completed_at is None:
        arguments = command.arguments
        if outcome.miss in (Miss.UNHEARD, Miss.UNSAYABLE) or outcome.status == CommandStatus.CANCELLED:
            command.attempts = max(command.attempts - 1, 0)  # this one was not on the wire
        end(work, command, outcome)
        await learn(work, station_id=command.station_id, kind=command.kind, arguments=arguments, outcome=outcome)
    return command


async def tell_reported(work: Work, completed: StationReportCompleted) -> None:
    """Whoever follows the command that asked for the report hears that it has come."""
    work.require(Permission.CONTROL)
    query = select(Command).where(Command.id == completed.command_id)
    if (command := (await work.session.exec(query)).first()) is not None:
        tell(work, command)


async def hang_up(work: Work, deleted: StationDeleted) -> None:
    """A station that is no longer ours is not kept on the line: should it knock again, it is a new one."""
    work.require(Permission.CONTROL)
    link = work.port(StationLink)  # type: ignore[type-abstract]
    await link.hang_up(tenant_id=work.tenant_id, station_id=deleted.station_id)

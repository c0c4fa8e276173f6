"""A command's life: requested in one work, carried out without any (`delivering.py`), completed in another one."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Sequence as DatabaseSequence
from sqlmodel import select

from domain import stations
from domain.actor import Permission
from domain.commands.ending import end, tell
from domain.commands.link import Outcome, StationLink
from domain.commands.models import Command, CommandKind, CommandStatus, is_secret
from domain.commands.queueing import hold_place
from domain.commands.rules import CommandRules
from domain.commands.traits import traits_of
from domain.errors import Invalid
from domain.stations import Station, StationDeleted
from domain.work import Work

_REMOTE_START_NUMBER = DatabaseSequence("remote_start_number")


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
    if given.get("connector_number") is not None and given.get("evse_number") is None:
        raise Invalid("a connector is one of an EVSE: name that too", field="evseNumber")
    await work.get(Station, station_id, lock=queue_for_s is not None)
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
    if queue_for_s is not None:
        await hold_place(work, command, queue_for_s)
    if kind is CommandKind.REMOTE_START:
        command.remote_start_number = (await work.session.exec(select(_REMOTE_START_NUMBER.next_value()))).one()
        command.arguments = {**command.arguments, "remote_start_number": command.remote_start_number}
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
        told = _configuration_told(command, outcome)
        end(work, command, outcome)
        if told:
            await stations.remember_configuration(work, station_id=command.station_id, values=told)
    return command


def _configuration_told(command: Command, outcome: Outcome) -> dict[str, Any]:
    """The keys and values that the end of a command tells of its station."""
    if outcome.status != CommandStatus.ACCEPTED:
        return {}
    match command.kind:
        case CommandKind.GET_CONFIGURATION:
            told = {key: entry["value"] for key, entry in (outcome.result or {}).get("configuration", {}).items()}
        case CommandKind.CHANGE_CONFIGURATION:
            told = {command.arguments["key"]: command.arguments["value"]}
        case _:
            return {}
    return {key: value for key, value in told.items() if not is_secret(key)}


async def hang_up(work: Work, deleted: StationDeleted) -> None:
    """A station that is no longer ours is not kept on the line: should it knock again, it is a new one."""
    work.require(Permission.CONTROL)
    link = work.port(StationLink)  # type: ignore[type-abstract]
    await link.hang_up(tenant_id=work.tenant_id, station_id=deleted.station_id)

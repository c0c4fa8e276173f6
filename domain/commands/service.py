"""A command's life: requested in one work, carried out without any, completed in a second one."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Sequence as DatabaseSequence
from sqlmodel import col, select

from domain import stations
from domain.actor import Actor, Permission
from domain.commands.events import CommandChanged
from domain.commands.link import Outcome, StationLink
from domain.commands.models import MASK, Command, CommandKind, CommandStatus, is_secret
from domain.commands.rules import CommandRules
from domain.errors import Invalid, TimedOut, Unavailable
from domain.stations import Station, StationDeleted
from domain.work import Work, Workplace

_REMOTE_START_NUMBER = DatabaseSequence("remote_start_number")
_deliveries: set[asyncio.Task[Command]] = set()  # asyncio itself holds its tasks but weakly
_GRACE = timedelta(seconds=5)  # what a caller's own write of the result may take before the sweep steps in


async def request(
    work: Work,
    *,
    station_id: UUID,
    kind: CommandKind,
    arguments: dict[str, Any] | None = None,
    deadline_s: float | None = None,
) -> Command:
    """An order, written down before it is sent. `deliver` carries it out."""
    work.require(Permission.CONTROL)
    given = arguments or {}
    if given.get("connector_number") is not None and given.get("evse_number") is None:
        raise Invalid("a connector is one of an EVSE: name that too", field="evseNumber")
    await work.get(Station, station_id)
    deadline = work.port(CommandRules).deadline_s if deadline_s is None else deadline_s
    command = Command(
        station_id=station_id,
        kind=kind,
        arguments=given,
        actor=work.actor.name,
        created_at=work.now,
        deadline_at=work.now + timedelta(seconds=deadline),
    )
    if kind is CommandKind.REMOTE_START:
        command.remote_start_number = (await work.session.exec(select(_REMOTE_START_NUMBER.next_value()))).one()
        command.arguments = {**command.arguments, "remote_start_number": command.remote_start_number}
    _tell(work, command)
    return work.add(command)


async def deliver(workplace: Workplace, actor: Actor, command: Command) -> Command:
    """Wait for the station's answer or for the deadline, holding no transaction; what it does is no error of ours.

    A caller who goes away does not end it: what the station answers is written down all the same.
    """
    delivery = asyncio.create_task(_deliver(workplace, actor, command), name=f"command {command.id}")
    _deliveries.add(delivery)
    delivery.add_done_callback(_deliveries.discard)
    return await asyncio.shield(delivery)


async def _deliver(workplace: Workplace, actor: Actor, command: Command) -> Command:
    remaining_s = (command.deadline_at - workplace.clock()).total_seconds()
    async with workplace.open_work(actor) as work:
        await mark_sent(work, command_id=command.id)
    try:
        outcome = await workplace.port(StationLink).deliver(  # type: ignore[type-abstract]
            tenant_id=actor.tenant_id,
            station_id=command.station_id,
            command_id=command.id,
            kind=command.kind,
            arguments=command.arguments,
            timeout_s=max(remaining_s, 0.0),
        )
    except TimedOut as error:
        outcome = Outcome(status=CommandStatus.TIMEOUT, result=None, error=error.message)
    except Unavailable as error:
        outcome = Outcome(status=CommandStatus.FAILED, result=None, error=error.message)
    async with workplace.open_work(actor) as work:
        return await complete(work, command_id=command.id, outcome=outcome)


async def mark_sent(work: Work, *, command_id: UUID) -> Command:
    """It is on its way to the process that holds the socket."""
    work.require(Permission.CONTROL)
    command = await work.get(Command, command_id, lock=True)
    if command.status is CommandStatus.QUEUED:
        command.status, command.sent_at = CommandStatus.SENT, work.now
        _tell(work, command)
    return command


async def complete(work: Work, *, command_id: UUID, outcome: Outcome) -> Command:
    """The end of a command; the first one counts."""
    work.require(Permission.CONTROL)
    command = await work.get(Command, command_id, lock=True)
    if command.completed_at is None:
        command.status, command.completed_at = CommandStatus(outcome.status), work.now
        command.arguments = command.shown_arguments
        command.result, command.error = _without_passwords(outcome.result), outcome.error
        _tell(work, command)
        if told := _configuration_told(command):
            await stations.remember_configuration(work, station_id=command.station_id, values=told)
    return command


def _without_passwords(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None or "configuration" not in result:
        return result
    told = {
        key: {**entry, "value": MASK} if is_secret(key) else entry for key, entry in result["configuration"].items()
    }
    return {**result, "configuration": told}


def _configuration_told(command: Command) -> dict[str, Any]:
    """The keys and values that the end of a command tells of its station."""
    if command.status is not CommandStatus.ACCEPTED:
        return {}
    match command.kind:
        case CommandKind.GET_CONFIGURATION:
            told = {key: entry["value"] for key, entry in (command.result or {}).get("configuration", {}).items()}
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


async def expire_overdue(work: Work) -> Sequence[Command]:
    """Commands whose caller died before it could write down the end."""
    work.require(Permission.CONTROL)
    query = select(Command).where(col(Command.completed_at).is_(None), col(Command.deadline_at) < work.now - _GRACE)
    overdue = (await work.session.exec(query.with_for_update(skip_locked=True))).all()
    for command in overdue:
        command.status, command.completed_at = CommandStatus.TIMEOUT, work.now
        command.error = "nobody waited for the answer any more"
        command.arguments = command.shown_arguments
        _tell(work, command)
    return overdue


def _tell(work: Work, command: Command) -> None:
    work.emit(CommandChanged(command_id=command.id, station_id=command.station_id, status=command.status))

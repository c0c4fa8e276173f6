"""Carrying orders out: between two works, holding no transaction while a station thinks."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

import structlog

from domain.actor import Actor
from domain.commands.link import CALLED_OFF, Miss, Outcome, StationLink, Unheard
from domain.commands.models import Command, CommandStatus
from domain.commands.queueing import missed, take, withdraw
from domain.commands.service import complete, mark_sent
from domain.errors import Conflict, DomainError, TimedOut, Unavailable
from domain.work import Workplace

log = structlog.get_logger()

T = TypeVar("T")

_WRITTEN_AGAIN_AFTER_S = (0.5, 1.0, 2.0)  # within the grace that the sweep leaves

_deliveries: set[asyncio.Task[Any]] = set()  # asyncio itself holds its tasks but weakly


async def deliver(workplace: Workplace, actor: Actor, command: Command) -> Command:
    """Wait for the station's answer or for the deadline; what the station does is no error of ours.

    An order that may wait is answered as QUEUED where the station is not there or has others before it. A caller who
    goes away does not end an order: what the station answers is written down all the same.
    """
    carrying = _deliver_in_turn if command.waits else _deliver_now
    return await asyncio.shield(_started(carrying(workplace, actor, command), f"command {command.id}"))


def start_delivering(workplace: Workplace, actor: Actor, *, station_id: UUID) -> asyncio.Task[None]:
    """`deliver_waiting`, on its own."""
    return _started(_deliver_quietly(workplace, actor, station_id), f"commands for {station_id}")


async def finish_deliveries(within_s: float) -> None:
    """For a process that ends and has let its stations go: what became of their orders is written down."""
    if _deliveries:
        await asyncio.wait(_deliveries, timeout=within_s)


async def deliver_waiting(workplace: Workplace, actor: Actor, *, station_id: UUID) -> None:
    """One after the other, until nothing is due or the station has gone."""
    while True:
        async with workplace.open_work(actor) as work:
            command = await take(work, station_id=station_id)
        if command is None:
            return
        outcome = await _asked(workplace, actor, command)
        await _written(workplace, actor, command, outcome)
        if outcome.miss is Miss.UNHEARD:
            return


async def cancel(workplace: Workplace, actor: Actor, *, command_id: UUID) -> Command:
    """Calls off an order that is not on the wire yet; `Conflict` where it may be, or has ended."""
    async with workplace.open_work(actor) as work:
        command = await withdraw(work, command_id=command_id)
    if command.status is not CommandStatus.SENT:
        return command
    link = workplace.port(StationLink)  # type: ignore[type-abstract]
    if not await link.recall(tenant_id=actor.tenant_id, station_id=command.station_id, command_id=command.id):
        raise Conflict("the order is on its way: the station may carry it out", status=command.status)
    async with workplace.open_work(actor) as work:
        return await complete(work, command_id=command.id, outcome=CALLED_OFF)


async def _deliver_now(workplace: Workplace, actor: Actor, command: Command) -> Command:
    async with workplace.open_work(actor) as work:
        sent = await mark_sent(work, command_id=command.id)
    if sent.completed_at is not None:
        return sent
    return await _written(workplace, actor, command, await _asked(workplace, actor, command))


async def _deliver_in_turn(workplace: Workplace, actor: Actor, command: Command) -> Command:
    """Where it is its turn at once; else its time will come."""
    async with workplace.open_work(actor) as work:
        taken = await take(work, station_id=command.station_id, only=command.id)
    if taken is not None:
        done = await _written(workplace, actor, taken, await _asked(workplace, actor, taken))
        await _wake(workplace, actor, command.station_id)  # others came meanwhile and saw that it was busy
        return done
    await _wake(workplace, actor, command.station_id)
    async with workplace.open_work(actor, read_only=True) as work:
        return await work.get(Command, command.id)


async def _asked(workplace: Workplace, actor: Actor, command: Command) -> Outcome:
    now = workplace.clock()
    remaining_s = (command.deadline_at - now).total_seconds()
    send_within_s = None if command.expires_at is None else (command.expires_at - now).total_seconds()
    if send_within_s is not None and min(remaining_s, send_within_s) <= 0:
        return Outcome(CommandStatus.TIMEOUT, None, "it could not be sent in time", Miss.UNHEARD)
    try:
        return await workplace.port(StationLink).deliver(  # type: ignore[type-abstract]
            tenant_id=actor.tenant_id,
            station_id=command.station_id,
            command_id=command.id,
            kind=command.kind,
            arguments=command.arguments,
            timeout_s=max(remaining_s, 0.0),
            send_within_s=send_within_s,
        )
    except Unheard as error:
        return Outcome(CommandStatus.FAILED, None, error.message, Miss.UNHEARD)
    except TimedOut as error:
        return Outcome(CommandStatus.TIMEOUT, None, error.message, Miss.UNANSWERED)
    except Unavailable as error:
        return Outcome(CommandStatus.FAILED, None, error.message, Miss.UNANSWERED)


async def _written(workplace: Workplace, actor: Actor, command: Command, outcome: Outcome) -> Command:
    """Not given up at once where the database is away: nobody else has heard the answer."""
    for delay_s in _WRITTEN_AGAIN_AFTER_S:
        try:
            return await _write(workplace, actor, command, outcome)
        except Unavailable:
            await asyncio.sleep(delay_s)
    return await _write(workplace, actor, command, outcome)


async def _write(workplace: Workplace, actor: Actor, command: Command, outcome: Outcome) -> Command:
    async with workplace.open_work(actor) as work:
        if command.waits and outcome.miss in (Miss.UNHEARD, Miss.UNANSWERED):
            return await missed(work, command_id=command.id, attempt=command.attempts, outcome=outcome)
        return await complete(work, command_id=command.id, outcome=outcome)


async def _wake(workplace: Workplace, actor: Actor, station_id: UUID) -> None:
    with suppress(Unavailable):  # the sweep will
        await workplace.port(StationLink).wake(  # type: ignore[type-abstract]
            tenant_id=actor.tenant_id, station_id=station_id
        )


async def _deliver_quietly(workplace: Workplace, actor: Actor, station_id: UUID) -> None:
    """Nobody waits for it, and what it leaves undone the sweep takes up."""
    try:
        await deliver_waiting(workplace, actor, station_id=station_id)
    except DomainError as error:
        log.warning("orders of a station have to wait", station=str(station_id), reason=error.message)
    except Exception:
        log.exception("orders of a station have to wait", station=str(station_id))


def _started(work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
    task = asyncio.create_task(work, name=name)
    _deliveries.add(task)
    task.add_done_callback(_deliveries.discard)
    return task

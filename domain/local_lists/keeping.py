"""Keeping stations' lists in step: one message after the other, each from what the rows say. So it may end anywhere and
go on in another process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import and_, func, or_
from sqlmodel import col, select

from domain import commands
from domain.actor import Actor, Permission
from domain.commands import Command, CommandKind
from domain.errors import DomainError
from domain.local_lists.entries import Message, Wanted, next_message, unknown_settings, wanted
from domain.local_lists.learning import learn, settle
from domain.local_lists.models import LocalList, LocalListPolicy, LocalListStatus, UpdateType
from domain.stations import Presence, Station
from domain.work import Work, Workplace

log = structlog.get_logger()

_AT_ONCE = 20
_STEPS_MAX = 500  # messages to one station in a row
_LEASE = timedelta(minutes=10)  # after which another process takes up what one has left
_AWAY = timedelta(minutes=5)  # and whenever it connects


@dataclass(frozen=True, slots=True)
class Step:
    """An order, and what the station holds if it takes it."""

    command: Command
    after: dict[str, str] | None = None


async def keep(workplace: Workplace, actor: Actor) -> None:
    """Every list of a tenant that is due, at stations that are there. Waits for them, holding no Work."""
    while True:
        async with workplace.open_work(actor) as work:
            station_ids = await claim(work)
        if not station_ids:
            return
        await asyncio.gather(*(_brought(workplace, actor, station_id) for station_id in station_ids))


async def _brought(workplace: Workplace, actor: Actor, station_id: UUID) -> None:
    """One station's trouble is no other's: it is taken up again when its lease ends."""
    try:
        await bring(workplace, actor, station_id=station_id)
    except DomainError as error:
        log.warning("local list left", station=str(station_id), reason=error.message)


async def bring(
    workplace: Workplace, actor: Actor, *, station_id: UUID, until: datetime | None = None
) -> Command | None:
    """One list up to date; the last order that it took, None where nothing was to be done."""
    last, may_ask = None, True
    for _ in range(_STEPS_MAX):
        async with workplace.open_work(actor) as work:
            step = await next_step(work, station_id=station_id, until=until, may_ask=may_ask)
        if step is None:
            return last
        may_ask = may_ask and step.command.kind is not CommandKind.GET_CONFIGURATION
        last = await commands.deliver(workplace, actor, step.command)
        async with workplace.open_work(actor) as work:
            if not await note(work, command=last, after=step.after):
                return last
    return last


async def claim(work: Work) -> Sequence[UUID]:
    """Stations whose lists are due, or that have connected since: theirs to bring who asks, until the lease ends."""
    work.require(Permission.CONTROL)
    has_come_back = and_(
        col(LocalList.policy) != LocalListPolicy.OFF,
        col(Station.connected_at) > func.coalesce(LocalList.connection_at, LocalList.created_at),
    )
    query = (
        select(LocalList, Station)
        .join(Station, col(Station.id) == LocalList.station_id)
        .where(or_(col(LocalList.due_at) <= work.now, has_come_back))
        .order_by(col(LocalList.due_at))
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True, of=LocalList)
    )
    found = (await work.session.exec(query)).all()
    if not found:
        return ()
    online = await work.port(Presence).online(work.tenant_id)  # type: ignore[type-abstract]
    return [kept.station_id for kept, station in found if _claimed(kept, station, station.id in online, work.now)]


def _claimed(kept: LocalList, station: Station, online: bool, now: datetime) -> bool:
    if kept.connection_at != station.connected_at:
        kept.connection_at, kept.is_known, kept.attempts = station.connected_at, False, 0
    is_hopeless = kept.status is LocalListStatus.NOT_SUPPORTED and kept.firmware_version == station.firmware_version
    kept.due_at = None if is_hopeless else now + (_LEASE if online else _AWAY)
    return online and not is_hopeless


async def next_step(work: Work, *, station_id: UUID, until: datetime | None, may_ask: bool) -> Step | None:
    """Are we sure what it holds? Do we know how much it takes? What differs?"""
    work.require(Permission.CONTROL)
    kept = await held(work, station_id)
    if kept is None:
        return None
    station = await work.get(Station, station_id)
    if kept.policy is LocalListPolicy.OFF and not (kept.entries or kept.version):
        settle(kept, 0, work.now)
        return None
    if not kept.is_known:
        return Step(await _order(work, station_id, CommandKind.GET_LOCAL_LIST_VERSION, {}, until))
    wants = Wanted({}, 0) if kept.policy is LocalListPolicy.OFF else await wanted(work, station)
    message = next_message(station, kept.entries, wants.entries)
    if message is None:
        settle(kept, wants.omitted, work.now)
        return None
    if may_ask and (keys := unknown_settings(station)):
        return Step(await _order(work, station_id, CommandKind.GET_CONFIGURATION, {"keys": keys}, until))
    kept.omitted = wants.omitted
    return await send(work, kept, message, until=until)


async def send(work: Work, kept: LocalList, message: Message, *, until: datetime | None) -> Step:
    """Under a version that no message had before; until it is answered nobody knows what the station holds."""
    kept.wanted_version = max(kept.version, kept.wanted_version) + 1
    kept.status, kept.is_known, kept.updated_at = LocalListStatus.PENDING, False, work.now
    update = UpdateType.FULL if message.full else UpdateType.DIFFERENTIAL
    arguments = {"version": kept.wanted_version, "update": update.value, "entries": message.entries}
    return Step(await _order(work, kept.station_id, CommandKind.SEND_LOCAL_LIST, arguments, until), message.after)


async def note(work: Work, *, command: Command, after: dict[str, str] | None = None) -> bool:
    """What became of an order; whether there is more to do now."""
    work.require(Permission.CONTROL)
    kept = await held(work, command.station_id)
    if kept is None:
        return False
    return learn(kept, await work.get(Station, command.station_id), command, after, work.now)


async def held(work: Work, station_id: UUID) -> LocalList | None:
    """Locked: what is decided about a list, is decided by one at a time."""
    query = select(LocalList).where(LocalList.station_id == station_id).with_for_update()
    return (await work.session.exec(query.execution_options(populate_existing=True))).first()


async def _order(
    work: Work, station_id: UUID, kind: CommandKind, arguments: dict[str, Any], until: datetime | None
) -> Command:
    deadline_s = None if until is None else max((until - work.now).total_seconds(), 0.0)
    return await commands.request(work, station_id=station_id, kind=kind, arguments=arguments, deadline_s=deadline_s)

"""What operators want of stations' lists, and what follows from changes of tokens."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_
from sqlalchemy import update as sql_update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from domain import commands, stations, tokens
from domain.actor import Actor, Permission
from domain.commands import Command, CommandKind, CommandRules
from domain.errors import Conflict, Invalid, NotFound
from domain.local_lists.entries import V16, entry_of, next_message
from domain.local_lists.keeping import Step, bring, held, note, send
from domain.local_lists.models import LocalList, LocalListPolicy, LocalListStatus, UpdateType
from domain.stations import Station, StationMoved
from domain.tokens import TokenChanged, TokenGroupChanged
from domain.work import Work, Workplace

_DEBOUNCE = timedelta(seconds=5)  # several changes go out as one
_ROWS = 1_000
_KEY = ("tenant_id", "station_id")


async def set_policy(work: Work, *, station_ids: Sequence[UUID] | None, policy: LocalListPolicy) -> Sequence[Station]:
    """What the lists of these stations hold from now on; of all stations that there are where none is named."""
    work.require(Permission.CONTROL)
    found = await _stations(work, station_ids)
    for begin in range(0, len(found), _ROWS):
        rows = [_fresh(work, station.id, policy).model_dump() for station in found[begin : begin + _ROWS]]
        statement = insert(LocalList).values(rows)
        change = {name: statement.excluded[name] for name in ("policy", "status", "due_at", "attempts", "updated_at")}
        await work.session.exec(statement.on_conflict_do_update(index_elements=_KEY, set_=change))
    return found


async def _stations(work: Work, station_ids: Sequence[UUID] | None) -> Sequence[Station]:
    if station_ids is None:
        return (await work.session.exec(select(Station))).all()
    found = await stations.by_ids(work, station_ids)
    missing = set(station_ids) - {station.id for station in found}
    if missing:
        raise NotFound(f"Station {min(missing)} does not exist", id=str(min(missing)))
    return found


def _fresh(work: Work, station_id: UUID, policy: LocalListPolicy) -> LocalList:
    return LocalList(station_id=station_id, policy=policy, due_at=work.now, created_at=work.now, updated_at=work.now)


async def follow_tokens(work: Work, _changed: TokenChanged | TokenGroupChanged) -> None:
    """Every list that is kept is looked at, in a moment: others may change too."""
    work.require(Permission.CONTROL)
    soon = work.now + _DEBOUNCE
    await work.session.exec(
        sql_update(LocalList)
        .where(
            col(LocalList.policy) != LocalListPolicy.OFF,
            col(LocalList.status) != LocalListStatus.NOT_SUPPORTED,
            or_(col(LocalList.due_at).is_(None), col(LocalList.due_at) > soon),
        )
        .values(due_at=soon, status=LocalListStatus.PENDING)
    )


async def follow_station(work: Work, moved: StationMoved) -> None:
    """Other tokens may charge there."""
    work.require(Permission.CONTROL)
    await _look_soon(work, moved.station_id)


async def by_station_ids(work: Work, ids: Sequence[UUID]) -> Sequence[LocalList]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(LocalList).where(col(LocalList.station_id).in_(ids)))).all()


async def send_now(
    workplace: Workplace,
    actor: Actor,
    *,
    station_id: UUID,
    update: UpdateType,
    token_uids: Sequence[str] | None = None,
) -> Command:
    """What the station should hold, or what is named, whatever is kept otherwise. Answers within one deadline, with the
    last of the orders that it took."""
    async with workplace.open_work(actor) as work:
        until = work.now + timedelta(seconds=work.port(CommandRules).deadline_s)
        step = await _first_step(work, station_id, update, token_uids)
    if step is None:
        command = await bring(workplace, actor, station_id=station_id, until=until)
        if command is None:
            raise Conflict("the station's list is as it should be")
        return command
    return await _delivered(workplace, actor, step)


async def ask_version(workplace: Workplace, actor: Actor, *, station_id: UUID) -> Command:
    """Of the list that the station has. Another than ours: the list is sent anew."""
    async with workplace.open_work(actor) as work:
        command = await commands.request(work, station_id=station_id, kind=CommandKind.GET_LOCAL_LIST_VERSION)
    return await _delivered(workplace, actor, Step(command))


async def _delivered(workplace: Workplace, actor: Actor, step: Step) -> Command:
    command = await commands.deliver(workplace, actor, step.command)
    async with workplace.open_work(actor) as work:
        if await note(work, command=command, after=step.after):
            await _look_soon(work, command.station_id)
    return command


async def _look_soon(work: Work, station_id: UUID) -> None:
    kept = await held(work, station_id)
    if kept is not None and kept.policy is not LocalListPolicy.OFF:
        kept.due_at = work.now


async def _first_step(
    work: Work, station_id: UUID, update: UpdateType, token_uids: Sequence[str] | None
) -> Step | None:
    """None: what is kept says what to send."""
    work.require(Permission.CONTROL)
    station = await work.get(Station, station_id)
    kept = await held(work, station_id) or work.add(_fresh(work, station_id, LocalListPolicy.OFF))
    if token_uids is not None:
        return await _step_with(work, station, kept, update, token_uids)
    if kept.policy is LocalListPolicy.OFF:
        raise Conflict("no list is kept at this station: setLocalListPolicy, or name tokenUids")
    if update is UpdateType.FULL:
        kept.entries = None
    return None


async def _step_with(
    work: Work, station: Station, kept: LocalList, update: UpdateType, token_uids: Sequence[str]
) -> Step:
    named = [await tokens.by_uid(work, uid) for uid in token_uids]
    if (one := next((token for token in named if token.depends), None)) is not None:
        raise Invalid(f"a list cannot say when, or at which plug, token {one.uid} may charge", field="tokenUids")
    entries = {token.uid: entry_of(token, work.now, by_type=station.ocpp_version != V16) for token in named}
    message = next_message(station, None, entries)
    if message is None or len(message.entries) < len(entries):
        raise Invalid(f"the station does not take {len(entries)} tokens in one message", field="tokenUids")
    if update is UpdateType.DIFFERENTIAL:
        message.full = False
        message.after = None if kept.entries is None else {**kept.entries, **(message.after or {})}
    if kept.policy is LocalListPolicy.OFF:
        kept.due_at = None
    return await send(work, kept, message, until=None)

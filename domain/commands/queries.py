from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, or_
from sqlmodel import col, select

from domain.actor import Permission
from domain.commands.models import Command, CommandKind, CommandStatus
from domain.page import Page, PageRequest, page
from domain.work import Work

# OCPP 1.6 has no id to recognize a remote start by: the same station and token within ConnectionTimeOut, generously
_REMEMBERED = timedelta(seconds=120)


async def by_id(work: Work, command_id: UUID) -> Command:
    work.require(Permission.VIEW)
    return await work.get(Command, command_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Command]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Command).where(col(Command.id).in_(ids)))).all()


async def listed(
    work: Work,
    request: PageRequest,
    *,
    station_id: UUID | None = None,
    status: Sequence[CommandStatus] | None = None,
    kind: Sequence[CommandKind] | None = None,
) -> Page[Command]:
    """Orders, newest first."""
    work.require(Permission.VIEW)
    query = select(Command)
    if station_id is not None:
        query = query.where(Command.station_id == station_id)
    if status:
        query = query.where(col(Command.status).in_(set(status)))
    if kind:
        query = query.where(col(Command.kind).in_(set(kind)))
    return await page(work, query, request, at=col(Command.created_at), row_id=col(Command.id))


async def unfinished(work: Work) -> Sequence[Command]:
    """Orders whose end is not known yet, oldest first."""
    work.require(Permission.VIEW)
    query = select(Command).where(col(Command.completed_at).is_(None))
    return (await work.session.exec(query.order_by(col(Command.created_at), col(Command.id)))).all()


async def matching_remote_start(
    work: Work,
    *,
    station_id: UUID,
    token_uid: str | None,
    at: datetime,
    remote_start_number: int | None = None,
    evse_number: int | None = None,
    excluding: Sequence[UUID] = (),
) -> UUID | None:
    """The remote start that led to a charge: by its number (2.x), else by station, token, EVSE and time (1.6).

    `excluding` are those that have led to another.
    """
    query = select(Command.id).where(
        Command.station_id == station_id,
        Command.kind == CommandKind.REMOTE_START,
        col(Command.status).in_((CommandStatus.SENT, CommandStatus.ACCEPTED)),
        col(Command.id).not_in(excluding),
    )
    if remote_start_number is not None:
        query = query.where(Command.remote_start_number == remote_start_number)
    else:
        chosen = col(Command.arguments)["evse_number"].astext
        query = query.where(
            func.coalesce(Command.sent_at, Command.created_at) >= at - _REMEMBERED,
            func.lower(col(Command.arguments)["token_uid"].astext) == (token_uid or "").strip().lower(),
            or_(chosen.is_(None), chosen == str(evse_number)),
        )
    return (await work.session.exec(query.order_by(col(Command.created_at).desc()).limit(1))).first()

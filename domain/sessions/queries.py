from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from domain.actor import Permission
from domain.page import Page, PageRequest, page
from domain.sessions.models import OrphanKind, Session, SessionOrphan, SessionStatus
from domain.stations import Station
from domain.work import Work


async def by_id(work: Work, session_id: UUID) -> Session:
    work.require(Permission.VIEW)
    return await work.get(Session, session_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Session]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Session).where(col(Session.id).in_(ids)))).all()


async def by_command_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Session]:
    """The sessions that remote starts have led to."""
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Session).where(col(Session.command_id).in_(ids)))).all()


async def listed(
    work: Work,
    request: PageRequest,
    *,
    station_id: UUID | None = None,
    station_identity: str | None = None,
    token_uid: str | None = None,
    status: Sequence[SessionStatus] | None = None,
    started_from: datetime | None = None,
    started_to: datetime | None = None,
) -> Page[Session]:
    """Sessions, the last started first; `[started_from, started_to)` are times of the stations."""
    work.require(Permission.VIEW)
    query = select(Session)
    if station_id is not None:
        query = query.where(Session.station_id == station_id)
    if station_identity is not None:
        named = select(Station.id).where(Station.identity == station_identity)
        query = query.where(col(Session.station_id).in_(named))
    if token_uid is not None:
        query = query.where(func.lower(Session.token_uid) == token_uid.strip().lower())
    if status:
        query = query.where(col(Session.status).in_(set(status)))
    if started_from is not None:
        query = query.where(Session.started_at >= started_from)
    if started_to is not None:
        query = query.where(Session.started_at < started_to)
    return await page(work, query, request, at=col(Session.started_at), row_id=col(Session.id))


async def orphans(
    work: Work,
    request: PageRequest,
    *,
    station_id: UUID | None = None,
    kind: OrphanKind | None = None,
    transaction_id: str | None = None,
    token_uid: str | None = None,
) -> Page[SessionOrphan]:
    """What belongs to no session, the last kept first, until an operator has settled it."""
    work.require(Permission.VIEW)
    query = select(SessionOrphan).where(
        col(SessionOrphan.session_id).is_(None), col(SessionOrphan.settled_at).is_(None)
    )
    if station_id is not None:
        query = query.where(SessionOrphan.station_id == station_id)
    if kind is not None:
        query = query.where(SessionOrphan.kind == kind)
    if transaction_id is not None:
        query = query.where(SessionOrphan.transaction_id == transaction_id)
    if token_uid is not None:
        query = query.where(func.lower(SessionOrphan.token_uid) == token_uid.strip().lower())
    return await page(work, query, request, at=col(SessionOrphan.created_at), row_id=col(SessionOrphan.id))

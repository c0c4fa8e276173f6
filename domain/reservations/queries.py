from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from domain.actor import Permission
from domain.page import Page, PageRequest, page
from domain.reservations.models import Reservation, ReservationStatus
from domain.work import Work


async def by_id(work: Work, reservation_id: UUID) -> Reservation:
    work.require(Permission.VIEW)
    return await work.get(Reservation, reservation_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Reservation]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Reservation).where(col(Reservation.id).in_(ids)))).all()


async def listed(
    work: Work,
    request: PageRequest,
    *,
    station_id: UUID | None = None,
    token_uid: str | None = None,
    status: Sequence[ReservationStatus] | None = None,
) -> Page[Reservation]:
    """The last asked for first."""
    work.require(Permission.VIEW)
    query = select(Reservation)
    if station_id is not None:
        query = query.where(Reservation.station_id == station_id)
    if token_uid is not None:
        query = query.where(func.lower(Reservation.token_uid) == token_uid.strip().lower())
    if status:
        query = query.where(col(Reservation.status).in_(set(status)))
    return await page(work, query, request, at=col(Reservation.created_at), row_id=col(Reservation.id))

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import col, or_, select

from domain import stations
from domain.actor import Permission
from domain.page import Page, PageRequest, page
from domain.station_log.models import Direction, StationLogEntry, moment
from domain.work import Work


async def listed(
    work: Work,
    request: PageRequest,
    *,
    station_id: UUID,
    from_: datetime | None = None,
    to: datetime | None = None,
    actions: Sequence[str] | None = None,
    direction: Direction | None = None,
    text: str | None = None,
    message_id: str | None = None,
) -> Page[StationLogEntry]:
    """One station's, newest first. Raises `NotFound` where there is no such station.

    Looking is not enough: payloads tell who charged where, and how the station is set up.
    """
    work.require(Permission.CONTROL)
    await stations.by_id(work, station_id)
    query = select(StationLogEntry).where(StationLogEntry.station_id == station_id)
    if from_ is not None:
        query = query.where(col(StationLogEntry.at) >= from_)
    if to is not None:
        query = query.where(col(StationLogEntry.at) < to)
    if actions:
        query = query.where(col(StationLogEntry.action).in_(set(actions)))
    if direction is not None:
        query = query.where(StationLogEntry.direction == direction)
    if message_id is not None:
        query = query.where(StationLogEntry.message_id == message_id)
    if text:
        names = (StationLogEntry.payload, StationLogEntry.action, StationLogEntry.error_code)
        query = query.where(or_(*(col(name).icontains(text, autoescape=True) for name in names)))
    return await page(work, query, request, at=col(StationLogEntry.at), row_id=col(StationLogEntry.id))


async def latest(work: Work, *, station_id: UUID, count: int) -> Sequence[StationLogEntry]:
    """The last ones, in their order."""
    work.require(Permission.CONTROL)
    query = (
        select(StationLogEntry)
        .where(StationLogEntry.station_id == station_id)
        .order_by(col(StationLogEntry.at).desc(), col(StationLogEntry.id).desc())
        .limit(count)
    )
    return (await work.session.exec(query)).all()[::-1]


async def following(work: Work, *, station_id: UUID, after: UUID, count: int) -> Sequence[StationLogEntry]:
    """What came after an entry, or after where it would be, in its order."""
    work.require(Permission.CONTROL)
    query = (
        select(StationLogEntry)
        .where(StationLogEntry.station_id == station_id)
        .where(col(StationLogEntry.at) >= moment(after), col(StationLogEntry.id) > after)
        .order_by(col(StationLogEntry.at), col(StationLogEntry.id))
        .limit(count)
    )
    return (await work.session.exec(query)).all()

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select

from domain.actor import Permission
from domain.page import Page, PageRequest, page
from domain.security_events.models import SecurityEvent
from domain.work import Work


async def listed(
    work: Work,
    request: PageRequest,
    *,
    station_id: UUID | None = None,
    types: Sequence[str] | None = None,
    from_: datetime | None = None,
    to: datetime | None = None,
) -> Page[SecurityEvent]:
    """The last heard first; `from_` and `to` are of the station's time, `to` is not within."""
    work.require(Permission.VIEW)
    query = select(SecurityEvent)
    if station_id is not None:
        query = query.where(SecurityEvent.station_id == station_id)
    if types:
        query = query.where(col(SecurityEvent.type).in_(set(types)))
    if from_ is not None:
        query = query.where(SecurityEvent.at >= from_)
    if to is not None:
        query = query.where(SecurityEvent.at < to)
    return await page(work, query, request, at=col(SecurityEvent.created_at), row_id=col(SecurityEvent.id))

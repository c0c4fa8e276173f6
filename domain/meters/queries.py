from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from domain import points
from domain.actor import Permission
from domain.meters.models import Meter, MeterKind
from domain.page import Page, PageRequest, page
from domain.work import Work


async def by_id(work: Work, meter_id: UUID) -> Meter:
    work.require(Permission.VIEW)
    return await work.get(Meter, meter_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Meter]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Meter).where(col(Meter.id).in_(ids)))).all()


async def listed(
    work: Work,
    request: PageRequest,
    *,
    kind: MeterKind | None = None,
    location_id: UUID | None = None,
    tag: str | None = None,
    text: str | None = None,
) -> Page[Meter]:
    """Meters, newest first. `tag` is one of theirs as it is written, `text` stands anywhere in the name."""
    work.require(Permission.VIEW)
    query = select(Meter)
    if kind is not None:
        query = query.where(Meter.kind == kind)
    if location_id is not None:
        query = query.where(Meter.location_id == location_id)
    if tag is not None:
        query = query.where(col(Meter.tags).contains([tag]))
    if text is not None:
        query = query.where(col(Meter.name).icontains(text, autoescape=True))
    return await page(work, query, request, at=col(Meter.created_at), row_id=col(Meter.id))


async def series_of(work: Work, request: PageRequest, *, meter: Meter) -> Page[points.Point]:
    """Its points, newest first: whatever stands under its address, also what was recorded before it was entered."""
    work.require(Permission.VIEW)
    return await points.listed(work, request, prefix=meter.prefix)

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from domain.actor import Permission
from domain.locations.models import Location
from domain.page import Page, PageRequest, page
from domain.work import Work


async def by_id(work: Work, location_id: UUID) -> Location:
    work.require(Permission.VIEW)
    return await work.get(Location, location_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Location]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Location).where(col(Location.id).in_(ids)))).all()


async def listed(work: Work, request: PageRequest) -> Page[Location]:
    work.require(Permission.VIEW)
    return await page(work, select(Location), request, at=col(Location.created_at), row_id=col(Location.id))

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from domain.actor import Permission
from domain.imports.models import Import, ImportStatus
from domain.page import Page, PageRequest, page
from domain.work import Work


async def by_id(work: Work, import_id: UUID) -> Import:
    work.require(Permission.VIEW)
    return await work.get(Import, import_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Import]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Import).where(col(Import.id).in_(ids)))).all()


async def listed(work: Work, request: PageRequest, *, status: Sequence[ImportStatus] | None = None) -> Page[Import]:
    """Imports, newest first."""
    work.require(Permission.VIEW)
    query = select(Import)
    if status:
        query = query.where(col(Import.status).in_(set(status)))
    return await page(work, query, request, at=col(Import.created_at), row_id=col(Import.id))


async def unfinished(work: Work) -> Sequence[Import]:
    """Those that are waited for or run, oldest first."""
    work.require(Permission.VIEW)
    query = select(Import).where(col(Import.finished_at).is_(None))
    return (await work.session.exec(query.order_by(col(Import.created_at), col(Import.id)))).all()

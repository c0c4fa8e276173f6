from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from domain.actor import Permission
from domain.credentials.models import Credential
from domain.page import Page, PageRequest, page
from domain.work import Work


async def listed(work: Work, request: PageRequest) -> Page[Credential]:
    work.require(Permission.MANAGE)
    return await page(work, select(Credential), request, at=col(Credential.created_at), row_id=col(Credential.id))


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Credential]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Credential).where(col(Credential.id).in_(ids)))).all()

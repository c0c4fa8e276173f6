from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from domain.actor import Permission
from domain.errors import NotFound
from domain.page import Page, PageRequest, page
from domain.tokens.models import Token, uid_key
from domain.work import Work


async def by_id(work: Work, token_id: UUID) -> Token:
    work.require(Permission.VIEW)
    return await work.get(Token, token_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Token]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Token).where(col(Token.id).in_(ids)))).all()


async def find(work: Work, uid: str) -> Token | None:
    """The token with that uid in any capitalization, or None; what a station asks when a card is shown."""
    return (await work.session.exec(select(Token).where(Token.uid_key == uid_key(uid)))).first()


async def by_uid(work: Work, uid: str) -> Token:
    work.require(Permission.VIEW)
    token = await find(work, uid)
    if token is None:
        raise NotFound(f"token {uid} does not exist", uid=uid)
    return token


async def listed(work: Work, request: PageRequest) -> Page[Token]:
    work.require(Permission.VIEW)
    return await page(work, select(Token), request, at=col(Token.created_at), row_id=col(Token.id))

"""What holds for all tokens of a group."""

from collections.abc import Sequence

from sqlmodel import col, select

from domain.actor import Permission
from domain.errors import Invalid, NotFound
from domain.page import Page, PageRequest, page
from domain.tokens.events import TokenGroupChanged
from domain.tokens.models import TokenGroup, uid_key
from domain.tokens.service import NAME_MAX, check_limit, text
from domain.work import Work


async def set_group(work: Work, *, uid: str, master_pass: bool = False, max_sessions: int | None = None) -> TokenGroup:
    """Tokens name their group whether or not anything else holds for it; this is what does."""
    work.require(Permission.CONTROL)
    named = text(uid, "uid")
    if named is None:
        raise Invalid(f"uid must have 1 to {NAME_MAX} characters", field="uid")
    check_limit(max_sessions)
    group = await _found(work, named) or work.add(TokenGroup(uid=named, uid_key=uid_key(named), created_at=work.now))
    group.uid, group.master_pass, group.max_sessions = named, master_pass, max_sessions
    work.emit(TokenGroupChanged(group_uid=named))
    return group


async def delete_group(work: Work, *, uid: str) -> TokenGroup:
    """Its tokens stay a group, for which nothing more holds."""
    work.require(Permission.MANAGE)
    group = await _found(work, uid)
    if group is None:
        raise NotFound(f"nothing is kept of a group {uid}", uid=uid)
    await work.delete(group)
    work.emit(TokenGroupChanged(group_uid=group.uid))
    return group


async def groups(work: Work, request: PageRequest) -> Page[TokenGroup]:
    work.require(Permission.VIEW)
    return await page(work, select(TokenGroup), request, at=col(TokenGroup.created_at), row_id=col(TokenGroup.id))


async def master_keys(work: Work) -> Sequence[str]:
    """The groups of master passes, as `Token.group_key` has them."""
    work.require(Permission.VIEW)
    return (await work.session.exec(select(TokenGroup.uid_key).where(TokenGroup.master_pass))).all()


async def _found(work: Work, uid: str) -> TokenGroup | None:
    query = select(TokenGroup).where(TokenGroup.uid_key == uid_key(uid))
    return (await work.session.exec(query.with_for_update())).first()

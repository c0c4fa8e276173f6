from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from domain.actor import Permission
from domain.users.models import User
from domain.work import Work


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[User]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(User).where(col(User.id).in_(ids)))).all()

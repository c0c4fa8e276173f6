from dataclasses import dataclass
from datetime import datetime

import strawberry

from domain import credentials, users
from domain.actor import Permission, Role
from domain.page import FIRST_DEFAULT, Page, PageRequest
from resolvers.arguments import row_id
from resolvers.context import Info


@strawberry.input(description="A new API credential.")
class CreateCredentialInput:
    name: str = strawberry.field(description="What it is for.")
    role: Role = strawberry.field(description="ADMIN, OPERATOR or VIEWER.")
    scopes: list[Permission] | None = strawberry.field(
        default=None, description="What of the role's rights it has; none named means all of them."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="Null: it does not expire.")


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential and its secret, which nobody can show a second time."""

    credential: credentials.Credential
    secret: str


async def listed(info: Info, first: int = FIRST_DEFAULT, after: str | None = None) -> Page[credentials.Credential]:
    async with info.context.read() as work:
        return await credentials.listed(work, PageRequest(first, after))


async def create(info: Info, input: CreateCredentialInput) -> NewCredential:
    async with info.context.write() as work:
        credential, secret = await credentials.create(
            work, name=input.name, role=input.role, scopes=input.scopes or (), expires_at=input.expires_at
        )
        return NewCredential(credential, secret)


async def revoke(info: Info, id: strawberry.ID) -> credentials.Credential:
    async with info.context.write() as work:
        return await credentials.revoke(work, credential_id=row_id(id))


async def user(root: credentials.Credential, info: Info) -> users.User | None:
    return None if root.user_id is None else await info.context.loaders.user.load(root.user_id)

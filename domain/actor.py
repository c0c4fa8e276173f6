"""Who acts, for which tenant, and what they may do.

Below stand the only three questions that may be asked before a tenant is known. They go through functions that run as
the owner and answer ids and roles, never rows (`migrations/versions/0001_first_mile.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


class Permission(StrEnum):
    VIEW = "VIEW"
    CONTROL = "CONTROL"  # order equipment about, change what it knows
    MANAGE = "MANAGE"  # create and revoke credentials, delete
    REPORT = "REPORT"  # say what equipment measured or did


class Role(StrEnum):
    ADMIN = "ADMIN"
    OPERATOR = "OPERATOR"
    VIEWER = "VIEWER"
    STATION = "STATION"
    SYSTEM = "SYSTEM"


PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.OPERATOR: frozenset({Permission.VIEW, Permission.CONTROL, Permission.REPORT}),
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.STATION: frozenset({Permission.REPORT}),
    Role.SYSTEM: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """One caller in one tenant. `id` is the credential, user or station behind it; `scopes`, where given, narrow the
    role; from `expires_at` on, what was shown opens nothing."""

    tenant_id: UUID
    role: Role
    name: str
    id: UUID | None = None
    scopes: frozenset[Permission] = frozenset()
    expires_at: datetime | None = field(default=None, compare=False)

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role] and (not self.scopes or permission in self.scopes)


def system(tenant_id: UUID, name: str = "system") -> Actor:
    """The house itself, at work for a tenant (reactions, sweeps, seeding)."""
    return Actor(tenant_id=tenant_id, role=Role.SYSTEM, name=name)


async def tenant_by_slug(engine: AsyncEngine, slug: str) -> UUID | None:
    """The tenant that an address names."""
    async with engine.connect() as connection:
        found: UUID | None = await connection.scalar(text("select tenant_by_slug(:slug)"), {"slug": slug})
        return found


async def credential_by_hash(engine: AsyncEngine, secret_hash: bytes) -> Actor | None:
    """Who shows a secret with this hash; None where it is unknown, revoked or expired."""
    async with engine.connect() as connection:
        query = text("select tenant_id, id, role, name, scopes, expires_at from credential_by_hash(:hash)")
        row = (await connection.execute(query, {"hash": secret_hash})).first()
    if row is None:
        return None
    scopes = frozenset(Permission(scope) for scope in row.scopes)
    return Actor(row.tenant_id, Role(row.role), row.name, row.id, scopes, row.expires_at)


async def tenant_ids(engine: AsyncEngine) -> Sequence[UUID]:
    """Every tenant of the house, for what is done for each in turn."""
    async with engine.connect() as connection:
        return (await connection.scalars(text("select tenant_ids()"))).all()

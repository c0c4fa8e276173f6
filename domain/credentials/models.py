from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from domain.actor import Permission, Role
from domain.rows import JSON, TIMESTAMP, Record, enum_type


class Credential(Record, table=True):
    """An API secret, kept as its HMAC-SHA-256 under the server's key."""

    name: str
    role: Role = Field(sa_type=enum_type(Role))
    scopes: list[Permission] = Field(default_factory=list, sa_type=JSON)
    secret_hash: bytes
    expires_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    revoked_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    user_id: UUID | None = None

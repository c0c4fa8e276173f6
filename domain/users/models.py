from sqlmodel import Field

from domain.actor import Role
from domain.rows import Record, enum_type


class User(Record, table=True):
    """A person of a tenant. Signing in comes later; today a user is whom a credential belongs to."""

    __tablename__ = "user_account"

    email: str
    name: str | None = None
    role: Role = Field(sa_type=enum_type(Role))

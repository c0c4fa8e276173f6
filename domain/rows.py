"""How a row is declared: what every table has, and the column types that SQLModel does not choose by itself.

`tenant_id` is mapped by no model: the database fills it from the setting of the transaction, and row-level
security reads it. See `migrations/ops.py`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Enum
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

TIMESTAMP: Any = DateTime(timezone=True)
JSON: Any = JSONB(none_as_null=True)


class Record(SQLModel):
    """A row with an id of ours, ordered by time, and when it came to be."""

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    created_at: datetime = Field(sa_type=TIMESTAMP)


def enum_type(members: type[StrEnum]) -> Any:
    """An enum kept as text, by value: a new member needs no migration."""
    return Enum(members, native_enum=False, length=32, values_callable=lambda e: [member.value for member in e])

from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Identity
from sqlmodel import Column, Field

from domain.rows import Record, enum_type


class PointKind(StrEnum):
    """IEC 60870: measured, signaled, switched, set."""

    TELEMETRY = "TELEMETRY"
    SIGNAL = "SIGNAL"
    CONTROL = "CONTROL"
    ADJUSTMENT = "ADJUSTMENT"


class ValueType(StrEnum):
    NUMBER = "NUMBER"
    TEXT = "TEXT"


class OwnerKind(StrEnum):
    STATION = "STATION"


class Point(Record, table=True):
    """One datum under an address that is unique in its tenant. `series` is its short name in the history store."""

    series: int = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), nullable=False, unique=True))
    address: str
    kind: PointKind = Field(default=PointKind.TELEMETRY, sa_type=enum_type(PointKind))
    unit: str | None = None
    value_type: ValueType = Field(default=ValueType.NUMBER, sa_type=enum_type(ValueType))
    owner_kind: OwnerKind | None = Field(default=None, sa_type=enum_type(OwnerKind))
    owner_id: UUID | None = None

from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Identity
from sqlmodel import Column, Field

from domain.rows import Record, enum_type

ADDRESS_MAX = 255
UNIT_MAX = 32


class PointKind(StrEnum):
    """IEC 60870: measured, signaled, switched, set."""

    TELEMETRY = "TELEMETRY"
    SIGNAL = "SIGNAL"
    CONTROL = "CONTROL"
    ADJUSTMENT = "ADJUSTMENT"


class ValueType(StrEnum):
    """An ENUM has numbers with names."""

    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    ENUM = "ENUM"
    TEXT = "TEXT"


class OwnerKind(StrEnum):
    STATION = "STATION"
    METER = "METER"


class SeriesAggregation(StrEnum):
    """What a reading says of the time since the one before: its value at an instant, or a figure of all in between."""

    INSTANT = "INSTANT"
    MEAN = "MEAN"
    SUM = "SUM"
    MIN = "MIN"
    MAX = "MAX"
    COUNT = "COUNT"


class SeriesDataType(StrEnum):
    """Where values come from: the world, or somebody's mind."""

    MEASUREMENT = "MEASUREMENT"
    FORECAST = "FORECAST"
    SCHEDULE = "SCHEDULE"
    PRICE = "PRICE"
    WEATHER = "WEATHER"


class Point(Record, table=True):
    """One datum under an address that is unique in its tenant. `series` is its short name in the history store.

    `rollover_at`: the value at which a register starts again from 0. With an `expression` it is virtual: never
    recorded, its values are made of other points'.
    """

    series: int = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), nullable=False, unique=True))
    address: str
    kind: PointKind = Field(default=PointKind.TELEMETRY, sa_type=enum_type(PointKind))
    unit: str | None = None
    value_type: ValueType = Field(default=ValueType.NUMBER, sa_type=enum_type(ValueType))
    owner_kind: OwnerKind | None = Field(default=None, sa_type=enum_type(OwnerKind))
    owner_id: UUID | None = None
    aggregation: SeriesAggregation | None = Field(default=None, sa_type=enum_type(SeriesAggregation))
    data_type: SeriesDataType | None = Field(default=None, sa_type=enum_type(SeriesDataType))
    rollover_at: float | None = None
    expression: str | None = None

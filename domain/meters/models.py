from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from domain.rows import TIMESTAMP, Record, enum_type


class MeterKind(StrEnum):
    ELECTRICITY = "ELECTRICITY"
    GAS = "GAS"
    WATER = "WATER"
    HEAT = "HEAT"
    VIRTUAL = "VIRTUAL"


class Meter(Record, table=True):
    """What measures. Its name is part of the addresses of its points, `meter/<name>/<series>`, and so never changes.

    `sampling_interval` is an ISO 8601 duration; time zone IANA.
    """

    name: str
    kind: MeterKind = Field(sa_type=enum_type(MeterKind))
    location_id: UUID | None = None
    sampling_interval: str | None = None
    timezone: str | None = None
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    commissioned_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)

    @property
    def prefix(self) -> str:
        """How the addresses of its points begin."""
        return f"meter/{self.name}/"

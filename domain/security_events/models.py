from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from domain.rows import TIMESTAMP, Record


class SecurityEvent(Record, table=True):
    """`type` and `info` are the station's words, `at` is by its clock, `created_at` by ours."""

    __tablename__ = "security_event"

    station_id: UUID
    type: str
    at: datetime = Field(sa_type=TIMESTAMP)
    info: str | None = None

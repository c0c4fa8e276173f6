from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlmodel import Field

from domain.rows import TIMESTAMP, Record, enum_type


class SessionStatus(StrEnum):
    """PENDING: plugged in or authorized, no energy yet. INTERRUPTED: ended without a word from the station.
    INVALID: a record that cannot be a charge."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    INTERRUPTED = "INTERRUPTED"
    INVALID = "INVALID"


class Session(Record, table=True):
    """One charge. Times are the station's, `received_at` ours; energy is from the register, in Wh.

    `start_key` finds a repeated StartTransaction again; `inferred` marks an end that no station reported,
    `start_inferred` a start; `meter_suspect` a register that went backwards: never billed unseen.
    """

    station_id: UUID
    transaction_id: str
    start_key: str | None = None
    evse_number: int | None = None
    connector_number: int | None = None
    token_id: UUID | None = None
    token_uid: str | None = None
    status: SessionStatus = Field(sa_type=enum_type(SessionStatus))
    started_at: datetime = Field(sa_type=TIMESTAMP)
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    meter_start_wh: float | None = None
    meter_last_wh: float | None = None
    meter_last_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    meter_stop_wh: float | None = None
    energy_wh: float = 0.0
    power_w: float | None = None
    soc_percent: float | None = None
    live_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    status_at: datetime = Field(sa_type=TIMESTAMP)
    stop_reason: str | None = None
    inferred: bool = False
    start_inferred: bool = False
    offline: bool = False
    meter_suspect: bool = False
    received_at: datetime = Field(sa_type=TIMESTAMP)
    updated_at: datetime = Field(sa_type=TIMESTAMP)
    command_id: UUID | None = None


class OrphanKind(StrEnum):
    STOP = "STOP"
    METER = "METER"


class SessionOrphan(Record, table=True):
    """What a station said of a charge that nobody can find: kept for an operator, never lost, never billed."""

    __tablename__ = "session_orphan"

    station_id: UUID
    kind: OrphanKind = Field(sa_type=enum_type(OrphanKind))
    transaction_id: str | None = None
    connector_number: int | None = None
    token_uid: str | None = None
    at: datetime = Field(sa_type=TIMESTAMP)
    meter_wh: float | None = None
    reason: str | None = None
    content_hash: str

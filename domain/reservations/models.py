from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlmodel import Field

from domain.rows import TIMESTAMP, Record, enum_type


class ReservationStatus(StrEnum):
    """FAULTED, OCCUPIED, REJECTED and UNAVAILABLE are the station's refusals, REMOVED its taking back (OCPP 2.x).

    REQUESTED stays where the station has not answered: whether it keeps the place nobody knows. FAILED: it has not
    heard of it, or answered with an error.
    """

    REQUESTED = "REQUESTED"
    ACCEPTED = "ACCEPTED"
    FAULTED = "FAULTED"
    OCCUPIED = "OCCUPIED"
    REJECTED = "REJECTED"
    UNAVAILABLE = "UNAVAILABLE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REMOVED = "REMOVED"
    USED = "USED"


LIVE: Final = (ReservationStatus.REQUESTED, ReservationStatus.ACCEPTED)


class Reservation(Record, table=True):
    """`number` is what the station calls it, `command_id` the order that asked for it."""

    station_id: UUID
    number: int
    evse_number: int | None = None
    connector_type: str | None = None
    token_id: UUID | None = None
    token_uid: str
    expires_at: datetime = Field(sa_type=TIMESTAMP)
    status: ReservationStatus = Field(default=ReservationStatus.REQUESTED, sa_type=enum_type(ReservationStatus))
    command_id: UUID
    session_id: UUID | None = None
    updated_at: datetime = Field(sa_type=TIMESTAMP)

"""What was said on a station's line. An entry's id tells when, to the microsecond, and in which order within that."""

import itertools
import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Field, SQLModel

from domain.bus import place
from domain.errors import Invalid
from domain.rows import TIMESTAMP, enum_type


class Direction(StrEnum):
    """Seen from here."""

    IN = "IN"
    OUT = "OUT"
    NONE = "NONE"  # nothing was said


class EntryKind(StrEnum):
    """OCPP-J's message types; everything else that happens to a line is an event."""

    CALL = "CALL"
    RESULT = "RESULT"
    ERROR = "ERROR"
    SEND = "SEND"
    EVENT = "EVENT"


class Entry(NamedTuple):
    """As it travels. `payload` is JSON (or what was none), masked and cut."""

    id: UUID
    station_id: UUID
    at: datetime
    direction: Direction
    kind: EntryKind
    action: str | None
    message_id: str | None
    payload: str
    duration_ms: float | None
    error_code: str | None

    @property
    def event_id(self) -> str:
        return event_id(self.id)


class StationLogEntry(SQLModel, table=True):
    """As it is kept."""

    __tablename__ = "station_log"

    id: UUID = Field(primary_key=True)
    station_id: UUID
    at: datetime = Field(sa_type=TIMESTAMP)
    direction: Direction = Field(sa_type=enum_type(Direction))
    kind: EntryKind = Field(sa_type=enum_type(EntryKind))
    action: str | None = None
    message_id: str | None = None
    payload: str
    duration_ms: float | None = None
    error_code: str | None = None

    @property
    def event_id(self) -> str:
        return event_id(self.id)


# --- ids -------------------------------------------------------------------------------------------------------------
#
# UUIDs of version 7: milliseconds, microseconds within, a count and the process. All that is not fixed by the version
# is one place `milliseconds-number`, as the bus has them, so that whoever follows a log can come back to an entry.

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIXED = 0x7 << 76 | 0b10 << 62
_COUNT_BITS, _PROCESS_BITS = 22, 32
_REST_BITS = _COUNT_BITS + _PROCESS_BITS
_REST = (1 << _REST_BITS) - 1
_MS_MAX = (1 << 48) - 1

_process = secrets.randbits(_PROCESS_BITS)
_counts = itertools.cycle(range(1 << _COUNT_BITS))


def new_id(at: datetime) -> UUID:
    """Greater than all that this process made for earlier moments."""
    ms, us = divmod((at - _EPOCH) // _MICROSECOND, 1000)
    return UUID(int=ms << 80 | us << 64 | next(_counts) << _PROCESS_BITS | _process | _FIXED)


def first_id(at: datetime) -> UUID:
    """No entry of that moment or later has a smaller one."""
    ms, us = divmod((at - _EPOCH) // _MICROSECOND, 1000)
    return UUID(int=ms << 80 | us << 64 | _FIXED)


def moment(entry_id: UUID) -> datetime:
    return _EPOCH + timedelta(milliseconds=entry_id.int >> 80, microseconds=entry_id.int >> 64 & 0xFFF)


def event_id(entry_id: UUID) -> str:
    number = (entry_id.int >> 64 & 0xFFF) << _REST_BITS | entry_id.int & _REST
    return f"{entry_id.int >> 80}-{number}"


def entry_id(event: str) -> UUID:
    """Raises `Invalid` for what is no `event_id`."""
    ms, number = place(event)
    if ms > _MS_MAX or number >> _REST_BITS > 999:
        raise Invalid(f"after {event!r} is no id of an event", field="after")
    return UUID(int=ms << 80 | (number >> _REST_BITS) << 64 | number & _REST | _FIXED)

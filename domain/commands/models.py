from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from sqlmodel import Field

from domain.commands.secrets import without_secrets
from domain.rows import JSON, TIMESTAMP, Record, enum_type


class CommandKind(StrEnum):
    """What a station may be ordered to do, in our words; the gateway knows each version's."""

    RESET = "RESET"
    UNLOCK_CONNECTOR = "UNLOCK_CONNECTOR"
    CHANGE_AVAILABILITY = "CHANGE_AVAILABILITY"
    TRIGGER_MESSAGE = "TRIGGER_MESSAGE"
    GET_CONFIGURATION = "GET_CONFIGURATION"
    CHANGE_CONFIGURATION = "CHANGE_CONFIGURATION"
    REMOTE_START = "REMOTE_START"
    REMOTE_STOP = "REMOTE_STOP"
    CLEAR_CACHE = "CLEAR_CACHE"
    DATA_TRANSFER = "DATA_TRANSFER"
    RESERVE_NOW = "RESERVE_NOW"
    CANCEL_RESERVATION = "CANCEL_RESERVATION"
    GET_VARIABLES = "GET_VARIABLES"
    SET_VARIABLES = "SET_VARIABLES"
    GET_BASE_REPORT = "GET_BASE_REPORT"
    GET_REPORT = "GET_REPORT"
    SET_NETWORK_PROFILE = "SET_NETWORK_PROFILE"
    GET_TRANSACTION_STATUS = "GET_TRANSACTION_STATUS"
    SEND_LOCAL_LIST = "SEND_LOCAL_LIST"
    GET_LOCAL_LIST_VERSION = "GET_LOCAL_LIST_VERSION"


class Priority(IntEnum):
    """Order among what waits for a station; smaller goes first."""

    STOP = 0
    START = 1
    ROUTINE = 2
    DIAGNOSTICS = 3


class CommandStatus(StrEnum):
    """ACCEPTED and REJECTED are the station's word; TIMEOUT and FAILED are ours (not delivered, or no sense in the
    answer)."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    TIMEOUT = "TIMEOUT"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Command(Record, table=True):
    """An order to a station and what became of it. When it has ended, `arguments` no longer hold a password.

    With `expires_at` it waits until then for a station that is not there. `attempts` counts how often the station may
    have heard it; `next_attempt_at` is when it is due again, None as soon as the station is there; `holder` is the
    connection that it went out on.
    """

    station_id: UUID
    kind: CommandKind = Field(sa_type=enum_type(CommandKind))
    arguments: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    status: CommandStatus = Field(default=CommandStatus.QUEUED, sa_type=enum_type(CommandStatus))
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    error: str | None = None
    actor: str
    priority: int = Priority.ROUTINE
    attempts: int = 0
    deadline_at: datetime = Field(sa_type=TIMESTAMP)
    expires_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    next_attempt_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    sent_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    completed_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    remote_start_number: int | None = None
    holder: str | None = None

    @property
    def waits(self) -> bool:
        """Whether it is one for a station that may have to come first."""
        return self.expires_at is not None

    @property
    def shown_arguments(self) -> dict[str, Any]:
        """Without a password."""
        shown: dict[str, Any] = without_secrets(self.arguments)
        return shown

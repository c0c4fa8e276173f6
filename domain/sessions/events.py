from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.events import Event


@dataclass(frozen=True, kw_only=True)
class SessionEvent(Event):
    """Told on the topic `session`, narrower by the station's id."""

    kind: ClassVar[str] = "session"
    key: ClassVar[str | None] = "station_id"

    session_id: UUID
    station_id: UUID


@dataclass(frozen=True, kw_only=True)
class SessionStarted(SessionEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class SessionSuspended(SessionEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class SessionResumed(SessionEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class SessionStopped(SessionEvent):
    """Completed, interrupted, or completed after all: the end or what is known of it has changed."""

    energy_wh: float
    inferred: bool


@dataclass(frozen=True, kw_only=True)
class EvseVacated(Event):
    """A connector was said to be free at which a charge had not ended; the time is the station's."""

    kind: ClassVar[str] = "session.vacated"

    session_id: UUID
    station_id: UUID
    vacated_at: datetime


@dataclass(frozen=True, kw_only=True)
class SessionOrphanEvent(Event):
    """What an operator did, `by` name."""

    kind: ClassVar[str] = "session.orphan"

    orphan_id: UUID
    by: str


@dataclass(frozen=True, kw_only=True)
class SessionOrphanAssigned(SessionOrphanEvent):
    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class SessionOrphanDismissed(SessionOrphanEvent):
    pass

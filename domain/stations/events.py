from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from domain.events import Event


@dataclass(frozen=True, kw_only=True)
class StationEvent(Event):
    """Told on the topic `station`, narrower by the station's id."""

    kind: ClassVar[str] = "station"
    key: ClassVar[str | None] = "station_id"

    station_id: UUID


@dataclass(frozen=True, kw_only=True)
class StationRegistered(StationEvent):
    identity: str


@dataclass(frozen=True, kw_only=True)
class StationRegistrationChanged(StationEvent):
    """An operator has let it work, or no longer does."""

    registration: str


@dataclass(frozen=True, kw_only=True)
class StationPasswordChanged(StationEvent):
    """It has shown the one that it was given last: those before open nothing any more."""


@dataclass(frozen=True, kw_only=True)
class StationBooted(StationEvent):
    boot_reason: str | None
    booted_at: datetime


@dataclass(frozen=True, kw_only=True)
class StationStatusChanged(StationEvent):
    """`evse_number` and `connector_number` are None for the station itself."""

    evse_number: int | None
    connector_number: int | None
    status: str
    status_at: datetime


@dataclass(frozen=True, kw_only=True)
class StationConnected(StationEvent):
    ocpp_version: str


@dataclass(frozen=True, kw_only=True)
class StationDisconnected(StationEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class StationMoved(StationEvent):
    """To another location, or to none."""


@dataclass(frozen=True, kw_only=True)
class StationDeleted(StationEvent):
    identity: str


@dataclass(frozen=True, kw_only=True)
class StationReportCompleted(Event):
    """Told on the topic `station.report`, narrower by the station's id: all parts of a report have come."""

    kind: ClassVar[str] = "station.report"
    key: ClassVar[str | None] = "station_id"

    station_id: UUID
    command_id: UUID
    number: int
    parts: int

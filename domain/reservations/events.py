from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from domain.events import Event


@dataclass(frozen=True, kw_only=True)
class ReservationChanged(Event):
    """Told on the topic `reservation`, narrower by the station's id."""

    kind: ClassVar[str] = "reservation"
    key: ClassVar[str | None] = "station_id"

    reservation_id: UUID
    station_id: UUID
    status: str

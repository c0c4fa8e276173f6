"""Metering is not an event: nobody must act on it, and whoever watches may look the session up again."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

import orjson

from domain.bus import Message, Topic

METERED = "session.metered"


@dataclass(frozen=True, slots=True)
class SessionMetered:
    """Told on the topic `session.metered`, narrower by the station's id. Of several waiting ones the last is enough."""

    session_id: UUID
    station_id: UUID

    def message(self, tenant_id: UUID) -> Message:
        return Message(
            Topic(tenant_id, METERED, str(self.station_id)),
            orjson.dumps({"session_id": str(self.session_id), "station_id": str(self.station_id)}),
            conflate=str(self.session_id),
        )

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        raw = orjson.loads(payload)
        return cls(session_id=UUID(raw["session_id"]), station_id=UUID(raw["station_id"]))

from datetime import datetime

import strawberry

from domain import security_events
from resolvers import security_events as door
from schema.page import Connection
from schema.stations import Station
from schema.view import answer, attribute, view


@view(security_events.SecurityEvent)
class SecurityEvent:
    """What a station reports of its own security."""

    id: strawberry.ID = attribute("Ours.")
    type: str = attribute("In OCPP's words, such as `TamperDetectionActivated`, or the maker's.")
    at: datetime = attribute("When it happened, by the station's clock.")
    info: str | None = attribute("What else the station says of it.")
    created_at: datetime = attribute("When it was first heard of.")
    station: Station | None = answer(door.station, "Whose.")


@strawberry.type
class SecurityEventQuery:
    security_events: Connection[SecurityEvent] | None = answer(
        door.listed, "What stations report of their security, the last heard first."
    )

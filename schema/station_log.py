from collections.abc import AsyncGenerator
from datetime import datetime

import strawberry

from domain import station_log
from domain.station_log import Direction, EntryKind
from resolvers import station_log as door
from schema.page import Connection
from schema.view import answer, attribute, stream, view


@view(station_log.StationLogEntry)
class StationLogEntry:
    """One thing that was said on a station's line, or happened to it."""

    id: strawberry.ID = attribute("Ours.")
    at: datetime = attribute("When it was heard or said, by our clock.")
    direction: Direction = attribute("Who said it.")
    kind: EntryKind = attribute("What it was.")
    action: str | None = attribute("Of an answer that of its call, where that is known; of an event its name.")
    message_id: str | None = attribute("What a call and its answer share; null for events.")
    payload: str = attribute(
        "As JSON; of an error its description and details. Keys, passwords and credentials are masked, and what is "
        "longer than 16,384 characters is cut and says so."
    )
    duration_ms: float | None = attribute("Of an answer: how long the call waited for it.")
    error_code: str | None = attribute("Of an error.")
    event_id: strawberry.ID = attribute("What `after` of `stationLogUpdates` takes to go on from here.")


@strawberry.type
class StationLogQuery:
    station_log: Connection[StationLogEntry] | None = answer(
        door.listed,
        "What was said on a station's line, for as many days as the house keeps it. Wants CONTROL: payloads tell who "
        "charged, and how the station is set up.",
    )


@strawberry.type
class StationLogSubscription:
    station_log_updates: AsyncGenerator[StationLogEntry, None] = stream(
        door.updates,
        "The `last` entries of a station's log, then each as it is written, some half a second later. With `after`, an "
        "`eventId`, all that came since in place of them. Wants CONTROL.",
    )

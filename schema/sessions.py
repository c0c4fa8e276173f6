from collections.abc import AsyncGenerator
from datetime import datetime
from operator import attrgetter

import strawberry

from domain import sessions
from domain.sessions import SessionStatus
from resolvers import sessions as door
from resolvers.sessions import SessionUpdateKind
from schema.commands import Command
from schema.page import Connection
from schema.stations import Station
from schema.tokens import Token
from schema.view import EVENT_ID, answer, attribute, stream, view


@view(sessions.Session)
class Session:
    """One charge. Times are the station's; energy comes from the register of its meter."""

    id: strawberry.ID = attribute("Ours.")
    transaction_id: str = attribute("The station's name for it (OCPP).")
    station: Station | None = answer(door.station, "Where it takes place.")
    evse_number: int | None = attribute("At which EVSE, as soon as the station has told.")
    connector_number: int | None = attribute("With which plug, as soon as the station has told.")
    token: Token | None = answer(door.token, "Who charges, where we know them.")
    token_uid: str | None = attribute("What was shown to the station, whether we know it or not.")
    status: SessionStatus = attribute("How it goes.")
    started_at: datetime = attribute("When it began.")
    ended_at: datetime | None = attribute("When it ended.")
    meter_start_wh: float | None = attribute("The register at the start, in Wh.")
    meter_stop_wh: float | None = attribute("The register at the end, in Wh.")
    energy_wh: float = attribute("What was charged so far, in Wh.")
    power_w: float | None = attribute("What is charged right now, in W; null when it is over.")
    soc_percent: float | None = attribute("How full the vehicle's battery is, where it tells.")
    stop_reason: str | None = attribute("Why it ended, in the station's word.")
    inferred: bool = attribute("Its end is inferred: no station has reported one.")
    start_inferred: bool = attribute("Its start is inferred: no station has reported one.")
    offline: bool = attribute("It was told later, by a station that was offline.")
    meter_suspect: bool = attribute("The register ran backwards: look at it before you bill it.")
    updated_at: datetime = attribute("When it was last heard of, by our clock.")


@view(door.SessionUpdate)
class SessionUpdate:
    """News of a charge."""

    kind: SessionUpdateKind = attribute("What has happened; METERED may be conflated.")
    session: Session = attribute("As it is at delivery.")
    event_id: strawberry.ID | None = attribute(EVENT_ID)


@strawberry.type
class SessionQuery:
    sessions: Connection[Session] | None = answer(door.listed, "Charges, by what is wanted of them.")
    session: Session | None = answer(door.by_id, "One charge.")


@strawberry.type
class SessionMutation:
    start_session: Command | None = answer(
        door.start, "Order a station to begin a charge. Answers when the station has, or at the deadline."
    )
    stop_session: Command | None = answer(
        door.stop, "Order a station to end a charge. Answers when the station has, or at the deadline."
    )


@strawberry.type
class SessionSubscription:
    session_updates: AsyncGenerator[SessionUpdate, None] = stream(
        door.updates,
        "The charges that go on, then every change; of all stations where none is named. With `after`, an `eventId`, "
        "what came since in place of the first look.",
        conflate=attrgetter("latest_of"),
    )

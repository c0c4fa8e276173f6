from collections.abc import AsyncGenerator
from datetime import datetime
from operator import attrgetter

import strawberry

from domain import sessions
from domain.sessions import OrphanKind, SessionStatus
from resolvers import sessions as door
from resolvers.sessions import SessionUpdateKind
from schema import limits
from schema.commands import Command
from schema.money import Money
from schema.page import Connection
from schema.stations import Station
from schema.tokens import Token
from schema.view import EVENT_ID, answer, attribute, stream, view


@view(sessions.SignedValue)
class SignedMeterValue:
    """What a meter has signed, byte for byte as the station gave it."""

    at: datetime = attribute("When it was measured, by the station's clock.")
    context: str = attribute("Transaction.Begin, Transaction.End, Sample.Periodic, … (OCPP ReadingContext).")
    measurand: str = attribute("What was measured.")
    phase: str | None = attribute("On which phase, where the station tells.")
    location: str | None = attribute("Where, if not at the outlet.")
    format: str = attribute("The encoding of what is signed, such as OCMF; SignedData where 1.6 does not tell.")
    value: str = attribute("1.6: the sampled value. 2.x: the object signedMeterValue as JSON, its keys as they came.")


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
    missing_messages: int = attribute("How many of its messages were skipped, by their sequence numbers (OCPP 2.x).")
    incomplete: bool = attribute("What is missing of it will not come: the station has said that nothing waits there.")
    cost: Money | None = answer(door.cost, "What it costs so far; null until there are tariffs.", cost=limits.NOTHING)
    signed_meter_values: list[SignedMeterValue] = answer(
        door.signed_values,
        f"What the meter has signed of it, by time: of more than {sessions.SIGNED_MAX} the first, and in any case "
        "those of its begin and end.",
        size=limits.SIGNED_VALUES,
    )
    received_at: datetime = attribute("When it was first heard of, by our clock.")
    updated_at: datetime = attribute("When it was last heard of, by our clock.")


@view(sessions.SessionOrphan)
class SessionOrphan:
    """What a station said of a charge that nobody can find: kept, never billed, for an operator to settle."""

    id: strawberry.ID = attribute("Ours.")
    kind: OrphanKind = attribute("What it is.")
    station: Station | None = answer(door.station, "Who said it.")
    transaction_id: str | None = attribute("The transaction that it names, if it does.")
    evse_number: int | None = attribute("Where, if it says so.")
    token_uid: str | None = attribute("The token that was shown.")
    at: datetime = attribute("When, by the station's clock.")
    meter_wh: float | None = attribute("What the register showed, in Wh.")
    reason: str | None = attribute("Why the charge ended, in the station's word.")
    created_at: datetime = attribute("When we heard of it.")
    session: Session | None = answer(door.orphan_session, "The charge that it was given to.")
    settled_at: datetime | None = attribute("When an operator settled it.")
    settled_by: str | None = attribute("Which operator did.")


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
    session_orphans: Connection[SessionOrphan] | None = answer(
        door.orphans, "What stations said of charges that nobody can find, until it is settled."
    )


@strawberry.type
class SessionMutation:
    start_session: Command | None = answer(
        door.start,
        "Order a station to begin a charge. Answers when the station has, or at the deadline; with `queueForS` at once "
        "where it has to wait.",
    )
    stop_session: Command | None = answer(
        door.stop,
        "Order a station to end a charge. Answers when the station has, or at the deadline; with `queueForS` at once "
        "where it has to wait.",
    )
    assign_session_orphan: SessionOrphan | None = answer(
        door.assign_orphan,
        "Take it for what that charge lacks. Should the charge's own stop come after all, that one counts.",
    )
    dismiss_session_orphan: SessionOrphan | None = answer(door.dismiss_orphan, "Keep it, and list it no more.")


@strawberry.type
class SessionSubscription:
    session_updates: AsyncGenerator[SessionUpdate, None] = stream(
        door.updates,
        "The charges that go on, then every change; of all stations where none is named. With `after`, an `eventId`, "
        "what came since in place of the first look.",
        conflate=attrgetter("latest_of"),
    )

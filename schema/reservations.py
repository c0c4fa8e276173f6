from collections.abc import AsyncGenerator
from datetime import datetime

import strawberry

from domain import reservations
from domain.reservations import ReservationStatus
from resolvers import reservations as door
from schema import limits
from schema.commands import Command
from schema.page import Connection
from schema.sessions import Session
from schema.stations import Station
from schema.tokens import Token
from schema.view import EVENT_ID, answer, attribute, stream, view


@view(reservations.Reservation)
class Reservation:
    """A place that a station keeps for a card, until somebody comes or the time is over."""

    id: strawberry.ID = attribute("Ours.")
    number: int = attribute("What the station calls it: OCPP's reservationId.")
    station: Station | None = answer(door.station, "Where.")
    evse_number: int | None = attribute("Null: any of the station's.")
    connector_type: str | None = attribute("The kind of plug, where no EVSE was named (OCPP 2.x).")
    token: Token | None = answer(door.token, "For whom; null once the token is deleted.")
    token_uid: str = attribute("The card's number.")
    expires_at: datetime = attribute("Until when it is kept.")
    status: ReservationStatus = attribute("What has become of it.")
    session: Session | None = answer(door.session, "The charge that began on it.")
    created_at: datetime = attribute("When it was asked for.")
    updated_at: datetime = attribute("When its status last changed.")
    event_id: strawberry.ID | None = answer(
        door.event_id, f"Of an item of `reservationUpdates`. {EVENT_ID}", cost=limits.NOTHING
    )


@strawberry.type
class ReservationQuery:
    reservations: Connection[Reservation] | None = answer(door.listed, "Reservations, by what is wanted of them.")
    reservation: Reservation | None = answer(door.by_id, "One reservation.")


@strawberry.type
class ReservationMutation:
    create_reservation: Command | None = answer(
        door.create, "Order a station to keep a place for a card. Answers when the station has, or at the deadline."
    )
    cancel_reservation: Command | None = answer(
        door.cancel, "Order a station to let it go again. Answers when the station has, or at the deadline."
    )


@strawberry.type
class ReservationSubscription:
    reservation_updates: AsyncGenerator[Reservation, None] = stream(
        door.updates,
        "The reservations that are kept, then every change; of all stations where none is named. With `after`, an "
        "`eventId`, what came since in place of the first look.",
    )

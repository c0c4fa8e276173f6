"""What an operator orders: keep a place for a card, let it go again. The station has the last word."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Sequence as DatabaseSequence
from sqlmodel import select
from uuid_utils.compat import uuid7

from domain import commands, tokens
from domain.actor import Actor, Permission
from domain.commands import Command, CommandKind
from domain.errors import Conflict, Invalid
from domain.reservations.models import LIVE, Reservation
from domain.reservations.service import conclude, tell
from domain.tokens import TokenStatus
from domain.work import Work, Workplace

_NUMBER = DatabaseSequence("reservation_number")


async def request(
    work: Work,
    *,
    station_id: UUID,
    token_uid: str,
    expires_at: datetime,
    evse_number: int | None = None,
    connector_type: str | None = None,
    queue_for_s: float | None = None,
) -> Command:
    """Without an EVSE the station keeps any of its own free. `carry_out` carries it out."""
    work.require(Permission.CONTROL)
    if expires_at <= work.now:
        raise Invalid("expiresAt is in the future", field="expiresAt")
    if evse_number is not None and connector_type is not None:
        raise Invalid("connectorType is for when no EVSE is named", field="connectorType")
    token = await tokens.by_uid(work, token_uid)
    status = tokens.status_at(token, work.now)
    if status is not TokenStatus.ACCEPTED:
        raise Conflict(f"token {token.uid} may not charge: {status}", status=status)
    reservation_id = uuid7()
    number = (await work.session.exec(select(_NUMBER.next_value()))).one()
    command = await commands.request(
        work,
        station_id=station_id,
        kind=CommandKind.RESERVE_NOW,
        arguments={
            "reservation_number": number,
            "reservation_id": str(reservation_id),
            "token_uid": token.uid,
            "token_type": token.shown_type,
            "group_uid": token.group_uid,
            "evse_number": evse_number,
            "connector_type": connector_type,
            "expires_at": expires_at.isoformat(),
        },
        queue_for_s=queue_for_s,
    )
    reservation = Reservation(
        id=reservation_id,
        station_id=station_id,
        number=number,
        evse_number=evse_number,
        connector_type=connector_type,
        token_id=token.id,
        token_uid=token.uid,
        expires_at=expires_at,
        command_id=command.id,
        created_at=work.now,
        updated_at=work.now,
    )
    tell(work, work.add(reservation))
    return command


async def request_cancel(work: Work, *, reservation_id: UUID, queue_for_s: float | None = None) -> Command:
    """Of one that the station keeps, as far as we know. `carry_out` carries it out."""
    work.require(Permission.CONTROL)
    reservation = await work.get(Reservation, reservation_id)
    if reservation.status not in LIVE:
        raise Conflict(f"reservation {reservation_id} is over: {reservation.status}", status=reservation.status)
    return await commands.request(
        work,
        station_id=reservation.station_id,
        kind=CommandKind.CANCEL_RESERVATION,
        arguments={"reservation_number": reservation.number, "reservation_id": str(reservation.id)},
        queue_for_s=queue_for_s,
    )


async def object_to_request(work: Work, command: Command) -> str | None:
    """Of a request that has waited for its station: what speaks against it now."""
    work.require(Permission.CONTROL)
    wanted = command.arguments
    if datetime.fromisoformat(wanted["expires_at"]) <= work.now:
        return "the time of the reservation is over"
    token = await tokens.find(work, wanted["token_uid"])
    if token is None:
        return f"token {wanted['token_uid']} is no more"
    status = tokens.status_at(token, work.now)
    return None if status is TokenStatus.ACCEPTED else f"token {token.uid} may no longer charge: {status}"


async def carry_out(workplace: Workplace, actor: Actor, command: Command) -> Command:
    """As `commands.deliver`; the reservation shows at once what has become of it."""
    done = await commands.deliver(workplace, actor, command)
    async with workplace.open_work(actor) as work:
        await conclude(work, done)
    return done

"""What an operator orders: begin to charge here, end that charge. The station has the last word."""

from uuid import UUID

from domain import commands, tokens
from domain.actor import Permission
from domain.commands import Command, CommandKind
from domain.errors import Conflict, Invalid
from domain.sessions.authorizing import AuthorizationStatus, Purpose, judge
from domain.sessions.models import Session
from domain.stations import Station
from domain.work import Work


async def request_start(
    work: Work, *, station_id: UUID, token_uid: str, evse_number: int | None = None, queue_for_s: float | None = None
) -> Command:
    """Without an EVSE the station chooses one. `commands.deliver` carries it out."""
    work.require(Permission.CONTROL)
    if evse_number is not None and evse_number < 1:
        raise Invalid(f"evseNumber begins at 1, not at {evse_number}", field="evseNumber")
    station = await work.get(Station, station_id)
    token = await tokens.by_uid(work, token_uid)
    authorization = await judge(
        work, token_uid=token.uid, station_id=station.id, evse_number=evse_number, purpose=Purpose.START
    )
    if authorization.status is not AuthorizationStatus.ACCEPTED:
        raise Conflict(f"token {token.uid} may not charge: {authorization.status}", status=authorization.status)
    if authorization.evse_numbers is not None:
        numbers = ", ".join(map(str, authorization.evse_numbers))
        raise Invalid(f"token {token.uid} may charge at some EVSEs alone: name one of {numbers}", field="evseNumber")
    return await commands.request(
        work,
        station_id=station.id,
        kind=CommandKind.REMOTE_START,
        arguments={"token_uid": token.uid, "token_type": token.shown_type, "evse_number": evse_number},
        queue_for_s=queue_for_s,
    )


async def object_to_start(work: Work, command: Command) -> str | None:
    """Of a start that has waited for its station: what speaks against it now."""
    work.require(Permission.CONTROL)
    wanted = command.arguments
    authorization = await judge(
        work,
        token_uid=wanted["token_uid"],
        station_id=command.station_id,
        evse_number=wanted.get("evse_number"),
        purpose=Purpose.START,
    )
    if authorization.status is AuthorizationStatus.ACCEPTED:
        return None
    return f"token {wanted['token_uid']} may no longer charge: {authorization.status}"


async def request_stop(work: Work, *, session_id: UUID, queue_for_s: float | None = None) -> Command:
    """Of a charge that goes on, as far as we know. `commands.deliver` carries it out."""
    work.require(Permission.CONTROL)
    session = await work.get(Session, session_id)
    if session.ended_at is not None:
        raise Conflict(f"session {session_id} has ended already", ended_at=session.ended_at.isoformat())
    return await commands.request(
        work,
        station_id=session.station_id,
        kind=CommandKind.REMOTE_STOP,
        arguments={"transaction_id": session.transaction_id, "session_id": str(session.id)},
        queue_for_s=queue_for_s,
    )

"""What becomes of a reservation: by the station's answer, by its word later, by a charge, or by time."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from domain import commands
from domain.actor import Permission
from domain.commands import Command, CommandChanged, CommandKind, CommandStatus
from domain.reservations.events import ReservationChanged
from domain.reservations.models import LIVE, Reservation, ReservationStatus
from domain.work import Work

_REFUSALS: Final = {
    "Faulted": ReservationStatus.FAULTED,
    "Occupied": ReservationStatus.OCCUPIED,
    "Unavailable": ReservationStatus.UNAVAILABLE,
}


async def settle(work: Work, changed: CommandChanged) -> None:
    """Whoever waited for the answer may be gone, or the order have waited for the station."""
    work.require(Permission.CONTROL)
    for command in await commands.by_ids(work, [changed.command_id]):
        await conclude(work, command)


async def conclude(work: Work, command: Command) -> None:
    """What the end of an order means for the reservation that it is about; no matter how often."""
    if command.kind is CommandKind.RESERVE_NOW:
        reservation = await _held(work, command)
        if reservation is not None and reservation.status is ReservationStatus.REQUESTED:
            _set(work, reservation, _granted(command))
    elif command.kind is CommandKind.CANCEL_RESERVATION and command.status is CommandStatus.ACCEPTED:
        reservation = await _held(work, command)
        if reservation is not None and reservation.status in LIVE:
            _set(work, reservation, ReservationStatus.CANCELLED)


def _granted(command: Command) -> ReservationStatus:
    match command.status:
        case CommandStatus.ACCEPTED:
            return ReservationStatus.ACCEPTED
        case CommandStatus.REJECTED:
            said = str((command.result or {}).get("status"))
            return _REFUSALS.get(said, ReservationStatus.REJECTED)
        case CommandStatus.FAILED if command.result:  # it answered with an error
            return ReservationStatus.FAILED
        case _ if command.attempts == 0 and command.completed_at is not None:  # it never was on the wire
            return ReservationStatus.FAILED
    return ReservationStatus.REQUESTED


async def use(work: Work, *, station_id: UUID, number: int, session_id: UUID) -> Reservation | None:
    """A charge has begun on it, whatever we took it for until now; None for a number that we have not given."""
    work.require(Permission.REPORT)
    reservation = await _numbered(work, station_id, number)
    if reservation is not None and reservation.status is not ReservationStatus.USED:
        reservation.session_id = session_id
        _set(work, reservation, ReservationStatus.USED)
    return reservation


async def report_status(work: Work, *, station_id: UUID, number: int, status: ReservationStatus) -> Reservation | None:
    """ReservationStatusUpdate (2.x): the station has let it go by itself."""
    work.require(Permission.REPORT)
    reservation = await _numbered(work, station_id, number)
    if reservation is not None and reservation.status in LIVE:
        _set(work, reservation, status)
    return reservation


async def expire(work: Work) -> Sequence[Reservation]:
    """OCPP 1.6 does not tell when the time of one is over."""
    work.require(Permission.CONTROL)
    query = select(Reservation).where(col(Reservation.status).in_(LIVE), Reservation.expires_at <= work.now)
    over = (await work.session.exec(query.with_for_update(skip_locked=True))).all()
    for reservation in over:
        _set(work, reservation, ReservationStatus.EXPIRED)
    return over


async def _held(work: Work, command: Command) -> Reservation | None:
    query = select(Reservation).where(Reservation.id == UUID(command.arguments["reservation_id"]))
    return (await work.session.exec(query.with_for_update())).first()


async def _numbered(work: Work, station_id: UUID, number: int) -> Reservation | None:
    """Numbers come again after two thousand million: the last one is meant."""
    query = select(Reservation).where(Reservation.station_id == station_id, Reservation.number == number)
    return (await work.session.exec(query.order_by(col(Reservation.id).desc()).with_for_update())).first()


def _set(work: Work, reservation: Reservation, status: ReservationStatus) -> None:
    if reservation.status is not status:
        reservation.status, reservation.updated_at = status, work.now
        tell(work, reservation)


def tell(work: Work, reservation: Reservation) -> None:
    work.emit(
        ReservationChanged(reservation_id=reservation.id, station_id=reservation.station_id, status=reservation.status)
    )

"""OCPP 2.0.1, H: an EVSE kept for a card, and what the station says of it later."""

from datetime import datetime
from typing import Any

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result

from domain import reservations
from domain.commands import CommandKind
from domain.reservations import ReservationStatus
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.orders import Orders
from gateways.ocpp.times import stamp
from gateways.ocpp.v201.authorization import group_id_token, id_token

STATUS = {"Expired": ReservationStatus.EXPIRED}  # every other word: the station has taken it back


def _reserve(wanted: dict[str, Any]) -> request.ReserveNow:
    return request.ReserveNow(
        id=wanted["reservation_number"],
        expiry_date_time=stamp(datetime.fromisoformat(wanted["expires_at"])),
        id_token=id_token(wanted["token_uid"], wanted.get("token_type")),
        connector_type=wanted.get("connector_type"),
        evse_id=wanted.get("evse_number"),
        group_id_token=group_id_token(wanted.get("group_uid")),
    )


def _cancel(wanted: dict[str, Any]) -> request.CancelReservation:
    return request.CancelReservation(reservation_id=wanted["reservation_number"])


async def updated(call: Call, m: request.ReservationStatusUpdate) -> result.ReservationStatusUpdate:
    status = STATUS.get(m.reservation_update_status, ReservationStatus.REMOVED)
    async with call.write() as work:
        await reservations.report_status(work, station_id=call.station_id, number=m.reservation_id, status=status)
    return result.ReservationStatusUpdate()


HANDLERS: dict[str, Handler] = {"ReservationStatusUpdate": updated}

ORDERS: Orders = {CommandKind.RESERVE_NOW: _reserve, CommandKind.CANCEL_RESERVATION: _cancel}

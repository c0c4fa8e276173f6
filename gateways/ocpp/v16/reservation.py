"""OCPP 1.6, 5.1 and 5.13: a connector kept for a card; connector 0 is any of the station's."""

from datetime import datetime
from typing import Any

from ocpp.v16 import call

from domain.commands import CommandKind
from gateways.ocpp.orders import NoWord, Orders
from gateways.ocpp.times import stamp

_ID_TAG_MAX = 20


def _reserve(wanted: dict[str, Any]) -> call.ReserveNow:
    if wanted.get("connector_type"):
        raise NoWord("OCPP 1.6 cannot keep a kind of connector: name an EVSE, or none")
    group_uid = wanted.get("group_uid")
    return call.ReserveNow(
        connector_id=wanted.get("evse_number") or 0,
        expiry_date=stamp(datetime.fromisoformat(wanted["expires_at"])),
        id_tag=wanted["token_uid"],
        reservation_id=wanted["reservation_number"],
        parent_id_tag=group_uid if group_uid and len(group_uid) <= _ID_TAG_MAX else None,
    )


def _cancel(wanted: dict[str, Any]) -> call.CancelReservation:
    return call.CancelReservation(reservation_id=wanted["reservation_number"])


ORDERS: Orders = {CommandKind.RESERVE_NOW: _reserve, CommandKind.CANCEL_RESERVATION: _cancel}

"""OCPP 2.1, B11 and F06: the words that 2.0.1 does not have."""

from typing import Any

from ocpp.v21 import call
from ocpp.v21.enums import MessageTriggerEnumType, ResetEnumType

from domain.commands import CommandKind
from gateways.ocpp import v201
from gateways.ocpp.orders import Orders

_TRIGGER = {
    "SIGN_V2G20_CERTIFICATE": MessageTriggerEnumType.sign_v2g20_certificate,
    "CUSTOM": MessageTriggerEnumType.custom_trigger,
}


def _reset(wanted: dict[str, Any]) -> Any:
    """B11: the station goes on with its charges afterwards."""
    if wanted["type"] == "IMMEDIATE_AND_RESUME":
        return call.Reset(type=ResetEnumType.immediate_and_resume, evse_id=wanted.get("evse_number"))
    return v201.ORDERS[CommandKind.RESET](wanted)


def _trigger(wanted: dict[str, Any]) -> Any:
    if wanted["message"] not in _TRIGGER:
        return v201.ORDERS[CommandKind.TRIGGER_MESSAGE](wanted)
    return call.TriggerMessage(requested_message=_TRIGGER[wanted["message"]], custom_trigger=wanted.get("custom"))


ORDERS: Orders = {CommandKind.RESET: _reset, CommandKind.TRIGGER_MESSAGE: _trigger}

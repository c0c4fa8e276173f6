"""OCPP 2.0.1, B11, C11, E14, F and G: commands in our words as calls."""

from typing import Any

from ocpp.v201 import call
from ocpp.v201.datatypes import EVSEType
from ocpp.v201.enums import MessageTriggerEnumType, OperationalStatusEnumType, ResetEnumType

from domain.commands import CommandKind
from gateways.ocpp.orders import NoWord, Orders
from gateways.ocpp.v201.authorization import id_token

_RESET = {"SOFT": ResetEnumType.on_idle, "HARD": ResetEnumType.immediate}
_AVAILABILITY = {
    "OPERATIVE": OperationalStatusEnumType.operative,
    "INOPERATIVE": OperationalStatusEnumType.inoperative,
}
_TRIGGER = {
    "BOOT_NOTIFICATION": MessageTriggerEnumType.boot_notification,
    "HEARTBEAT": MessageTriggerEnumType.heartbeat,
    "STATUS_NOTIFICATION": MessageTriggerEnumType.status_notification,
    "METER_VALUES": MessageTriggerEnumType.meter_values,
    "TRANSACTION_EVENT": MessageTriggerEnumType.transaction_event,
    "FIRMWARE_STATUS_NOTIFICATION": MessageTriggerEnumType.firmware_status_notification,
    "LOG_STATUS_NOTIFICATION": MessageTriggerEnumType.log_status_notification,
    "PUBLISH_FIRMWARE_STATUS_NOTIFICATION": MessageTriggerEnumType.publish_firmware_status_notification,
    "SIGN_CERTIFICATE": MessageTriggerEnumType.sign_charging_station_certificate,
    "SIGN_V2G_CERTIFICATE": MessageTriggerEnumType.sign_v2g_certificate,
    "SIGN_COMBINED_CERTIFICATE": MessageTriggerEnumType.sign_combined_certificate,
}


def _remote_start(wanted: dict[str, Any]) -> call.RequestStartTransaction:
    return call.RequestStartTransaction(
        id_token=id_token(wanted["token_uid"], wanted.get("token_type")),
        remote_start_id=wanted["remote_start_number"],
        evse_id=wanted.get("evse_number"),
    )


def _remote_stop(wanted: dict[str, Any]) -> call.RequestStopTransaction:
    return call.RequestStopTransaction(transaction_id=wanted["transaction_id"])


def _reset(wanted: dict[str, Any]) -> call.Reset:
    if wanted["type"] not in _RESET:
        raise NoWord(f"OCPP 2.0.1 knows no reset {wanted['type']}")
    return call.Reset(type=_RESET[wanted["type"]], evse_id=wanted.get("evse_number"))


def _unlock(wanted: dict[str, Any]) -> call.UnlockConnector:
    return call.UnlockConnector(evse_id=wanted["evse_number"], connector_id=wanted.get("connector_number") or 1)


def _availability(wanted: dict[str, Any]) -> call.ChangeAvailability:
    return call.ChangeAvailability(operational_status=_AVAILABILITY[wanted["operational_status"]], evse=_evse(wanted))


def _trigger(wanted: dict[str, Any]) -> call.TriggerMessage:
    if wanted["message"] not in _TRIGGER:
        raise NoWord(f"OCPP 2.0.1 cannot trigger {wanted['message']}")
    return call.TriggerMessage(requested_message=_TRIGGER[wanted["message"]], evse=_evse(wanted))


def _clear_cache(_wanted: dict[str, Any]) -> call.ClearCache:
    return call.ClearCache()


def _transaction_status(wanted: dict[str, Any]) -> call.GetTransactionStatus:
    return call.GetTransactionStatus(transaction_id=wanted.get("transaction_id"))


def _evse(wanted: dict[str, Any]) -> EVSEType | None:
    if wanted.get("evse_number") is None:
        return None
    return EVSEType(id=wanted["evse_number"], connector_id=wanted.get("connector_number"))


ORDERS: Orders = {
    CommandKind.REMOTE_START: _remote_start,
    CommandKind.REMOTE_STOP: _remote_stop,
    CommandKind.RESET: _reset,
    CommandKind.UNLOCK_CONNECTOR: _unlock,
    CommandKind.CHANGE_AVAILABILITY: _availability,
    CommandKind.TRIGGER_MESSAGE: _trigger,
    CommandKind.CLEAR_CACHE: _clear_cache,
    CommandKind.GET_TRANSACTION_STATUS: _transaction_status,
}

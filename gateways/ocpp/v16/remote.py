"""OCPP 1.6, section 5: commands in our words as calls, and the station's answers as outcomes."""

from typing import Any

from ocpp.v16 import call
from ocpp.v16.enums import AvailabilityType, MessageTrigger, ResetType

from domain.commands import CommandKind, CommandStatus, Outcome
from gateways.ocpp.orders import Answers, NoWord, Orders

_RESET = {"SOFT": ResetType.soft, "HARD": ResetType.hard}
_AVAILABILITY = {"OPERATIVE": AvailabilityType.operative, "INOPERATIVE": AvailabilityType.inoperative}
_TRIGGER = {
    "BOOT_NOTIFICATION": MessageTrigger.boot_notification,
    "DIAGNOSTICS_STATUS_NOTIFICATION": MessageTrigger.diagnostics_status_notification,
    "FIRMWARE_STATUS_NOTIFICATION": MessageTrigger.firmware_status_notification,
    "HEARTBEAT": MessageTrigger.heartbeat,
    "METER_VALUES": MessageTrigger.meter_values,
    "STATUS_NOTIFICATION": MessageTrigger.status_notification,
}
# Those of the security whitepaper, which has a message of its own for them
_EXTENDED_TRIGGER = {
    **{ours: word for ours, word in _TRIGGER.items() if ours != "DIAGNOSTICS_STATUS_NOTIFICATION"},
    "LOG_STATUS_NOTIFICATION": MessageTrigger.log_status_notification,
    "SIGN_CERTIFICATE": MessageTrigger.sign_charge_point_certificate,
}


def _remote_start(wanted: dict[str, Any]) -> call.RemoteStartTransaction:
    return call.RemoteStartTransaction(id_tag=wanted["token_uid"], connector_id=wanted.get("evse_number"))


def _remote_stop(wanted: dict[str, Any]) -> call.RemoteStopTransaction:
    transaction_id = wanted["transaction_id"]
    if not transaction_id.isdecimal():
        raise NoWord(f"transaction {transaction_id} is not one that OCPP 1.6 can name")
    return call.RemoteStopTransaction(transaction_id=int(transaction_id))


def _reset(wanted: dict[str, Any]) -> call.Reset:
    if wanted.get("evse_number"):
        raise NoWord("OCPP 1.6 cannot reset one EVSE: only the whole station")
    if wanted["type"] not in _RESET:
        raise NoWord(f"OCPP 1.6 knows no reset {wanted['type']}")
    return call.Reset(type=_RESET[wanted["type"]])


def _unlock(wanted: dict[str, Any]) -> call.UnlockConnector:
    return call.UnlockConnector(connector_id=_connector(wanted))


def _availability(wanted: dict[str, Any]) -> call.ChangeAvailability:
    return call.ChangeAvailability(
        connector_id=_connector(wanted) or 0, type=_AVAILABILITY[wanted["operational_status"]]
    )


def _trigger(wanted: dict[str, Any]) -> call.TriggerMessage | call.ExtendedTriggerMessage:
    """What only the security whitepaper knows is asked in its words, everything else only where that is wanted."""
    message, connector = wanted["message"], _connector(wanted) or None
    if message in _TRIGGER and not wanted.get("extended"):
        return call.TriggerMessage(requested_message=_TRIGGER[message], connector_id=connector)
    if message not in _EXTENDED_TRIGGER:
        raise NoWord(f"OCPP 1.6 cannot trigger {message}")
    return call.ExtendedTriggerMessage(requested_message=_EXTENDED_TRIGGER[message], connector_id=connector)


def _connector(wanted: dict[str, Any]) -> int | None:
    """Connector n is EVSE n with connector 1."""
    if wanted.get("connector_number") not in (None, 1):
        raise NoWord(f"OCPP 1.6 knows no connector {wanted['connector_number']} of an EVSE")
    return wanted.get("evse_number")


def _get_configuration(wanted: dict[str, Any]) -> call.GetConfiguration:
    return call.GetConfiguration(key=wanted.get("keys") or None)


def _change_configuration(wanted: dict[str, Any]) -> call.ChangeConfiguration:
    return call.ChangeConfiguration(key=wanted["key"], value=wanted["value"])


def _clear_cache(_wanted: dict[str, Any]) -> call.ClearCache:
    return call.ClearCache()


ORDERS: Orders = {
    CommandKind.REMOTE_START: _remote_start,
    CommandKind.REMOTE_STOP: _remote_stop,
    CommandKind.RESET: _reset,
    CommandKind.UNLOCK_CONNECTOR: _unlock,
    CommandKind.CHANGE_AVAILABILITY: _availability,
    CommandKind.TRIGGER_MESSAGE: _trigger,
    CommandKind.GET_CONFIGURATION: _get_configuration,
    CommandKind.CHANGE_CONFIGURATION: _change_configuration,
    CommandKind.CLEAR_CACHE: _clear_cache,
}


def _configuration(answer: Any) -> Outcome:
    """1.6 answers a list of keys: one object of them, beside those that it does not know."""
    told = {
        entry["key"]: {"value": entry.get("value"), "readonly": bool(entry.get("readonly"))}
        for entry in answer.configuration_key or []
    }
    result = {"configuration": told, "unknown": answer.unknown_key or []}
    return Outcome(status=CommandStatus.ACCEPTED, result=result, error=None)


ANSWERS: Answers = {CommandKind.GET_CONFIGURATION: _configuration}

"""OCPP 2.0.1, B, F and G: commands in our words as calls, and the station's answers as outcomes.

A configuration key is written `Component.Variable`; an instance of either stands behind a slash (`Component/Instance`).
"""

from typing import Any

from ocpp.v201 import call
from ocpp.v201.datatypes import (
    ComponentType,
    EVSEType,
    GetVariableDataType,
    SetVariableDataType,
    VariableType,
)
from ocpp.v201.enums import MessageTriggerEnumType, OperationalStatusEnumType, ResetEnumType

from domain.commands import CommandKind, CommandStatus, Outcome
from gateways.ocpp.orders import Answers, NoWord, Orders
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
    return call.Reset(type=_RESET[wanted["type"]], evse_id=wanted.get("evse_number"))


def _unlock(wanted: dict[str, Any]) -> call.UnlockConnector:
    return call.UnlockConnector(evse_id=wanted["evse_number"], connector_id=wanted.get("connector_number") or 1)


def _availability(wanted: dict[str, Any]) -> call.ChangeAvailability:
    return call.ChangeAvailability(operational_status=_AVAILABILITY[wanted["operational_status"]], evse=_evse(wanted))


def _trigger(wanted: dict[str, Any]) -> call.TriggerMessage:
    if wanted["message"] not in _TRIGGER:
        raise NoWord(f"OCPP 2.0.1 cannot trigger {wanted['message']}")
    return call.TriggerMessage(requested_message=_TRIGGER[wanted["message"]], evse=_evse(wanted))


def _get_configuration(wanted: dict[str, Any]) -> call.GetVariables:
    if not wanted.get("keys"):
        raise NoWord("OCPP 2.0.1 reads variables by name: give keys as Component.Variable")
    return call.GetVariables(get_variable_data=[GetVariableDataType(*_named(key)) for key in wanted["keys"]])


def _change_configuration(wanted: dict[str, Any]) -> call.SetVariables:
    component, variable = _named(wanted["key"])
    return call.SetVariables(
        set_variable_data=[SetVariableDataType(attribute_value=wanted["value"], component=component, variable=variable)]
    )


def _evse(wanted: dict[str, Any]) -> EVSEType | None:
    if wanted.get("evse_number") is None:
        return None
    return EVSEType(id=wanted["evse_number"], connector_id=wanted.get("connector_number"))


def _named(key: str) -> tuple[ComponentType, VariableType]:
    component, dot, variable = key.partition(".")
    if not (component and dot and variable):
        raise NoWord(f"{key!r} is no variable: OCPP 2.0.1 wants Component.Variable")
    component, _, component_instance = component.partition("/")
    variable, _, variable_instance = variable.partition("/")
    return (
        ComponentType(name=component, instance=component_instance or None),
        VariableType(name=variable, instance=variable_instance or None),
    )


def _key(component: Any, variable: Any) -> str:
    return ".".join("/".join(filter(None, (part.name, part.instance))) for part in (component, variable))


ORDERS: Orders = {
    CommandKind.REMOTE_START: _remote_start,
    CommandKind.REMOTE_STOP: _remote_stop,
    CommandKind.RESET: _reset,
    CommandKind.UNLOCK_CONNECTOR: _unlock,
    CommandKind.CHANGE_AVAILABILITY: _availability,
    CommandKind.TRIGGER_MESSAGE: _trigger,
    CommandKind.GET_CONFIGURATION: _get_configuration,
    CommandKind.CHANGE_CONFIGURATION: _change_configuration,
}


def _read(answer: Any) -> Outcome:
    """The same shape as 1.6's: what it told, beside what it does not know."""
    told, unknown = {}, []
    for item in answer.get_variable_result:
        key = _key(item.component, item.variable)
        if item.attribute_status == "Accepted":
            told[key] = {"value": item.attribute_value, "readonly": False}
        else:
            unknown.append(key)
    return Outcome(status=CommandStatus.ACCEPTED, result={"configuration": told, "unknown": unknown}, error=None)


def _written(answer: Any) -> Outcome:
    said = str(answer.set_variable_result[0].attribute_status)
    result = {"status": said}
    if said in ("Accepted", "RebootRequired"):
        return Outcome(status=CommandStatus.ACCEPTED, result=result, error=None)
    return Outcome(status=CommandStatus.REJECTED, result=result, error=f"the station answered {said}")


ANSWERS: Answers = {CommandKind.GET_CONFIGURATION: _read, CommandKind.CHANGE_CONFIGURATION: _written}

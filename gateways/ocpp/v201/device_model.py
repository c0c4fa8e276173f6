"""OCPP 2.0.1, B05 to B08: asking for a station's variables, setting them, ordering reports of them.

A configuration key is written `Component.Variable`; an instance of either stands behind a slash (`Component/Instance`).
"""

from typing import Any

import orjson
from ocpp.v201 import call as request
from ocpp.v201.datatypes import (
    ComponentType,
    ComponentVariableType,
    EVSEType,
    GetVariableDataType,
    SetVariableDataType,
    VariableType,
)
from ocpp.v201.enums import AttributeEnumType, ComponentCriterionEnumType, ReportBaseEnumType

from domain.commands import CommandKind, CommandStatus, Outcome
from domain.stations import AttributeType
from gateways.ocpp.frames import Version
from gateways.ocpp.orders import Answers, NoWord, Orders, in_parts
from gateways.ocpp.schemas import Kind, form
from gateways.ocpp.v201.inventory import OUR_ATTRIBUTE, named

_ATTRIBUTE = {
    AttributeType.ACTUAL: AttributeEnumType.actual,
    AttributeType.TARGET: AttributeEnumType.target,
    AttributeType.MIN_SET: AttributeEnumType.min_set,
    AttributeType.MAX_SET: AttributeEnumType.max_set,
}
_BASE = {
    "CONFIGURATION": ReportBaseEnumType.configuration_inventory,
    "FULL": ReportBaseEnumType.full_inventory,
    "SUMMARY": ReportBaseEnumType.summary_inventory,
}
_CRITERION = {
    "ACTIVE": ComponentCriterionEnumType.active,
    "AVAILABLE": ComponentCriterionEnumType.available,
    "ENABLED": ComponentCriterionEnumType.enabled,
    "PROBLEM": ComponentCriterionEnumType.problem,
}
_DONE = ("Accepted", "RebootRequired")


def _get_configuration(wanted: dict[str, Any]) -> Any:
    if not wanted.get("keys"):
        raise NoWord("OCPP 2.x reads variables by name: give keys as Component.Variable")
    return _reading([GetVariableDataType(*_keyed(key)) for key in wanted["keys"]], wanted)


def _change_configuration(wanted: dict[str, Any]) -> request.SetVariables:
    component, variable = _keyed(wanted["key"])
    data = SetVariableDataType(attribute_value=wanted["value"], component=component, variable=variable)
    return request.SetVariables(set_variable_data=[data])


def _get_variables(wanted: dict[str, Any]) -> Any:
    items = [
        GetVariableDataType(component=_component(one), variable=_variable(one), attribute_type=_attribute(one))
        for one in wanted["variables"]
    ]
    return _reading(items, wanted)


def _reading(items: list[GetVariableDataType], wanted: dict[str, Any]) -> Any:
    parts = in_parts(items, wanted, lambda item: _bytes(request.GetVariables([item])))
    return _few([request.GetVariables(part) for part in parts])


def _set_variables(wanted: dict[str, Any]) -> Any:
    items = [
        SetVariableDataType(
            attribute_value=one["value"],
            component=_component(one),
            variable=_variable(one),
            attribute_type=_attribute(one),
        )
        for one in wanted["variables"]
    ]
    parts = in_parts(items, wanted, lambda item: _bytes(request.SetVariables([item])))
    return _few([request.SetVariables(part) for part in parts])


def _get_base_report(wanted: dict[str, Any]) -> request.GetBaseReport:
    return request.GetBaseReport(request_id=wanted["report_number"], report_base=_BASE[wanted["base"]])


def _get_report(wanted: dict[str, Any]) -> request.GetReport:
    return request.GetReport(
        request_id=wanted["report_number"],
        component_variable=[
            ComponentVariableType(component=_component(one), variable=_variable(one) if one.get("variable") else None)
            for one in wanted.get("variables") or []
        ]
        or None,
        component_criteria=[_CRITERION[one] for one in wanted.get("criteria") or []] or None,
    )


def _component(one: dict[str, Any]) -> ComponentType:
    evse_number = one.get("evse_number")
    evse = None if evse_number is None else EVSEType(id=evse_number, connector_id=one.get("connector_number"))
    return ComponentType(name=one["component"], instance=one.get("component_instance"), evse=evse)


def _variable(one: dict[str, Any]) -> VariableType:
    return VariableType(name=one["variable"], instance=one.get("variable_instance"))


def _attribute(one: dict[str, Any]) -> AttributeEnumType | None:
    """Actual is what nothing means."""
    wanted = AttributeType(one.get("attribute") or AttributeType.ACTUAL)
    return None if wanted is AttributeType.ACTUAL else _ATTRIBUTE[wanted]


def _keyed(key: str) -> tuple[ComponentType, VariableType]:
    component, dot, variable = key.partition(".")
    if not (component and dot and variable):
        raise NoWord(f"{key!r} is no variable: OCPP 2.x wants Component.Variable")
    component, _, component_instance = component.partition("/")
    variable, _, variable_instance = variable.partition("/")
    return (
        ComponentType(name=component, instance=component_instance or None),
        VariableType(name=variable, instance=variable_instance or None),
    )


def _few(messages: list[Any]) -> Any:
    """Most often there is one."""
    return messages[0] if len(messages) == 1 else messages


def _bytes(message: request.GetVariables | request.SetVariables) -> int:
    """A message with one item alone is a little more than the item adds to another."""
    return len(orjson.dumps(form(Version.V201, type(message).__name__, Kind.REQUEST).write(message)))


ORDERS: Orders = {
    CommandKind.GET_CONFIGURATION: _get_configuration,
    CommandKind.CHANGE_CONFIGURATION: _change_configuration,
    CommandKind.GET_VARIABLES: _get_variables,
    CommandKind.SET_VARIABLES: _set_variables,
    CommandKind.GET_BASE_REPORT: _get_base_report,
    CommandKind.GET_REPORT: _get_report,
}


def _configuration(answer: Any) -> Outcome:
    """The same shape as 1.6's: what it told, beside what it does not know."""
    told, unknown = {}, []
    for item in answer.get_variable_result:
        key = _key(item)
        if item.attribute_status == "Accepted":
            told[key] = {"value": item.attribute_value, "readonly": False}
        else:
            unknown.append(key)
    return Outcome(status=CommandStatus.ACCEPTED, result={"configuration": told, "unknown": unknown}, error=None)


def _changed(answer: Any) -> Outcome:
    said = str(answer.set_variable_result[0].attribute_status)
    result = {"status": said}
    if said in _DONE:
        return Outcome(status=CommandStatus.ACCEPTED, result=result, error=None)
    return Outcome(status=CommandStatus.REJECTED, result=result, error=f"the station answered {said}")


def _read(answer: Any) -> Outcome:
    variables = [
        {**_entry(item), "status": str(item.attribute_status), "value": item.attribute_value}
        for item in answer.get_variable_result
    ]
    return Outcome(status=CommandStatus.ACCEPTED, result={"variables": variables}, error=None)


def _written(answer: Any) -> Outcome:
    """Accepted where all of it was; the result tells of each."""
    items = answer.set_variable_result
    variables = [{**_entry(item), "status": str(item.attribute_status)} for item in items]
    refused = [f"{_key(item)}: {item.attribute_status}" for item in items if item.attribute_status not in _DONE]
    if not refused:
        return Outcome(status=CommandStatus.ACCEPTED, result={"variables": variables}, error=None)
    error = f"the station did not take {'; '.join(refused)}"
    return Outcome(status=CommandStatus.REJECTED, result={"variables": variables}, error=error)


def _entry(item: Any) -> dict[str, Any]:
    attribute = OUR_ATTRIBUTE.get(str(item.attribute_type or "Actual"), AttributeType.ACTUAL)
    name = named(item.component, item.variable)
    return {
        "component": name.component,
        "component_instance": name.component_instance,
        "evse_number": name.evse_number,
        "connector_number": name.connector_number,
        "variable": name.variable,
        "variable_instance": name.variable_instance,
        "attribute": attribute,
    }


def _key(item: Any) -> str:
    return ".".join("/".join(filter(None, (part.name, part.instance))) for part in (item.component, item.variable))


ANSWERS: Answers = {
    CommandKind.GET_CONFIGURATION: _configuration,
    CommandKind.CHANGE_CONFIGURATION: _changed,
    CommandKind.GET_VARIABLES: _read,
    CommandKind.SET_VARIABLES: _written,
}

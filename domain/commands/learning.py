"""What the end of a command tells of its station."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from domain import stations
from domain.commands.link import Outcome
from domain.commands.models import CommandKind, CommandStatus
from domain.commands.secrets import is_secret
from domain.stations import AttributeType, Told, VariableName
from domain.work import Work

Arguments = Mapping[str, Any]


async def learn(work: Work, *, station_id: UUID, kind: CommandKind, arguments: Arguments, outcome: Outcome) -> None:
    """Settings and variables that the station told or took; of passwords nothing is kept."""
    configured = {key: value for key, value in _configured(kind, arguments, outcome).items() if not is_secret(key)}
    told = [one for one in _told(kind, arguments, outcome) if not is_secret(one.name.variable)]
    configured |= {
        one.name.setting: one.value for one in told if one.attribute is AttributeType.ACTUAL and one.name.setting
    }
    if configured:
        await stations.remember_configuration(work, station_id=station_id, values=configured)
    if told:
        await stations.remember_variables(work, station_id=station_id, told=told)


def _configured(kind: CommandKind, arguments: Arguments, outcome: Outcome) -> dict[str, Any]:
    match kind:
        case CommandKind.GET_CONFIGURATION:  # also of those that failed half way
            return {key: entry["value"] for key, entry in (outcome.result or {}).get("configuration", {}).items()}
        case CommandKind.CHANGE_CONFIGURATION if outcome.status == CommandStatus.ACCEPTED:
            return {arguments["key"]: arguments["value"]}
    return {}


def _told(kind: CommandKind, arguments: Arguments, outcome: Outcome) -> Iterable[Told]:
    """What was set is known by what we have sent: the answer repeats the names alone."""
    answered = (outcome.result or {}).get("variables", [])
    if kind is CommandKind.GET_VARIABLES:
        for one in answered:
            if one["status"] == "Accepted":
                yield Told(name=name_of(one), value=one["value"], attribute=_attribute_of(one))
    if kind is CommandKind.SET_VARIABLES:
        sent = {(name_of(one).key, _attribute_of(one)): one["value"] for one in arguments["variables"]}
        for one in answered:
            name, attribute = name_of(one), _attribute_of(one)
            if one["status"] == "Accepted" and (name.key, attribute) in sent:
                yield Told(name=name, value=sent[name.key, attribute], attribute=attribute)


def name_of(entry: Mapping[str, Any]) -> VariableName:
    return VariableName(
        component=entry["component"],
        variable=entry["variable"],
        component_instance=entry.get("component_instance"),
        variable_instance=entry.get("variable_instance"),
        evse_number=entry.get("evse_number"),
        connector_number=entry.get("connector_number"),
    )


def _attribute_of(entry: Mapping[str, Any]) -> AttributeType:
    return AttributeType(entry.get("attribute") or AttributeType.ACTUAL)

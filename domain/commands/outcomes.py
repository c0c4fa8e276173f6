"""What a station answered, in types: read from the row, as often as somebody asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from domain.commands.models import Command, CommandKind, CommandStatus
from domain.stations import AttributeType

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StatusOutcome:
    """A word, and where OCPP 2.x gives one, a reason."""

    status: str
    reason_code: str | None = None
    additional_info: str | None = None

    @property
    def scheduled(self) -> bool:
        return self.status == "Scheduled"


@dataclass(frozen=True, slots=True)
class Setting:
    key: str
    value: str | None
    readonly: bool


@dataclass(frozen=True, slots=True)
class ConfigurationOutcome:
    values: list[Setting]
    unknown: list[str]


@dataclass(frozen=True, slots=True)
class VariableOutcome:
    """`status` is the station's word; `value` what it read, where it was asked to."""

    component: str
    variable: str
    component_instance: str | None
    variable_instance: str | None
    evse_number: int | None
    connector_number: int | None
    attribute: AttributeType
    status: str
    value: str | None


@dataclass(frozen=True, slots=True)
class VariablesOutcome:
    variables: list[VariableOutcome]


class UnlockStatus(StrEnum):
    """Both versions' words together: NOT_SUPPORTED is 1.6's, ONGOING_TRANSACTION and UNKNOWN_CONNECTOR are 2.x's."""

    UNLOCKED = "UNLOCKED"
    UNLOCK_FAILED = "UNLOCK_FAILED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    ONGOING_TRANSACTION = "ONGOING_TRANSACTION"
    UNKNOWN_CONNECTOR = "UNKNOWN_CONNECTOR"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class UnlockOutcome:
    """The station's word, and what it means in either version."""

    status: str
    unlock: UnlockStatus


@dataclass(frozen=True, slots=True)
class DataTransferOutcome:
    status: str
    data: Any


@dataclass(frozen=True, slots=True)
class TransactionStatusOutcome:
    ongoing: bool | None
    messages_in_queue: bool


@dataclass(frozen=True, slots=True)
class LocalListVersionOutcome:
    version: int

    @property
    def supported(self) -> bool:
        """-1 is a station that keeps none (OCPP 1.6, 5.10)."""
        return self.version >= 0


CommandOutcome = (
    StatusOutcome
    | ConfigurationOutcome
    | VariablesOutcome
    | UnlockOutcome
    | DataTransferOutcome
    | TransactionStatusOutcome
    | LocalListVersionOutcome
)

_IN_PARTS: Final = (CommandKind.GET_CONFIGURATION, CommandKind.GET_VARIABLES, CommandKind.SET_VARIABLES)

_UNLOCK: Final = {
    "Unlocked": UnlockStatus.UNLOCKED,
    "UnlockFailed": UnlockStatus.UNLOCK_FAILED,
    "NotSupported": UnlockStatus.NOT_SUPPORTED,
    "OngoingAuthorizedTransaction": UnlockStatus.ONGOING_TRANSACTION,
    "UnknownConnector": UnlockStatus.UNKNOWN_CONNECTOR,
}


def outcome_of(command: Command) -> CommandOutcome | None:
    """None until the station has answered, and where it answered with an error; of an order that took several messages
    what was answered before one of them failed."""
    if command.result is None:
        return None
    if command.status not in (CommandStatus.ACCEPTED, CommandStatus.REJECTED) and not _is_part(command):
        return None
    return _READERS.get(command.kind, _status)(command.result)


def _is_part(command: Command) -> bool:
    return command.kind in _IN_PARTS and not {"variables", "configuration"}.isdisjoint(command.result or ())


def _status(result: Result) -> StatusOutcome | None:
    if "status" not in result:
        return None
    info = result.get("status_info") or {}
    return StatusOutcome(result["status"], info.get("reason_code"), info.get("additional_info"))


def _configuration(result: Result) -> ConfigurationOutcome:
    told = result.get("configuration", {}).items()
    values = [Setting(key, entry.get("value"), bool(entry.get("readonly"))) for key, entry in told]
    return ConfigurationOutcome(values, result.get("unknown", []))


def _variables(result: Result) -> VariablesOutcome:
    return VariablesOutcome([_variable(one) for one in result.get("variables", [])])


def _variable(one: Result) -> VariableOutcome:
    return VariableOutcome(
        component=one["component"],
        variable=one["variable"],
        component_instance=one.get("component_instance"),
        variable_instance=one.get("variable_instance"),
        evse_number=one.get("evse_number"),
        connector_number=one.get("connector_number"),
        attribute=AttributeType(one["attribute"]),
        status=one["status"],
        value=one.get("value"),
    )


def _unlock(result: Result) -> UnlockOutcome:
    said = result.get("status", "")
    return UnlockOutcome(said, _UNLOCK.get(said, UnlockStatus.OTHER))


def _data_transfer(result: Result) -> DataTransferOutcome:
    return DataTransferOutcome(result["status"], result.get("data"))


def _transaction(result: Result) -> TransactionStatusOutcome:
    return TransactionStatusOutcome(result.get("ongoing_indicator"), bool(result.get("messages_in_queue")))


def _local_list_version(result: Result) -> LocalListVersionOutcome:
    return LocalListVersionOutcome(int(result["version"]))


_READERS: Final[Mapping[CommandKind, Callable[[Result], CommandOutcome | None]]] = {
    CommandKind.GET_CONFIGURATION: _configuration,
    CommandKind.GET_VARIABLES: _variables,
    CommandKind.SET_VARIABLES: _variables,
    CommandKind.UNLOCK_CONNECTOR: _unlock,
    CommandKind.DATA_TRANSFER: _data_transfer,
    CommandKind.GET_TRANSACTION_STATUS: _transaction,
    CommandKind.GET_LOCAL_LIST_VERSION: _local_list_version,
}

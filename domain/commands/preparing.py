"""What an order gets of us before it goes out: it is looked through, and what only we know is added."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Sequence as DatabaseSequence
from sqlmodel import select

from domain import stations
from domain.commands.models import Command, CommandKind
from domain.errors import Conflict, Invalid
from domain.stations import ReportBase, VariableName
from domain.work import Work

Arguments = dict[str, Any]

VARIABLES_MAX: Final = 500  # of one order; it becomes as many messages as the station wants
_REMOTE_START_NUMBER = DatabaseSequence("remote_start_number")
_SECURITY_PROFILE = VariableName(component="SecurityCtrlr", variable="SecurityProfile")
_TLS_FROM: Final = 2  # security profiles 2 and 3 are over TLS


def check(arguments: Arguments) -> None:
    """What holds of every kind. Raises `Invalid`, which names the field."""
    if arguments.get("connector_number") is not None and arguments.get("evse_number") is None:
        raise Invalid("a connector is one of an EVSE: name that too", field="evseNumber")
    for name, field in (("evse_number", "evseNumber"), ("connector_number", "connectorNumber")):
        if (number := arguments.get(name)) is not None and number < 1:
            raise Invalid(f"{field} begins at 1, not at {number}", field=field)


async def prepare(work: Work, command: Command) -> None:
    """Adds to its arguments what its kind wants. Raises `Invalid` or `Conflict`."""
    if (prepare_kind := _KINDS.get(command.kind)) is not None:
        command.arguments = {**command.arguments, **await prepare_kind(work, command)}


async def _number_start(work: Work, command: Command) -> Arguments:
    command.remote_start_number = (await work.session.exec(select(_REMOTE_START_NUMBER.next_value()))).one()
    return {"remote_start_number": command.remote_start_number}


async def _bound(work: Work, command: Command) -> Arguments:
    """How much of it the station takes in one message (OCPP 2.0.1 B05.FR.11, B06.FR.16), where it has told."""
    variables = command.arguments.get("variables")
    if variables is not None:
        _check_variables(variables)
    message = "SetVariables" if command.kind is CommandKind.SET_VARIABLES else "GetVariables"
    return await _limits(work, command.station_id, message)


async def _limits(work: Work, station_id: UUID, message: str) -> Arguments:
    names = {
        word: VariableName(component="DeviceDataCtrlr", variable=variable, variable_instance=message)
        for word, variable in (("items_per_message", "ItemsPerMessage"), ("bytes_per_message", "BytesPerMessage"))
    }
    told = await stations.values_of(work, station_id=station_id, names=names)
    return {word: int(value) for word, value in told.items() if value is not None and value.isdecimal() and int(value)}


def _check_variables(variables: list[Arguments]) -> None:
    if not 1 <= len(variables) <= VARIABLES_MAX:
        raise Invalid(f"variables must be 1 to {VARIABLES_MAX}, not {len(variables)}", field="variables")
    for index, variable in enumerate(variables):
        try:
            check(variable)
        except Invalid as error:
            raise Invalid(error.message, field=f"variables.{index}.{error.details['field']}") from None


async def _expect_report(work: Work, command: Command) -> Arguments:
    if command.kind is CommandKind.GET_REPORT:
        if command.arguments.get("variables"):
            _check_variables(command.arguments["variables"])
        base = ReportBase.CUSTOM
    else:
        base = ReportBase(command.arguments["base"])
    report = await stations.expect_report(work, station_id=command.station_id, command_id=command.id, base=base)
    return {"report_number": report.number}


async def _check_profile(work: Work, command: Command) -> Arguments:
    """A station is never led to less security than it has (OCPP 2.0.1 A05), nor to an address that cannot keep it."""
    wanted = command.arguments
    profile, url = wanted["security_profile"], wanted["url"]
    if not 0 <= profile <= 3:
        raise Invalid(f"securityProfile is 0 to 3, not {profile}", field="securityProfile")
    if not url.startswith("wss://" if profile >= _TLS_FROM else ("ws://", "wss://")):
        raise Invalid(f"url {url!r} is no address for security profile {profile}", field="url")
    for name, field in (("slot", "slot"), ("message_timeout_s", "messageTimeoutS")):
        if wanted[name] < 0:
            raise Invalid(f"{field} is not below 0", field=field)
    told = await stations.values_of(work, station_id=command.station_id, names={"now": _SECURITY_PROFILE})
    now = told["now"]
    if now is not None and now.isdecimal() and profile < int(now):
        raise Conflict(f"the station has security profile {now}: it is not led to {profile}", field="securityProfile")
    return {}


_KINDS: Final[Mapping[CommandKind, Callable[[Work, Command], Awaitable[Arguments]]]] = {
    CommandKind.REMOTE_START: _number_start,
    CommandKind.GET_CONFIGURATION: _bound,
    CommandKind.GET_VARIABLES: _bound,
    CommandKind.SET_VARIABLES: _bound,
    CommandKind.GET_BASE_REPORT: _expect_report,
    CommandKind.GET_REPORT: _expect_report,
    CommandKind.SET_NETWORK_PROFILE: _check_profile,
}

"""What a station may be ordered to do, as clients write it: one member of `StationCommand` for each kind."""

from collections.abc import Awaitable, Callable
from dataclasses import is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import strawberry
from strawberry import Maybe
from strawberry.scalars import JSON

from domain import commands, reservations, sessions
from domain.commands import Command, CommandKind
from domain.errors import Invalid
from domain.local_lists import UpdateType
from domain.stations import AttributeType
from domain.work import Work
from resolvers.arguments import changes, row_id

strawberry.enum(
    AttributeType, description="Which of its values: what it is, what it is to become, what it may be set to."
)
strawberry.enum(UpdateType, description="All of a list, or what differs.")


@strawberry.enum(
    description="How hard a station restarts: SOFT when its charges are over (OCPP 2.x: OnIdle), HARD at once, "
    "IMMEDIATE_AND_RESUME at once with its charges going on afterwards (OCPP 2.1)."
)
class ResetType(StrEnum):
    SOFT = "SOFT"
    HARD = "HARD"
    IMMEDIATE_AND_RESUME = "IMMEDIATE_AND_RESUME"


@strawberry.enum(description="Whether a station, EVSE or connector is to take cars.")
class OperationalStatus(StrEnum):
    OPERATIVE = "OPERATIVE"
    INOPERATIVE = "INOPERATIVE"


@strawberry.enum(
    description="What a station can be asked to send. OCPP 1.6 knows the first four, FIRMWARE_STATUS_NOTIFICATION and "
    "DIAGNOSTICS_STATUS_NOTIFICATION (which is its own), and with its security extension "
    "LOG_STATUS_NOTIFICATION and SIGN_CERTIFICATE. SIGN_V2G20_CERTIFICATE and CUSTOM are of OCPP 2.1."
)
class TriggeredMessage(StrEnum):
    BOOT_NOTIFICATION = "BOOT_NOTIFICATION"
    HEARTBEAT = "HEARTBEAT"
    STATUS_NOTIFICATION = "STATUS_NOTIFICATION"
    METER_VALUES = "METER_VALUES"
    TRANSACTION_EVENT = "TRANSACTION_EVENT"
    FIRMWARE_STATUS_NOTIFICATION = "FIRMWARE_STATUS_NOTIFICATION"
    DIAGNOSTICS_STATUS_NOTIFICATION = "DIAGNOSTICS_STATUS_NOTIFICATION"
    LOG_STATUS_NOTIFICATION = "LOG_STATUS_NOTIFICATION"
    PUBLISH_FIRMWARE_STATUS_NOTIFICATION = "PUBLISH_FIRMWARE_STATUS_NOTIFICATION"
    SIGN_CERTIFICATE = "SIGN_CERTIFICATE"
    SIGN_V2G_CERTIFICATE = "SIGN_V2G_CERTIFICATE"
    SIGN_V2G20_CERTIFICATE = "SIGN_V2G20_CERTIFICATE"
    SIGN_COMBINED_CERTIFICATE = "SIGN_COMBINED_CERTIFICATE"
    CUSTOM = "CUSTOM"


@strawberry.input(description="Restart.")
class ResetInput:
    type: ResetType = strawberry.field(default=ResetType.SOFT, description="HARD interrupts running charges.")
    evse_number: int | None = strawberry.field(default=None, description="OCPP 2.x: this EVSE alone.")


@strawberry.input(description="Release a plug.")
class UnlockConnectorInput:
    evse_number: int
    connector_number: int = 1


@strawberry.input(description="Open or close for cars.")
class ChangeAvailabilityInput:
    operational_status: OperationalStatus
    evse_number: int | None = strawberry.field(default=None, description="Null: the whole station.")
    connector_number: int | None = strawberry.field(default=None, description="Null: the whole EVSE.")


@strawberry.input(description="Ask for a message.")
class TriggerMessageInput:
    message: TriggeredMessage
    evse_number: int | None = strawberry.field(default=None, description="Null: the station as a whole.")
    connector_number: int | None = None
    extended: bool | None = strawberry.field(
        default=None,
        description="OCPP 1.6: by its security extension's ExtendedTriggerMessage, also where TriggerMessage would do.",
    )
    custom: str | None = strawberry.field(default=None, description="The vendor's word for it, with CUSTOM.")


@strawberry.input(description="Read settings.")
class GetConfigurationInput:
    keys: list[str] | None = strawberry.field(
        default=None, description="Null: all of them (OCPP 1.6). OCPP 2.x: Component.Variable; see `getVariables`."
    )


@strawberry.input(description="Write a setting.")
class ChangeConfigurationInput:
    key: str = strawberry.field(description="OCPP 2.x: Component.Variable.")
    value: str


@strawberry.input(description="Begin a charge.")
class RemoteStartInput:
    token_uid: str = strawberry.field(description="Who charges.")
    evse_number: int | None = strawberry.field(default=None, description="Null: the station chooses.")


@strawberry.input(description="End a charge.")
class RemoteStopInput:
    session_id: strawberry.ID


@strawberry.input(description="Say something in the words of the vendor.")
class DataTransferInput:
    vendor_id: str
    message_id: str | None = None
    data: JSON | None = strawberry.field(
        default=None, description="Anything in OCPP 2.x; what is no text goes to OCPP 1.6 as the text of its JSON."
    )


@strawberry.input(description="Keep a place for a card.")
class ReserveNowInput:
    token_uid: str = strawberry.field(description="Who comes.")
    expires_at: datetime = strawberry.field(description="Until when it is kept.")
    evse_number: int | None = strawberry.field(default=None, description="Null: any that the station has free.")
    connector_type: str | None = strawberry.field(
        default=None, description="OCPP 2.x, where no EVSE is named: a word of the standard such as cCCS2 or sType2."
    )


@strawberry.input(description="Let a kept place go.")
class CancelReservationInput:
    reservation_id: strawberry.ID


@strawberry.input(description="A variable of OCPP 2.x's device model.")
class VariableInput:
    component: str
    variable: str
    component_instance: str | None = None
    variable_instance: str | None = None
    evse_number: int | None = strawberry.field(default=None, description="Where the component belongs to an EVSE.")
    connector_number: int | None = None
    attribute: AttributeType = AttributeType.ACTUAL


@strawberry.input(description="A variable of OCPP 2.x's device model, and what it is set to.")
class VariableValueInput:
    component: str
    variable: str
    value: str
    component_instance: str | None = None
    variable_instance: str | None = None
    evse_number: int | None = strawberry.field(default=None, description="Where the component belongs to an EVSE.")
    connector_number: int | None = None
    attribute: AttributeType = AttributeType.ACTUAL


@strawberry.input(description="Components to report of, or one variable of each.")
class ComponentInput:
    component: str
    variable: str | None = strawberry.field(default=None, description="Null: all of the component's.")
    component_instance: str | None = None
    variable_instance: str | None = None
    evse_number: int | None = strawberry.field(default=None, description="Where the component belongs to an EVSE.")
    connector_number: int | None = None


@strawberry.input(description="Read variables (OCPP 2.x), in as many messages as the station wants.")
class GetVariablesInput:
    variables: list[VariableInput]


@strawberry.input(description="Set variables (OCPP 2.x), in as many messages as the station wants.")
class SetVariablesInput:
    variables: list[VariableValueInput]


@strawberry.enum(description="FULL: everything. CONFIGURATION: what can be set. SUMMARY: what is out of order.")
class InventoryBase(StrEnum):
    FULL = "FULL"
    CONFIGURATION = "CONFIGURATION"
    SUMMARY = "SUMMARY"


@strawberry.input(description="Have the device model reported (OCPP 2.x). It comes after the answer: `Command.report`.")
class GetBaseReportInput:
    base: InventoryBase = InventoryBase.FULL


@strawberry.enum(description="Which components, by their state.")
class ComponentCriterion(StrEnum):
    ACTIVE = "ACTIVE"
    AVAILABLE = "AVAILABLE"
    ENABLED = "ENABLED"
    PROBLEM = "PROBLEM"


@strawberry.input(description="Have a part of the device model reported (OCPP 2.x). It comes after the answer.")
class GetReportInput:
    criteria: list[ComponentCriterion] | None = None
    variables: list[ComponentInput] | None = None


@strawberry.enum(description="What a station reaches us over.")
class NetworkInterface(StrEnum):
    WIRED_0 = "Wired0"
    WIRED_1 = "Wired1"
    WIRED_2 = "Wired2"
    WIRED_3 = "Wired3"
    WIRELESS_0 = "Wireless0"
    WIRELESS_1 = "Wireless1"
    WIRELESS_2 = "Wireless2"
    WIRELESS_3 = "Wireless3"


@strawberry.enum(description="How a station shows who it is to its mobile network.")
class ApnAuthentication(StrEnum):
    CHAP = "CHAP"
    NONE = "NONE"
    PAP = "PAP"
    AUTO = "AUTO"


@strawberry.enum(description="The kind of a private network.")
class VpnType(StrEnum):
    IKEV2 = "IKEv2"
    IPSEC = "IPSec"
    L2TP = "L2TP"
    PPTP = "PPTP"


@strawberry.input(description="A mobile network.")
class ApnInput:
    name: str
    authentication: ApnAuthentication
    user: str | None = None
    password: str | None = None
    sim_pin: int | None = None
    preferred_network: str | None = None
    use_only_preferred_network: bool | None = None


@strawberry.input(description="A private network.")
class VpnInput:
    server: str
    user: str
    password: str
    pre_shared_key: str
    type: VpnType
    group: str | None = None


@strawberry.input(
    description="Tell a station of an address at which it can reach us (OCPP 2.x). It takes it when its variable "
    "OCPPCommCtrlr.NetworkConfigurationPriority names the slot and it restarts."
)
class SetNetworkProfileInput:
    slot: int
    url: str = strawberry.field(description="ws:// or wss://, without the station's identity.")
    security_profile: int = strawberry.field(description="1 to 3; 2 and 3 want wss://. Never below the station's own.")
    interface: NetworkInterface = NetworkInterface.WIRED_0
    message_timeout_s: int = 30
    apn: ApnInput | None = None
    vpn: VpnInput | None = None


@strawberry.input(description="Ask whether a charge goes on, and whether messages wait (OCPP 2.x).")
class GetTransactionStatusInput:
    session_id: strawberry.ID | None = strawberry.field(
        default=None, description="Null: only whether messages of any charge wait."
    )


@strawberry.input(description="Write the list of tokens that a station keeps.")
class SendLocalListInput:
    update: UpdateType = strawberry.field(default=UpdateType.FULL, description="All of it, or what differs.")
    token_uids: list[str] | None = strawberry.field(
        default=None, description="These alone, in one message. Null: what the station's `localList` is to hold."
    )


@strawberry.input(one_of=True, description="An order to a station: exactly one of these.")
class StationCommand:
    reset: Maybe[ResetInput]
    unlock_connector: Maybe[UnlockConnectorInput]
    change_availability: Maybe[ChangeAvailabilityInput]
    trigger_message: Maybe[TriggerMessageInput]
    get_configuration: Maybe[GetConfigurationInput]
    change_configuration: Maybe[ChangeConfigurationInput]
    remote_start: Maybe[RemoteStartInput]
    remote_stop: Maybe[RemoteStopInput]
    clear_cache: Maybe[bool]
    data_transfer: Maybe[DataTransferInput]
    reserve_now: Maybe[ReserveNowInput]
    cancel_reservation: Maybe[CancelReservationInput]
    get_variables: Maybe[GetVariablesInput]
    set_variables: Maybe[SetVariablesInput]
    get_base_report: Maybe[GetBaseReportInput]
    get_report: Maybe[GetReportInput]
    set_network_profile: Maybe[SetNetworkProfileInput]
    get_transaction_status: Maybe[GetTransactionStatusInput]
    send_local_list: Maybe[SendLocalListInput]
    get_local_list_version: Maybe[bool]


async def requested(work: Work, station_id: UUID, command: StationCommand, queue_for_s: int | None) -> Command:
    """What is wrong with a member is named by its path in the operation."""
    ((name, order),) = changes(command).items()
    try:
        request = _OF_THEIR_OWN.get(type(order))
        if request is not None:
            return await request(work, station_id, order, queue_for_s)
        kind = CommandKind(name.upper())
        arguments = _arguments(order)
        return await commands.request(
            work, station_id=station_id, kind=kind, arguments=arguments, queue_for_s=queue_for_s
        )
    except Invalid as error:
        raise _within(f"command.{_camel(name)}", error) from None


def _within(path: str, error: Invalid) -> Invalid:
    field = error.details.get("field", "")
    if field.startswith(path):
        return error
    return Invalid(error.message, **{**error.details, "field": f"{path}.{field}".rstrip(".")})


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _arguments(order: Any) -> dict[str, Any]:
    """What was said, in the words of JSON."""
    if order is True:
        return {}
    if not is_dataclass(order):
        raise Invalid("it is ordered by true")
    return {name: _plain(value) for name, value in vars(order).items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return _arguments(value) if is_dataclass(value) else value


async def _remote_start(work: Work, station_id: UUID, order: RemoteStartInput, queue_for_s: int | None) -> Command:
    return await sessions.request_start(
        work,
        station_id=station_id,
        token_uid=order.token_uid,
        evse_number=order.evse_number,
        queue_for_s=queue_for_s,
    )


async def _remote_stop(work: Work, station_id: UUID, order: RemoteStopInput, queue_for_s: int | None) -> Command:
    session = await _session_here(work, station_id, order.session_id)
    return await sessions.request_stop(work, session_id=session.id, queue_for_s=queue_for_s)


async def _transaction_status(
    work: Work, station_id: UUID, order: GetTransactionStatusInput, queue_for_s: int | None
) -> Command:
    arguments = {}
    if order.session_id is not None:
        session = await _session_here(work, station_id, order.session_id)
        arguments = {"transaction_id": session.transaction_id, "session_id": str(session.id)}
    kind = CommandKind.GET_TRANSACTION_STATUS
    return await commands.request(work, station_id=station_id, kind=kind, arguments=arguments, queue_for_s=queue_for_s)


async def _session_here(work: Work, station_id: UUID, session_id: strawberry.ID) -> sessions.Session:
    session = await sessions.by_id(work, row_id(session_id, "sessionId"))
    if session.station_id != station_id:
        raise Invalid("the session is at another station", field="sessionId")
    return session


async def _reserve(work: Work, station_id: UUID, order: ReserveNowInput, queue_for_s: int | None) -> Command:
    return await reservations.request(
        work,
        station_id=station_id,
        token_uid=order.token_uid,
        expires_at=order.expires_at,
        evse_number=order.evse_number,
        connector_type=order.connector_type,
        queue_for_s=queue_for_s,
    )


async def _cancel(work: Work, station_id: UUID, order: CancelReservationInput, queue_for_s: int | None) -> Command:
    reservation = await reservations.by_id(work, row_id(order.reservation_id, "reservationId"))
    if reservation.station_id != station_id:
        raise Invalid("the reservation is at another station", field="reservationId")
    return await reservations.request_cancel(work, reservation_id=reservation.id, queue_for_s=queue_for_s)


# Those that are more than a command: a charge or a reservation belongs to them.
_OF_THEIR_OWN: dict[type, Callable[[Work, UUID, Any, int | None], Awaitable[Command]]] = {
    RemoteStartInput: _remote_start,
    RemoteStopInput: _remote_stop,
    GetTransactionStatusInput: _transaction_status,
    ReserveNowInput: _reserve,
    CancelReservationInput: _cancel,
}

"""OCPP 2.0.1, B06: those variables of a station that we need, as many at a time as it takes."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ocpp.v201 import call
from ocpp.v201.datatypes import ComponentType, GetVariableDataType, VariableType

from gateways.ocpp.link import Line
from gateways.ocpp.onboarding import Configuration

Name = tuple[str, str, str | None]
"""Component, variable and the variable's instance."""

_ITEMS: Final = ("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables")
_BYTES: Final = ("DeviceDataCtrlr", "BytesPerMessage", "GetVariables")
_NEEDED: Final[tuple[Name, ...]] = (
    ("DeviceDataCtrlr", "ItemsPerMessage", "GetReport"),
    ("DeviceDataCtrlr", "BytesPerMessage", "GetReport"),
    ("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables"),
    ("DeviceDataCtrlr", "BytesPerMessage", "SetVariables"),
    ("OCPPCommCtrlr", "HeartbeatInterval", None),
    ("OCPPCommCtrlr", "WebSocketPingInterval", None),
    ("OCPPCommCtrlr", "OfflineThreshold", None),
    ("OCPPCommCtrlr", "MessageTimeout", "Default"),
    ("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"),
    ("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"),
    ("OCPPCommCtrlr", "NetworkConfigurationPriority", None),
    ("OCPPCommCtrlr", "FileTransferProtocols", None),
    ("AuthCtrlr", "Enabled", None),
    ("AuthCtrlr", "AuthorizeRemoteStart", None),
    ("AuthCtrlr", "LocalAuthorizeOffline", None),
    ("AuthCtrlr", "LocalPreAuthorize", None),
    ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", None),
    ("AuthCacheCtrlr", "Enabled", None),
    ("LocalAuthListCtrlr", "Enabled", None),
    ("LocalAuthListCtrlr", "ItemsPerMessage", None),
    ("LocalAuthListCtrlr", "BytesPerMessage", None),
    ("SampledDataCtrlr", "TxUpdatedInterval", None),
    ("SampledDataCtrlr", "TxUpdatedMeasurands", None),
    ("SampledDataCtrlr", "TxStartedMeasurands", None),
    ("SampledDataCtrlr", "TxEndedMeasurands", None),
    ("SampledDataCtrlr", "TxEndedInterval", None),
    ("AlignedDataCtrlr", "Interval", None),
    ("AlignedDataCtrlr", "Measurands", None),
    ("TxCtrlr", "TxStartPoint", None),
    ("TxCtrlr", "TxStopPoint", None),
    ("TxCtrlr", "EVConnectionTimeOut", None),
    ("TxCtrlr", "StopTxOnEVSideDisconnect", None),
    ("TxCtrlr", "StopTxOnInvalidId", None),
    ("SmartChargingCtrlr", "Enabled", None),
    ("SmartChargingCtrlr", "ProfileStackLevel", None),
    ("SmartChargingCtrlr", "RateUnit", None),
    ("SmartChargingCtrlr", "PeriodsPerSchedule", None),
    ("SmartChargingCtrlr", "Entries", "ChargingProfiles"),
    ("SmartChargingCtrlr", "Phases3to1", None),
    ("ReservationCtrlr", "Enabled", None),
    ("SecurityCtrlr", "SecurityProfile", None),
    ("SecurityCtrlr", "OrganizationName", None),
)
_FEW: Final = 4  # at a time where it does not say how many it takes
_FRAME_BYTES: Final = 128  # of a message, and of an item beside its names
_ITEM_BYTES: Final = 72


async def read(line: Line) -> Configuration:
    told = await _ask(line, [_ITEMS])
    told |= await _ask(line, [_BYTES])
    items, size = (_number(told.get(_key(*name))) for name in (_ITEMS, _BYTES))
    for part in _parts(items or _FEW, size):
        told |= await _ask(line, part)
    return Configuration(told, has_report=True)


def _parts(items: int, size_bytes: int | None) -> Iterator[Sequence[Name]]:
    part: list[Name] = []
    room = size_bytes
    for name in _NEEDED:
        needs = _ITEM_BYTES + sum(len(word or "") for word in name)
        if part and (len(part) >= items or (room is not None and needs > room - _FRAME_BYTES)):
            yield part
            part, room = [], size_bytes
        part.append(name)
        room = None if room is None else room - needs
    yield part


async def _ask(line: Line, names: Sequence[Name]) -> dict[str, str | None]:
    wanted = [
        GetVariableDataType(component=ComponentType(name=component), variable=VariableType(variable, instance))
        for component, variable, instance in names
    ]
    answer: Any = await line.call(call.GetVariables(get_variable_data=wanted))
    return {
        _key(item.component.name, item.variable.name, item.variable.instance): item.attribute_value
        for item in answer.get_variable_result
        if item.attribute_status == "Accepted"
    }


def _key(component: str, variable: str, instance: str | None) -> str:
    return f"{component}.{variable}" + (f"/{instance}" if instance else "")


def _number(written: str | None) -> int | None:
    return int(written) if written is not None and written.strip().isdecimal() and int(written) > 0 else None

"""The device model of a simulated OCPP 2.0.1 station (part 2, appendix: referenced components and variables)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from gateways.sim.catalog import serial_of
from gateways.sim.charger import Charger
from gateways.sim.outlet import Outlet
from gateways.sim.settings import Kind, Setting, read, write
from gateways.sim.wire import Payload, moment

DATA_TYPE = {
    Kind.TEXT: "string",
    Kind.INTEGER: "integer",
    Kind.BOOLEAN: "boolean",
    Kind.MEASURANDS: "MemberList",
}
ITEMS_PER_MESSAGE = 20


@dataclass(frozen=True, slots=True)
class Variable:
    component: str
    name: str
    setting: Setting
    instance: str | None = None
    evse: int | None = None
    connector: int | None = None

    def key(self) -> tuple[object, ...]:
        return (self.component.lower(), self.evse, self.connector, self.name.lower(), (self.instance or "").lower())

    def address(self) -> tuple[Payload, Payload]:
        component: Payload = {"name": self.component}
        if self.evse is not None:
            component["evse"] = {"id": self.evse} | ({"connectorId": self.connector} if self.connector else {})
        return component, {"name": self.name} | ({"instance": self.instance} if self.instance else {})


def _fixed(text: str, kind: Kind = Kind.TEXT) -> Setting:
    return Setting(kind, fixed=text)


def _kept(attribute: str, kind: Kind = Kind.INTEGER) -> Setting:
    return Setting(kind, attribute, writable=True)


CONTROLLERS = (
    Variable("AuthCtrlr", "AuthorizeRemoteStart", _fixed("false", Kind.BOOLEAN)),
    Variable("AuthCtrlr", "Enabled", _fixed("true", Kind.BOOLEAN)),
    Variable("AuthCtrlr", "LocalAuthorizeOffline", _kept("authorizes_offline", Kind.BOOLEAN)),
    Variable("AuthCtrlr", "LocalPreAuthorize", _fixed("false", Kind.BOOLEAN)),
    Variable("AuthCacheCtrlr", "Enabled", _fixed("true", Kind.BOOLEAN)),
    Variable("DeviceDataCtrlr", "BytesPerMessage", _fixed("65536", Kind.INTEGER), instance="GetReport"),
    Variable("DeviceDataCtrlr", "BytesPerMessage", _fixed("65536", Kind.INTEGER), instance="GetVariables"),
    Variable("DeviceDataCtrlr", "BytesPerMessage", _fixed("65536", Kind.INTEGER), instance="SetVariables"),
    Variable("DeviceDataCtrlr", "ItemsPerMessage", _fixed(str(ITEMS_PER_MESSAGE), Kind.INTEGER), instance="GetReport"),
    Variable(
        "DeviceDataCtrlr", "ItemsPerMessage", _fixed(str(ITEMS_PER_MESSAGE), Kind.INTEGER), instance="GetVariables"
    ),
    Variable(
        "DeviceDataCtrlr", "ItemsPerMessage", _fixed(str(ITEMS_PER_MESSAGE), Kind.INTEGER), instance="SetVariables"
    ),
    Variable("OCPPCommCtrlr", "FileTransferProtocols", _fixed("HTTPS")),
    Variable("OCPPCommCtrlr", "HeartbeatInterval", _kept("heartbeat_s")),
    Variable("OCPPCommCtrlr", "MessageAttempts", _kept("attempts"), instance="TransactionEvent"),
    Variable("OCPPCommCtrlr", "MessageAttemptInterval", _kept("retry_s"), instance="TransactionEvent"),
    Variable("OCPPCommCtrlr", "MessageTimeout", _fixed("30", Kind.INTEGER), instance="Default"),
    Variable("OCPPCommCtrlr", "NetworkConfigurationPriority", _fixed("1")),
    Variable("OCPPCommCtrlr", "WebSocketPingInterval", _kept("ping_s")),
    Variable("ReservationCtrlr", "Available", _fixed("true", Kind.BOOLEAN)),
    Variable("ReservationCtrlr", "Enabled", _fixed("true", Kind.BOOLEAN)),
    Variable("ReservationCtrlr", "NonEvseSpecific", _fixed("true", Kind.BOOLEAN)),
    Variable("SampledDataCtrlr", "TxEndedInterval", _fixed("0", Kind.INTEGER)),
    Variable("SampledDataCtrlr", "TxEndedMeasurands", _kept("sampled_at_end", Kind.MEASURANDS)),
    Variable("SampledDataCtrlr", "TxStartedMeasurands", _fixed("Energy.Active.Import.Register", Kind.MEASURANDS)),
    Variable("SampledDataCtrlr", "TxUpdatedInterval", _kept("meter_interval_s")),
    Variable("SampledDataCtrlr", "TxUpdatedMeasurands", _kept("sampled", Kind.MEASURANDS)),
    Variable("SecurityCtrlr", "OrganizationName", _fixed("Voltgraph Simulation")),
    Variable("SecurityCtrlr", "SecurityProfile", _fixed("1", Kind.INTEGER)),
    Variable("TxCtrlr", "EVConnectionTimeOut", _kept("connection_timeout_s")),
    Variable("TxCtrlr", "StopTxOnEVSideDisconnect", _fixed("true", Kind.BOOLEAN)),
    Variable("TxCtrlr", "StopTxOnInvalidId", _kept("stops_on_invalid_token", Kind.BOOLEAN)),
    Variable("TxCtrlr", "TxStartPoint", _fixed("PowerPathClosed")),
    Variable("TxCtrlr", "TxStopPoint", _fixed("PowerPathClosed")),
)


def variables(charger: Charger) -> list[Variable]:
    """All there is, with today's values in the fixed ones."""
    make = charger.make
    station = [
        Variable("ChargingStation", "Available", _fixed("true", Kind.BOOLEAN)),
        Variable("ChargingStation", "AvailabilityState", _fixed("Available" if charger.operative else "Unavailable")),
        Variable("ChargingStation", "FirmwareVersion", _fixed(make.firmware)),
        Variable("ChargingStation", "Model", _fixed(make.model)),
        Variable("ChargingStation", "SerialNumber", _fixed(serial_of(charger.identity))),
        Variable("ChargingStation", "SupplyPhases", _fixed(str(make.supply.phases or 3), Kind.INTEGER)),
        Variable("ChargingStation", "VendorName", _fixed(make.vendor)),
        Variable("ClockCtrlr", "DateTime", _fixed(moment(datetime.now(UTC)))),
        Variable("ClockCtrlr", "TimeSource", _fixed("Heartbeat")),
        Variable("SecurityCtrlr", "Identity", _fixed(charger.identity)),
    ]
    return [*CONTROLLERS, *station, *(one for outlet in charger.outlets for one in _outlet(charger, outlet))]


def _outlet(charger: Charger, outlet: Outlet) -> list[Variable]:
    state, evse = _fixed(charger.dialect.word(outlet)), outlet.number
    return [
        Variable("EVSE", "Available", _fixed("true", Kind.BOOLEAN), evse=evse),
        Variable("EVSE", "AvailabilityState", state, evse=evse),
        Variable("EVSE", "Power", _fixed(str(int(outlet.supply.rated_w)), Kind.INTEGER), evse=evse),
        Variable("EVSE", "SupplyPhases", _fixed(str(outlet.supply.phases), Kind.INTEGER), evse=evse),
        Variable("Connector", "AvailabilityState", state, evse=evse, connector=1),
        Variable("Connector", "ConnectorType", _fixed(charger.make.connector_type), evse=evse, connector=1),
    ]


def find(charger: Charger, item: Payload) -> Variable | str:
    """The variable that an item of Get- or SetVariables names, or the AttributeStatus that says why not."""
    component, variable = item["component"], item["variable"]
    evse = component.get("evse", {})
    wanted = (
        component["name"].lower(),
        evse.get("id"),
        evse.get("connectorId"),
        variable["name"].lower(),
        variable.get("instance", "").lower(),
    )
    have = {one.key(): one for one in variables(charger)}
    if wanted in have:
        found = have[wanted]
        return found if item.get("attributeType", "Actual") == "Actual" else "NotSupportedAttributeType"
    known = any(key[:3] == wanted[:3] for key in have)
    return "UnknownVariable" if known else "UnknownComponent"


def get(charger: Charger, item: Payload) -> Payload:
    found = find(charger, item)
    result = {key: item[key] for key in ("component", "variable", "attributeType") if key in item}
    if isinstance(found, str):
        return result | {"attributeStatus": found}
    return result | {"attributeStatus": "Accepted", "attributeValue": read(charger.settings, found.setting)}


def put(charger: Charger, item: Payload) -> Payload:
    found = find(charger, item)
    result = {key: item[key] for key in ("component", "variable", "attributeType") if key in item}
    if isinstance(found, str):
        return result | {"attributeStatus": found}
    written = found.setting.writable and write(charger.settings, found.setting, item["attributeValue"])
    return result | {"attributeStatus": "Accepted" if written else "Rejected"}


def inventory(charger: Charger, *, writable_only: bool) -> list[Variable]:
    return [one for one in variables(charger) if one.setting.writable or not writable_only]


def matching(charger: Charger, named: list[Payload] | None) -> list[Variable]:
    """Those that items of GetReport name; an EVSE, a variable or an instance that an item does not name is any."""
    if named is None:
        return variables(charger)
    return [one for one in variables(charger) if any(_matches(one, item) for item in named)]


def _matches(one: Variable, item: Payload) -> bool:
    component, variable = item["component"], item.get("variable", {})
    evse = component.get("evse", {})
    wanted = (
        component["name"].lower(),
        evse.get("id"),
        evse.get("connectorId"),
        variable.get("name", "").lower() or None,
        variable.get("instance", "").lower() or None,
    )
    return all(part is None or part == own for part, own in zip(wanted, one.key(), strict=True))


def reports(charger: Charger, told: list[Variable], *, request_id: int) -> list[Payload]:
    """NotifyReport payloads, none larger than the station says it sends."""
    rows = [_row(charger, one) for one in told]
    parts = [rows[at : at + ITEMS_PER_MESSAGE] for at in range(0, len(rows), ITEMS_PER_MESSAGE)]
    return [
        {
            "requestId": request_id,
            "generatedAt": moment(datetime.now(UTC)),
            "reportData": part,
            "tbc": number + 1 < len(parts),
            "seqNo": number,
        }
        for number, part in enumerate(parts)
    ]


def _row(charger: Charger, one: Variable) -> Payload:
    component, variable = one.address()
    mutability = "ReadWrite" if one.setting.writable else "ReadOnly"
    return {
        "component": component,
        "variable": variable,
        "variableAttribute": [{"value": read(charger.settings, one.setting), "mutability": mutability}],
        "variableCharacteristics": {"dataType": DATA_TYPE[one.setting.kind], "supportsMonitoring": False},
    }

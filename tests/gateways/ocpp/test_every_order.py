"""Every order in every version: what goes out keeps to the standard, and what comes back is understood."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest

from domain.commands import (
    Command,
    CommandKind,
    CommandOutcome,
    CommandStatus,
    ConfigurationOutcome,
    DataTransferOutcome,
    Outcome,
    Setting,
    StatusOutcome,
    TransactionStatusOutcome,
    UnlockOutcome,
    UnlockStatus,
    VariablesOutcome,
    outcome_of,
)
from gateways.ocpp import Carrier, Version
from gateways.ocpp.orders import in_parts
from gateways.ocpp.schemas import Kind, form
from tests.gateways.ocpp.translating import PACKAGES

pytestmark = pytest.mark.anyio

K = CommandKind
V16, V201, V21 = Version.V16, Version.V201, Version.V21
V2 = (V201, V21)
ALL = (V16, *V2)

RESERVE = {
    "reservation_number": 7,
    "reservation_id": str(uuid4()),
    "token_uid": "CARD",
    "token_type": "ISO14443",
    "group_uid": "FLEET",
    "expires_at": "2026-06-01T12:00:00+00:00",
}
HEARTBEAT = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
PHASES = {
    "component": "EVSE",
    "evse_number": 1,
    "variable": "SupplyPhases",
    "variable_instance": "L",
    "attribute": None,
}
HEARTBEAT_SAID = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
PHASES_SAID = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "SupplyPhases", "instance": "L"}}
PROFILE = {
    "slot": 1,
    "url": "wss://csms.example/ocpp/acme",
    "security_profile": 2,
    "interface": "Wired0",
    "message_timeout_s": 30,
}
PROFILE_SAID = {
    "ocppTransport": "JSON",
    "ocppVersion": "OCPP20",
    "ocppCsmsUrl": "wss://csms.example/ocpp/acme",
    "messageTimeout": 30,
    "securityProfile": 2,
    "ocppInterface": "Wired0",
}
APN = {"name": "iot", "authentication": "PAP", "user": "u", "password": "p", "sim_pin": 1234}
VPN = {"server": "vpn.example", "user": "u", "password": "p", "pre_shared_key": "k", "type": "IKEv2"}

Case = tuple[tuple[Version, ...], CommandKind, dict[str, Any], str, dict[str, Any]]

# In which versions, what we order, and what the station hears: the action and the payload as it goes out.
CASES: list[Case] = [
    ((V16,), K.REMOTE_START, {"token_uid": "CARD"}, "RemoteStartTransaction", {"idTag": "CARD"}),
    (
        (V16,),
        K.REMOTE_START,
        {"token_uid": "CARD", "evse_number": 2},
        "RemoteStartTransaction",
        {"idTag": "CARD", "connectorId": 2},
    ),
    (
        V2,
        K.REMOTE_START,
        {"token_uid": "CARD", "token_type": "ISO14443", "evse_number": 2, "remote_start_number": 5},
        "RequestStartTransaction",
        {"idToken": {"idToken": "CARD", "type": "ISO14443"}, "evseId": 2, "remoteStartId": 5},
    ),
    ((V16,), K.REMOTE_STOP, {"transaction_id": "42"}, "RemoteStopTransaction", {"transactionId": 42}),
    (V2, K.REMOTE_STOP, {"transaction_id": "tx"}, "RequestStopTransaction", {"transactionId": "tx"}),
    ((V16,), K.RESET, {"type": "SOFT"}, "Reset", {"type": "Soft"}),
    ((V16,), K.RESET, {"type": "HARD"}, "Reset", {"type": "Hard"}),
    (V2, K.RESET, {"type": "SOFT"}, "Reset", {"type": "OnIdle"}),
    (V2, K.RESET, {"type": "HARD", "evse_number": 1}, "Reset", {"type": "Immediate", "evseId": 1}),
    ((V21,), K.RESET, {"type": "IMMEDIATE_AND_RESUME"}, "Reset", {"type": "ImmediateAndResume"}),
    ((V16,), K.UNLOCK_CONNECTOR, {"evse_number": 2}, "UnlockConnector", {"connectorId": 2}),
    (V2, K.UNLOCK_CONNECTOR, {"evse_number": 2}, "UnlockConnector", {"evseId": 2, "connectorId": 1}),
    (
        (V16,),
        K.CHANGE_AVAILABILITY,
        {"operational_status": "INOPERATIVE"},
        "ChangeAvailability",
        {"connectorId": 0, "type": "Inoperative"},
    ),
    (
        V2,
        K.CHANGE_AVAILABILITY,
        {"operational_status": "OPERATIVE", "evse_number": 1},
        "ChangeAvailability",
        {"operationalStatus": "Operative", "evse": {"id": 1}},
    ),
    *(
        ((V16,), K.TRIGGER_MESSAGE, {"message": ours}, "TriggerMessage", {"requestedMessage": word})
        for ours, word in {
            "BOOT_NOTIFICATION": "BootNotification",
            "DIAGNOSTICS_STATUS_NOTIFICATION": "DiagnosticsStatusNotification",
            "FIRMWARE_STATUS_NOTIFICATION": "FirmwareStatusNotification",
            "HEARTBEAT": "Heartbeat",
            "METER_VALUES": "MeterValues",
            "STATUS_NOTIFICATION": "StatusNotification",
        }.items()
    ),
    *(
        ((V16,), K.TRIGGER_MESSAGE, {"message": ours, **more}, "ExtendedTriggerMessage", {"requestedMessage": word})
        for ours, more, word in [
            ("LOG_STATUS_NOTIFICATION", {}, "LogStatusNotification"),
            ("SIGN_CERTIFICATE", {}, "SignChargePointCertificate"),
            ("FIRMWARE_STATUS_NOTIFICATION", {"extended": True}, "FirmwareStatusNotification"),
        ]
    ),
    *(
        (V2, K.TRIGGER_MESSAGE, {"message": ours, "evse_number": 1}, "TriggerMessage", {**said, "evse": {"id": 1}})
        for ours, said in {
            "BOOT_NOTIFICATION": {"requestedMessage": "BootNotification"},
            "FIRMWARE_STATUS_NOTIFICATION": {"requestedMessage": "FirmwareStatusNotification"},
            "HEARTBEAT": {"requestedMessage": "Heartbeat"},
            "LOG_STATUS_NOTIFICATION": {"requestedMessage": "LogStatusNotification"},
            "METER_VALUES": {"requestedMessage": "MeterValues"},
            "PUBLISH_FIRMWARE_STATUS_NOTIFICATION": {"requestedMessage": "PublishFirmwareStatusNotification"},
            "SIGN_CERTIFICATE": {"requestedMessage": "SignChargingStationCertificate"},
            "SIGN_COMBINED_CERTIFICATE": {"requestedMessage": "SignCombinedCertificate"},
            "SIGN_V2G_CERTIFICATE": {"requestedMessage": "SignV2GCertificate"},
            "STATUS_NOTIFICATION": {"requestedMessage": "StatusNotification"},
            "TRANSACTION_EVENT": {"requestedMessage": "TransactionEvent"},
        }.items()
    ),
    (
        (V21,),
        K.TRIGGER_MESSAGE,
        {"message": "SIGN_V2G20_CERTIFICATE"},
        "TriggerMessage",
        {"requestedMessage": "SignV2G20Certificate"},
    ),
    (
        (V21,),
        K.TRIGGER_MESSAGE,
        {"message": "CUSTOM", "custom": "acme.fan"},
        "TriggerMessage",
        {"requestedMessage": "CustomTrigger", "customTrigger": "acme.fan"},
    ),
    ((V16,), K.GET_CONFIGURATION, {}, "GetConfiguration", {}),
    ((V16,), K.GET_CONFIGURATION, {"keys": ["A"]}, "GetConfiguration", {"key": ["A"]}),
    (
        V2,
        K.GET_CONFIGURATION,
        {"keys": ["OCPPCommCtrlr.HeartbeatInterval"]},
        "GetVariables",
        {"getVariableData": [HEARTBEAT_SAID]},
    ),
    ((V16,), K.CHANGE_CONFIGURATION, {"key": "A", "value": "1"}, "ChangeConfiguration", {"key": "A", "value": "1"}),
    (
        V2,
        K.CHANGE_CONFIGURATION,
        {"key": "OCPPCommCtrlr.HeartbeatInterval", "value": "9"},
        "SetVariables",
        {"setVariableData": [{**HEARTBEAT_SAID, "attributeValue": "9"}]},
    ),
    (ALL, K.CLEAR_CACHE, {}, "ClearCache", {}),
    (
        ALL,
        K.DATA_TRANSFER,
        {"vendor_id": "acme", "message_id": "fan", "data": "on"},
        "DataTransfer",
        {"vendorId": "acme", "messageId": "fan", "data": "on"},
    ),
    (
        (V16,),
        K.DATA_TRANSFER,
        {"vendor_id": "acme", "data": {"fan": [1]}},
        "DataTransfer",
        {"vendorId": "acme", "data": '{"fan":[1]}'},
    ),
    (
        V2,
        K.DATA_TRANSFER,
        {"vendor_id": "acme", "data": {"fan": [1]}},
        "DataTransfer",
        {"vendorId": "acme", "data": {"fan": [1]}},
    ),
    (
        (V16,),
        K.RESERVE_NOW,
        {**RESERVE, "evse_number": 1},
        "ReserveNow",
        {
            "connectorId": 1,
            "expiryDate": "2026-06-01T12:00:00.000Z",
            "idTag": "CARD",
            "parentIdTag": "FLEET",
            "reservationId": 7,
        },
    ),
    (
        (V16,),
        K.RESERVE_NOW,
        {**RESERVE, "group_uid": "X" * 21},
        "ReserveNow",
        {"connectorId": 0, "expiryDate": "2026-06-01T12:00:00.000Z", "idTag": "CARD", "reservationId": 7},
    ),
    (
        V2,
        K.RESERVE_NOW,
        {**RESERVE, "connector_type": "cCCS2"},
        "ReserveNow",
        {
            "id": 7,
            "expiryDateTime": "2026-06-01T12:00:00.000Z",
            "idToken": {"idToken": "CARD", "type": "ISO14443"},
            "groupIdToken": {"idToken": "FLEET", "type": "Central"},
            "connectorType": "cCCS2",
        },
    ),
    (ALL, K.CANCEL_RESERVATION, {"reservation_number": 7}, "CancelReservation", {"reservationId": 7}),
    (ALL, K.GET_LOCAL_LIST_VERSION, {}, "GetLocalListVersion", {}),
    (
        (V16,),
        K.SEND_LOCAL_LIST,  # see test_local_lists.py
        {"version": 1, "update": "FULL", "entries": []},
        "SendLocalList",
        {"listVersion": 1, "updateType": "Full", "localAuthorizationList": []},
    ),
    (
        V2,
        K.SEND_LOCAL_LIST,
        {"version": 1, "update": "FULL", "entries": []},
        "SendLocalList",
        {"versionNumber": 1, "updateType": "Full"},
    ),
    (
        V2,
        K.GET_VARIABLES,
        {"variables": [HEARTBEAT, {**PHASES, "attribute": "MAX_SET"}]},
        "GetVariables",
        {"getVariableData": [HEARTBEAT_SAID, {**PHASES_SAID, "attributeType": "MaxSet"}]},
    ),
    (
        V2,
        K.SET_VARIABLES,
        {"variables": [{**HEARTBEAT, "value": "9"}, {**PHASES, "attribute": "TARGET", "value": "1"}]},
        "SetVariables",
        {
            "setVariableData": [
                {**HEARTBEAT_SAID, "attributeValue": "9"},
                {**PHASES_SAID, "attributeType": "Target", "attributeValue": "1"},
            ]
        },
    ),
    *(
        (
            V2,
            K.GET_BASE_REPORT,
            {"base": ours, "report_number": 3},
            "GetBaseReport",
            {"requestId": 3, "reportBase": word},
        )
        for ours, word in {
            "FULL": "FullInventory",
            "CONFIGURATION": "ConfigurationInventory",
            "SUMMARY": "SummaryInventory",
        }.items()
    ),
    (
        V2,
        K.GET_REPORT,
        {"report_number": 3, "criteria": ["PROBLEM", "ACTIVE"], "variables": [HEARTBEAT, {"component": "EVSE"}]},
        "GetReport",
        {
            "requestId": 3,
            "componentCriteria": ["Problem", "Active"],
            "componentVariable": [HEARTBEAT_SAID, {"component": {"name": "EVSE"}}],
        },
    ),
    (V2, K.GET_REPORT, {"report_number": 3}, "GetReport", {"requestId": 3}),
    (V2, K.SET_NETWORK_PROFILE, PROFILE, "SetNetworkProfile", {"configurationSlot": 1, "connectionData": PROFILE_SAID}),
    (
        V2,
        K.SET_NETWORK_PROFILE,
        {**PROFILE, "apn": APN, "vpn": VPN},
        "SetNetworkProfile",
        {
            "configurationSlot": 1,
            "connectionData": {
                **PROFILE_SAID,
                "apn": {
                    "apn": "iot",
                    "apnAuthentication": "PAP",
                    "apnUserName": "u",
                    "apnPassword": "p",
                    "simPin": 1234,
                },
                "vpn": {"server": "vpn.example", "user": "u", "password": "p", "key": "k", "type": "IKEv2"},
            },
        },
    ),
    (V2, K.GET_TRANSACTION_STATUS, {}, "GetTransactionStatus", {}),
    (V2, K.GET_TRANSACTION_STATUS, {"transaction_id": "tx"}, "GetTransactionStatus", {"transactionId": "tx"}),
]
EACH: list[tuple[Version, CommandKind, dict[str, Any], str, dict[str, Any]]] = [
    (version, kind, given, action, said) for versions, kind, given, action, said in CASES for version in versions
]


@dataclass
class Line:
    """What a station hears, as it would go out; and what it answers, as it would come."""

    version: Version
    answers: list[dict[str, Any]]

    def __post_init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    async def call(self, request: Any, **_: Any) -> Any:
        action = type(request).__name__
        written = form(self.version, action, Kind.REQUEST)
        payload = written.write(request)
        written.check(payload)
        self.heard.append((action, orjson.loads(orjson.dumps(payload))))
        return form(self.version, action, Kind.RESPONSE).read(self.answers.pop(0)).message


async def ordered(
    version: Version, kind: CommandKind, arguments: dict[str, Any], *answers: dict[str, Any]
) -> tuple[Outcome, Line]:
    line = Line(version, list(answers))
    outcome = await Carrier().carry_out(
        line,  # type: ignore[arg-type]
        PACKAGES[version],
        command_id=uuid4(),
        kind=kind,
        arguments=arguments,
        timeout_s=20,
    )
    return outcome, line


def understood(kind: CommandKind, outcome: Outcome) -> CommandOutcome | None:
    now = datetime.now(UTC)
    command = Command(station_id=uuid4(), kind=kind, actor="t", created_at=now, deadline_at=now)
    command.status, command.result = CommandStatus(outcome.status), outcome.result
    return outcome_of(command)


def requests(version: Version, kind: CommandKind, arguments: dict[str, Any]) -> list[Any]:
    made = PACKAGES[version].ORDERS[kind](arguments)
    return made if isinstance(made, list) else [made]


@pytest.mark.parametrize(("version", "kind", "arguments", "action", "payload"), EACH)
def test_an_order_goes_out_as_the_standard_has_it(
    version: Version, kind: CommandKind, arguments: dict[str, Any], action: str, payload: dict[str, Any]
) -> None:
    (request,) = requests(version, kind, arguments)
    written = form(version, action, Kind.REQUEST)
    said = written.write(request)
    written.check(said)
    assert (type(request).__name__, orjson.loads(orjson.dumps(said))) == (action, payload)


def test_every_order_of_every_version_has_a_case() -> None:
    tried = {(version, kind) for version, kind, *_ in EACH}
    assert tried == {(version, kind) for version, package in PACKAGES.items() for kind in package.ORDERS}
    assert {kind for _, kind in tried} == set(CommandKind)


@pytest.mark.parametrize(
    ("version", "kind", "arguments", "error"),
    [
        (V16, K.GET_VARIABLES, {"variables": [HEARTBEAT]}, "OCPP 1.6 has no word for GET_VARIABLES"),
        (V16, K.GET_BASE_REPORT, {"base": "FULL", "report_number": 1}, "OCPP 1.6 has no word for GET_BASE_REPORT"),
        (V16, K.RESET, {"type": "IMMEDIATE_AND_RESUME"}, "OCPP 1.6 knows no reset IMMEDIATE_AND_RESUME"),
        (V201, K.RESET, {"type": "IMMEDIATE_AND_RESUME"}, "OCPP 2.0.1 knows no reset IMMEDIATE_AND_RESUME"),
        (V16, K.TRIGGER_MESSAGE, {"message": "TRANSACTION_EVENT"}, "OCPP 1.6 cannot trigger TRANSACTION_EVENT"),
        (V201, K.TRIGGER_MESSAGE, {"message": "CUSTOM"}, "OCPP 2.0.1 cannot trigger CUSTOM"),
        (V16, K.RESERVE_NOW, {**RESERVE, "connector_type": "cCCS2"}, "OCPP 1.6 cannot keep a kind of connector"),
        (V16, K.RESERVE_NOW, {**RESERVE, "token_uid": "X" * 21}, "ReserveNow idTag"),
    ],
)
async def test_what_a_version_cannot_say_fails_before_anything_is_said(
    version: Version, kind: CommandKind, arguments: dict[str, Any], error: str
) -> None:
    outcome, line = await ordered(version, kind, arguments)
    assert (outcome.status, line.heard) == ("FAILED", [])
    assert error in (outcome.error or "")


@pytest.mark.parametrize(
    ("version", "kind", "answer", "status", "typed"),
    [
        *((v, K.CLEAR_CACHE, {"status": "Rejected"}, "REJECTED", StatusOutcome("Rejected")) for v in ALL),
        *((v, K.CHANGE_AVAILABILITY, {"status": "Scheduled"}, "ACCEPTED", StatusOutcome("Scheduled")) for v in ALL),
        *(
            (
                v,
                K.RESET,
                {"status": "Rejected", "statusInfo": {"reasonCode": "TxInProgress", "additionalInfo": "busy"}},
                "REJECTED",
                StatusOutcome("Rejected", "TxInProgress", "busy"),
            )
            for v in V2
        ),
        (
            V16,
            K.UNLOCK_CONNECTOR,
            {"status": "NotSupported"},
            "REJECTED",
            UnlockOutcome("NotSupported", UnlockStatus.NOT_SUPPORTED),
        ),
        (V16, K.UNLOCK_CONNECTOR, {"status": "Unlocked"}, "ACCEPTED", UnlockOutcome("Unlocked", UnlockStatus.UNLOCKED)),
        *(
            (
                v,
                K.UNLOCK_CONNECTOR,
                {"status": "OngoingAuthorizedTransaction"},
                "REJECTED",
                UnlockOutcome("OngoingAuthorizedTransaction", UnlockStatus.ONGOING_TRANSACTION),
            )
            for v in V2
        ),
        (
            V16,
            K.GET_CONFIGURATION,
            {"configurationKey": [{"key": "A", "readonly": True, "value": "1"}], "unknownKey": ["B"]},
            "ACCEPTED",
            ConfigurationOutcome([Setting("A", "1", True)], ["B"]),
        ),
        (V16, K.RESERVE_NOW, {"status": "Occupied"}, "REJECTED", StatusOutcome("Occupied")),
        (V16, K.DATA_TRANSFER, {"status": "Accepted", "data": "ok"}, "ACCEPTED", DataTransferOutcome("Accepted", "ok")),
        *(
            (
                v,
                K.DATA_TRANSFER,
                {"status": "Accepted", "data": {"fan": 1}},
                "ACCEPTED",
                DataTransferOutcome("Accepted", {"fan": 1}),
            )
            for v in V2
        ),
        *(
            (
                v,
                K.DATA_TRANSFER,
                {"status": "UnknownVendorId"},
                "REJECTED",
                DataTransferOutcome("UnknownVendorId", None),
            )
            for v in ALL
        ),
        *(
            (
                v,
                K.GET_TRANSACTION_STATUS,
                {"ongoingIndicator": True, "messagesInQueue": False},
                "ACCEPTED",
                TransactionStatusOutcome(True, False),
            )
            for v in V2
        ),
        *(
            (v, K.GET_BASE_REPORT, {"status": "EmptyResultSet"}, "REJECTED", StatusOutcome("EmptyResultSet"))
            for v in V2
        ),
        *((v, K.SET_NETWORK_PROFILE, {"status": "Failed"}, "REJECTED", StatusOutcome("Failed")) for v in V2),
    ],
)
async def test_an_answer_is_understood(
    version: Version, kind: CommandKind, answer: dict[str, Any], status: str, typed: CommandOutcome
) -> None:
    arguments = next(given for spoken, ordered_kind, given, *_ in EACH if (spoken, ordered_kind) == (version, kind))
    outcome, _ = await ordered(version, kind, arguments, answer)
    assert (outcome.status, understood(kind, outcome)) == (status, typed)


def variable(number: int) -> dict[str, Any]:
    return {"component": "Ctrlr", "variable": f"V{number}", "value": "x"}


def said(number: int, **more: Any) -> dict[str, Any]:
    return {"component": {"name": "Ctrlr"}, "variable": {"name": f"V{number}"}, **more}


@pytest.mark.parametrize("version", V2)
async def test_variables_are_asked_for_in_messages_of_the_size_that_the_station_takes(version: Version) -> None:
    """TC_B_08 of the standard's test cases."""
    arguments = {"variables": [variable(number) for number in range(5)], "items_per_message": 2}
    answers = [
        {"getVariableResult": [said(n, attributeStatus="Accepted", attributeValue=str(n)) for n in part]}
        for part in ([0, 1], [2, 3], [4])
    ]
    outcome, line = await ordered(version, K.GET_VARIABLES, arguments, *answers)

    assert [len(payload["getVariableData"]) for _, payload in line.heard] == [2, 2, 1]
    typed = understood(K.GET_VARIABLES, outcome)
    assert isinstance(typed, VariablesOutcome)
    assert [(one.variable, one.status, one.value) for one in typed.variables] == [
        (f"V{n}", "Accepted", str(n)) for n in range(5)
    ]


async def test_a_message_is_no_longer_than_the_station_takes() -> None:
    arguments = {"variables": [variable(number) for number in range(20)], "bytes_per_message": 500}
    sent = requests(V201, K.SET_VARIABLES, arguments)
    sizes = [len(orjson.dumps(form(V201, "SetVariables", Kind.REQUEST).write(one))) for one in sent]
    assert max(sizes) <= 500
    assert len(sent) < 20
    assert sum(len(one.set_variable_data) for one in sent) == 20


def test_an_item_that_is_too_long_goes_alone() -> None:
    assert in_parts(["a", "b" * 900, "c"], {"bytes_per_message": 300}, len) == [["a"], ["b" * 900], ["c"]]
    assert in_parts([], {}, len) == []


async def test_what_was_not_set_is_told_one_by_one() -> None:
    arguments = {"variables": [variable(0), variable(1), variable(2)]}
    answer = {
        "setVariableResult": [
            said(0, attributeStatus="Accepted"),
            said(1, attributeStatus="RebootRequired"),
            said(2, attributeStatus="Rejected"),
        ]
    }
    outcome, _ = await ordered(V201, K.SET_VARIABLES, arguments, answer)
    assert (outcome.status, outcome.error) == ("REJECTED", "the station did not take Ctrlr.V2: Rejected")
    typed = understood(K.SET_VARIABLES, outcome)
    assert isinstance(typed, VariablesOutcome)
    assert [one.status for one in typed.variables] == ["Accepted", "RebootRequired", "Rejected"]

"""What is understood of a payload, what is forgiven, and what is not."""

import json
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from typing import Any
from uuid import uuid4

import pytest
from ocpp.v16 import call as v16
from ocpp.v16 import call_result as result_v16
from ocpp.v201 import call as v201
from ocpp.v201 import datatypes as types_v201
from structlog.testing import capture_logs

from domain.errors import Invalid
from gateways.ocpp.deviations import Deviation, DeviationLog
from gateways.ocpp.frames import Code, Fault, Version
from gateways.ocpp.schemas import Kind, Reading, actions, form
from tests.gateways.ocpp.wire import counted

V16, V201, V21 = Version.V16, Version.V201, Version.V21

START = {"connectorId": 1, "idTag": "DEMO", "meterStart": 5, "timestamp": "2026-11-21T08:00:00Z"}
STOP = {"transactionId": 7, "meterStop": 900, "timestamp": "2026-11-21T09:00:00Z"}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
EVENT = {
    "eventType": "Started",
    "timestamp": "2026-11-21T08:00:00Z",
    "triggerReason": "Authorized",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "T1"},
}
SAMPLE = {"value": "1", "unit": "Wh"}


def read(version: Version, action: str, payload: dict[str, Any]) -> Reading:
    return form(version, action, Kind.REQUEST).read(payload)


def kinds(reading: Reading) -> set[tuple[str, str]]:
    return {(deviation.kind, deviation.path) for deviation in reading.deviations}


@pytest.mark.parametrize(("version", "known"), [(V16, 39), (V201, 64), (V21, 91)])
def test_every_message_of_a_version_is_known(version: Version, known: int) -> None:
    assert len(actions(version)) == known
    assert {"Heartbeat", "Reset", "DataTransfer"} <= actions(version)


def an_example(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Every property there is, each of its type."""
    if "$ref" in schema:
        return an_example(root["definitions"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "enum" in schema:
        return schema["enum"][0]
    examples: dict[str | None, Any] = {
        "object": lambda: {key: an_example(below, root) for key, below in schema.get("properties", {}).items()},
        "array": lambda: [an_example(schema["items"], root)] * schema.get("minItems", 1),
        "integer": lambda: min(max(schema.get("minimum", 1), 1), schema.get("maximum", 1)),
        "number": lambda: min(max(schema.get("minimum", 1), 1), schema.get("maximum", 1)),
        "boolean": lambda: True,
        "string": lambda: "x",
        None: lambda: {"AnyThing": [None, {"ofItsOwn": 1}]},
    }
    return examples[schema.get("type")]()


def every_form() -> list[tuple[Version, str, Kind]]:
    every = [(version, action, kind) for version in Version for action in sorted(actions(version)) for kind in Kind]
    return [one for one in every if one != (V21, "NotifyPeriodicEventStream", Kind.RESPONSE)]  # there is none


def without_custom_data(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_custom_data(item) for key, item in value.items() if key != "customData"}
    return [without_custom_data(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("version", "action", "kind"), every_form())
def test_a_message_with_all_it_may_hold_comes_out_as_it_went_in(version: Version, action: str, kind: Kind) -> None:
    package = {V16: "v16", V201: "v201", V21: "v21"}[version]
    unsuffixed = version is V16 or action == "NotifyPeriodicEventStream"
    suffix = "Response" if kind is Kind.RESPONSE else "" if unsuffixed else "Request"
    file = files(f"ocpp.{package}") / "schemas" / f"{action}{suffix}.json"
    schema = json.loads(file.read_text("utf-8-sig"))
    payload = an_example(schema, schema)
    if version is V201:  # the package's datatypes have none below the message itself; the raw payload has them
        payload |= {key: without_custom_data(item) for key, item in payload.items() if key != "customData"}

    its = form(version, action, kind)
    its.check(payload)
    reading = its.read(payload)

    assert list(reading.deviations) == []
    assert type(reading.message).__name__ == ("dict" if action == "NotifyPeriodicEventStream" else action)
    assert its.write(reading.message) == payload


def test_1_6_gives_nested_objects_as_dicts_in_snake_case() -> None:
    sampled = [{"value": "7", "measurand": "SoC"}]
    message = read(V16, "MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": sampled}]})
    assert message.message == v16.MeterValues(
        connector_id=1, meter_value=[{"timestamp": "t", "sampled_value": [{"value": "7", "measurand": "SoC"}]}]
    )


def test_2_x_gives_nested_objects_as_the_dataclasses_that_the_annotations_name() -> None:
    message = read(V201, "TransactionEvent", {**EVENT, "evse": {"id": 1, "connectorId": 2}}).message
    assert message.transaction_info == types_v201.TransactionType(transaction_id="T1")
    assert message.evse == types_v201.EVSEType(id=1, connector_id=2)


def test_keys_of_a_vendors_own_are_not_mangled_in_custom_data_and_dropped_elsewhere() -> None:
    custom = {"vendorId": "com.acme", "fooBar": {"BazQux": None, "x_y": [1]}}
    reading = read(V201, "Heartbeat", {"customData": custom, "acmeKey": 1})
    assert reading.message == v201.Heartbeat(custom_data=custom)
    assert kinds(reading) == {("extra", "acmeKey")}
    assert form(V201, "Heartbeat", Kind.REQUEST).write(reading.message) == {"customData": custom}


@pytest.mark.parametrize(
    ("action", "payload", "expected", "deviations"),
    [
        ("StartTransaction", {**START, "idTag": "x" * 40}, {"id_tag": "x" * 40}, {("length", "idTag")}),
        ("StartTransaction", {**START, "acme": {"a": 1}}, {}, {("extra", "acme")}),
        ("StartTransaction", {**START, "connectorId": "1"}, {"connector_id": 1}, {("type", "connectorId")}),
        ("StartTransaction", {**START, "meterStart": 1234.5}, {"meter_start": 1234}, {("type", "meterStart")}),
        ("StartTransaction", {**START, "meterStart": "12,7"}, {"meter_start": 13}, {("type", "meterStart")}),
        ("StartTransaction", {**START, "idTag": 4711}, {"id_tag": "4711"}, {("type", "idTag")}),
        ("StartTransaction", {**START, "reservationId": None}, {"reservation_id": None}, {("null", "reservationId")}),
        ("StartTransaction", {**START, "reservationId": "none"}, {"reservation_id": None}, {("type", "reservationId")}),
        ("StartTransaction", {**START, "timestamp": "yesterday"}, {"timestamp": "yesterday"}, set()),
        ("StatusNotification", {**STATUS, "errorCode": "Error"}, {"error_code": "Error"}, {("enum", "errorCode")}),
        ("StatusNotification", {**STATUS, "status": "available "}, {"status": "Available"}, {("enum", "status")}),
        ("StatusNotification", {**STATUS, "info": "i" * 80}, {"info": "i" * 80}, {("length", "info")}),
        ("StopTransaction", {**STOP, "reason": "Coffee"}, {"reason": "Coffee"}, {("enum", "reason")}),
        ("StopTransaction", {**STOP, "transactionData": {"timestamp": "t", "sampledValue": [SAMPLE]}},
         {"transaction_data": [{"timestamp": "t", "sampled_value": [SAMPLE]}]}, {("type", "transactionData")}),
        ("DataTransfer", {"vendorId": "a", "data": {"k": [1]}}, {"data": '{"k":[1]}'}, {("type", "data")}),
    ],
)  # fmt: skip
def test_deviations_that_leave_a_meaning_are_forgiven(
    action: str, payload: dict[str, Any], expected: dict[str, Any], deviations: set[tuple[str, str]]
) -> None:
    reading = read(V16, action, payload)
    for name, value in expected.items():
        assert getattr(reading.message, name) == value
    assert kinds(reading) == deviations


def test_units_and_measurands_of_a_stations_own_are_kept() -> None:
    odd = {"value": 50, "unit": "Hz", "measurand": "Grid.Mood", "context": "sample.periodic", "acme": 1}
    reading = read(V16, "MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [odd]}]})
    assert reading.message.meter_value[0]["sampled_value"] == [
        {"value": "50", "unit": "Hz", "measurand": "Grid.Mood", "context": "Sample.Periodic"}
    ]
    at = "meterValue[].sampledValue[]."
    assert kinds(reading) == {
        ("type", f"{at}value"),
        ("enum", f"{at}unit"),
        ("enum", f"{at}measurand"),
        ("enum", f"{at}context"),
        ("extra", f"{at}acme"),
    }


def test_a_sample_without_value_costs_itself_alone() -> None:
    values = [
        {"timestamp": "a", "sampledValue": [{"unit": "Wh"}, SAMPLE, {"value": {"no": 1}}]},
        {"timestamp": "b", "sampledValue": [{"unit": "Wh"}]},
    ]
    reading = read(V16, "MeterValues", {"connectorId": 1, "meterValue": values})
    assert reading.message.meter_value == [{"timestamp": "a", "sampled_value": [SAMPLE]}]


def test_an_optional_part_that_cannot_be_used_costs_itself_alone() -> None:
    payload = {**STOP, "transactionData": [{"timestamp": "a", "sampledValue": [{"unit": "Wh"}]}]}
    assert read(V16, "StopTransaction", payload).message.transaction_data is None
    event = read(V201, "TransactionEvent", {**EVENT, "evse": {"connectorId": 1}, "customData": {"a": 1}}).message
    assert (event.evse, event.custom_data) == (None, None)


@pytest.mark.parametrize(
    ("version", "action", "payload", "missing"),
    [
        (V16, "StartTransaction", {"connectorId": 1}, ["id_tag", "meter_start", "timestamp"]),
        (V16, "StartTransaction", {**START, "meterStart": "full", "timestamp": None}, ["meter_start", "timestamp"]),
        (V16, "StopTransaction", {}, ["transaction_id", "meter_stop", "timestamp"]),
        (V201, "TransactionEvent", {"eventType": "Ended", "transactionInfo": {"transactionId": "T"}},
         ["timestamp", "trigger_reason", "seq_no"]),
    ],
)  # fmt: skip
def test_a_charge_is_understood_without_much_that_is_required(
    version: Version, action: str, payload: dict[str, Any], missing: list[str]
) -> None:
    reading = read(version, action, payload)
    assert [getattr(reading.message, name) for name in missing] == [None] * len(missing)
    assert {kind for kind, _ in kinds(reading)} <= {"missing", "null", "type"}


def test_a_meter_value_without_a_time_is_kept() -> None:
    reading = read(V16, "MeterValues", {"transactionId": 3, "meterValue": [{"sampledValue": [SAMPLE]}]})
    assert reading.message.connector_id is None
    assert reading.message.meter_value == [{"timestamp": None, "sampled_value": [SAMPLE]}]


@pytest.mark.parametrize(
    ("version", "action", "payload", "code"),
    [
        (V16, "StartTransaction", {"idTag": "x"}, Code.OCCURRENCE_CONSTRAINT_VIOLATION),
        (V16, "BootNotification", {"chargePointModel": "m"}, Code.OCCURRENCE_CONSTRAINT_VIOLATION),
        (V16, "BootNotification", {"chargePointModel": "m", "chargePointVendor": {"a": 1}},
         Code.TYPE_CONSTRAINT_VIOLATION),
        (V16, "StatusNotification", {**STATUS, "connectorId": "one"}, Code.TYPE_CONSTRAINT_VIOLATION),
        (V16, "StatusNotification", {**STATUS, "connectorId": None}, Code.TYPE_CONSTRAINT_VIOLATION),
        (V16, "MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{}]}]},
         Code.OCCURRENCE_CONSTRAINT_VIOLATION),
        (V201, "TransactionEvent", {**EVENT, "eventType": "Paused"}, Code.PROPERTY_CONSTRAINT_VIOLATION),
        (V201, "TransactionEvent", {**EVENT, "transactionInfo": {}}, Code.OCCURRENCE_CONSTRAINT_VIOLATION),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_used_is_refused_by_the_right_name(
    version: Version, action: str, payload: dict[str, Any], code: Code
) -> None:
    with pytest.raises(Fault) as refused:
        read(version, action, payload)
    assert refused.value.code is code


def test_a_payload_is_not_changed_by_being_read() -> None:
    payload = {**START, "connectorId": "1", "reservationId": None, "acme": {"a": None}}
    read(V16, "StartTransaction", payload)
    assert payload == {**START, "connectorId": "1", "reservationId": None, "acme": {"a": None}}


def test_times_go_out_in_utc_with_z_and_milliseconds_and_none_stays_at_home() -> None:
    at = datetime(2026, 11, 21, 9, 30, 0, 250_999, timezone(timedelta(hours=1)))
    answer = result_v16.StartTransaction(
        transaction_id=7, id_tag_info={"status": "Accepted", "expiry_date": at, "parent_id_tag": None}
    )
    assert form(V16, "StartTransaction", Kind.RESPONSE).write(answer) == {
        "transactionId": 7,
        "idTagInfo": {"status": "Accepted", "expiryDate": "2026-11-21T08:30:00.250Z"},
    }
    boot = result_v16.BootNotification(
        current_time=datetime(2026, 1, 1, tzinfo=UTC),
        interval=60,
        status="Accepted",
    )
    assert form(V16, "BootNotification", Kind.RESPONSE).write(boot)["currentTime"] == "2026-01-01T00:00:00.000Z"


def test_a_payload_of_our_own_that_breaks_the_standard_is_named() -> None:
    with pytest.raises(Invalid, match="ChangeConfiguration key") as wrong:
        form(V16, "ChangeConfiguration", Kind.REQUEST).check({"key": "k" * 60, "value": "1"})
    assert wrong.value.details == {"field": "key"}


def test_a_deviation_is_told_once_per_station_and_counted_always() -> None:
    diary, tenant_id, labels = DeviationLog(), uuid4(), {"version": "1.6", "action": "Test", "kind": "length"}
    before = counted("voltgraph_ocpp_deviations_total", **labels)
    stations = [uuid4(), uuid4()]
    with capture_logs() as told:
        for station_id in (*stations, *stations):
            diary.note(
                [Deviation("length", "idTag", "too long"), Deviation("length", "vendor", "too long")],
                tenant_id=tenant_id,
                station_id=station_id,
                identity="CP",
                version=V16,
                action="Test",
            )
    assert [entry["path"] for entry in told] == ["idTag", "vendor"] * 2
    assert counted("voltgraph_ocpp_deviations_total", **labels) - before == 8

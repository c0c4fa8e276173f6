"""What stations tell beside their charges: none of it is refused, and what is of use is kept."""

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest

from domain import reservations, stations
from domain.page import PageRequest
from domain.reservations import Reservation, ReservationStatus
from domain.stations import Mutability, Station, VendorAnswer, VendorMessage, Vendors, VendorStatus
from domain.work import Work, Workplace
from gateways.ocpp import Version
from tests.factories import a_token
from tests.gateways.ocpp.translating import PACKAGES, Speaker, a_speaker
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
AT = "2026-06-01T11:59:00Z"
V16, V201, V21 = Version.V16, Version.V201, Version.V21
each_version = pytest.mark.parametrize("version", [V16, V201, V21])
each_2 = pytest.mark.parametrize("version", [V201, V21])

OF_CHARGES = {"StartTransaction", "StopTransaction", "TransactionEvent"}  # have tests of their own
SENDS = {"NotifyPeriodicEventStream"}


def least(schema: Any, root: Any) -> Any:
    """The least that a schema allows."""
    if "$ref" in schema:
        return least(root["definitions"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: least(schema["properties"][name], root) for name in schema.get("required", ())}
    if schema["type"] == "array":
        return [least(schema["items"], root)] * schema.get("minItems", 0)
    at_least = {"string": AT if schema.get("format") == "date-time" else "1", "boolean": False}
    return at_least.get(schema["type"], schema.get("minimum", 1))


@each_version
async def test_the_least_of_every_message_is_answered_as_the_standard_has_it(acme: Tester, version: Version) -> None:
    charger = await a_speaker(acme, version, now=NOON)
    suffix = "" if version is V16 else "Request"
    for action in PACKAGES[version].HANDLERS.keys() - OF_CHARGES - SENDS - {"BootNotification"}:
        file = files(f"ocpp.{version.name.lower()}") / "schemas" / f"{action}{suffix}.json"
        schema = json.loads(file.read_text(encoding="utf-8-sig"))
        await charger.say(action, least(schema, schema))


async def station_of(charger: Speaker) -> Station:
    async with charger.tester.work(read_only=True) as work:
        return await stations.by_id(work, charger.station_id)


@pytest.mark.parametrize(
    ("version", "action", "firmware", "upload"),
    [
        (V16, "FirmwareStatusNotification", "Downloading", None),
        (V16, "SignedFirmwareStatusNotification", "InvalidSignature", None),
        (V16, "DiagnosticsStatusNotification", None, "Uploading"),
        (V16, "LogStatusNotification", None, "UploadFailure"),
        (V201, "FirmwareStatusNotification", "Installed", None),
        (V201, "LogStatusNotification", None, "Uploaded"),
        (V21, "FirmwareStatusNotification", "Installed", None),
    ],
)
async def test_how_far_an_update_or_an_upload_has_come_is_the_stations(
    acme: Tester, version: Version, action: str, firmware: str | None, upload: str | None
) -> None:
    charger = await a_speaker(acme, version, now=NOON)
    more = {"requestId": 1} if action.startswith(("Signed", "Log")) else {}
    assert await charger.say(action, {"status": firmware or upload, **more}) == {}

    station = await station_of(charger)
    assert (station.firmware_status, station.upload_status) == (firmware, upload)
    assert (station.firmware_status_at, station.upload_status_at) == (firmware and NOON, upload and NOON)


# --- vendors -----------------------------------------------------------------------------------------------------


def with_plug_in(charger: Speaker, answer: VendorAnswer) -> list[VendorMessage]:
    """A house where somebody understands acme's `fan` and what acme says without a name; what was heard."""
    heard: list[VendorMessage] = []

    async def understand(_work: Work, message: VendorMessage) -> VendorAnswer:
        heard.append(message)
        return answer

    house = charger.tester.house
    ports = {**house.workplace._ports, Vendors: Vendors({"acme": {"fan": understand, None: understand}})}
    workplace = Workplace(house.workplace.engine, ports=ports, clock=charger.tester.clock)
    object.__setattr__(house, "workplace", workplace)
    return heard


@each_version
async def test_a_vendor_or_a_message_that_nobody_knows_is_told_so(acme: Tester, version: Version) -> None:
    charger = await a_speaker(acme, version, now=NOON)
    heard = with_plug_in(charger, VendorAnswer(VendorStatus.ACCEPTED))

    assert await charger.say("DataTransfer", {"vendorId": "other"}) == {"status": "UnknownVendorId"}
    assert await charger.say("DataTransfer", {"vendorId": "acme", "messageId": "x"}) == {"status": "UnknownMessageId"}
    assert heard == []


@each_version
async def test_a_vendors_plug_in_hears_and_answers_its_messages(acme: Tester, version: Version) -> None:
    charger = await a_speaker(acme, version, now=NOON)
    heard = with_plug_in(charger, VendorAnswer(VendorStatus.ACCEPTED, {"rpm": 900}))

    answer = await charger.say("DataTransfer", {"vendorId": "acme", "messageId": "fan", "data": "on"})
    await charger.say("DataTransfer", {"vendorId": "acme"})

    assert answer == {"status": "Accepted", "data": '{"rpm":900}' if version is V16 else {"rpm": 900}}
    assert [(one.message_id, one.data, one.station_id) for one in heard] == [
        ("fan", "on", charger.station_id),
        (None, None, charger.station_id),
    ]


# --- reservations ------------------------------------------------------------------------------------------------


async def reserved(charger: Speaker) -> Reservation:
    await a_token(charger.tester, "CARD")
    async with charger.tester.work() as work:
        until = NOON.replace(hour=15)
        await reservations.request(work, station_id=charger.station_id, token_uid="CARD", expires_at=until)
    return await now(charger)


async def now(charger: Speaker) -> Reservation:
    async with charger.tester.work(read_only=True) as work:
        (found,) = (await reservations.listed(work, PageRequest(), station_id=charger.station_id)).rows
    return found


async def test_a_charge_of_1_6_uses_its_reservation_up(acme: Tester) -> None:
    charger = await a_speaker(acme, V16, now=NOON)
    kept = await reserved(charger)
    start = {"connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": AT, "reservationId": kept.number}

    await charger.say("StartTransaction", start)
    await charger.say("StartTransaction", start)

    used = await now(charger)
    assert (used.status, used.session_id) == (ReservationStatus.USED, (await charger.session()).id)


@each_2
async def test_a_charge_of_2_uses_its_reservation_up(acme: Tester, version: Version) -> None:
    charger = await a_speaker(acme, version, now=NOON)
    kept = await reserved(charger)
    event = {
        "eventType": "Started",
        "timestamp": AT,
        "triggerReason": "Authorized",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "TX-1"},
        "evse": {"id": 1, "connectorId": 1},
        "reservationId": kept.number,
    }

    await charger.say("TransactionEvent", event)

    used = await now(charger)
    assert (used.status, used.session_id) == (ReservationStatus.USED, (await charger.session()).id)


@each_2
@pytest.mark.parametrize(
    ("word", "status"), [("Expired", ReservationStatus.EXPIRED), ("Removed", ReservationStatus.REMOVED)]
)
async def test_a_station_lets_go_of_a_reservation(
    acme: Tester, version: Version, word: str, status: ReservationStatus
) -> None:
    charger = await a_speaker(acme, version, now=NOON)
    kept = await reserved(charger)
    update = {"reservationId": kept.number, "reservationUpdateStatus": word}
    assert await charger.say("ReservationStatusUpdate", update) == {}
    assert (await now(charger)).status is status


# --- the device model --------------------------------------------------------------------------------------------


def reported(variable: str, value: str) -> dict[str, Any]:
    return {
        "component": {"name": "EVSE", "instance": "A", "evse": {"id": 1, "connectorId": 2}},
        "variable": {"name": variable},
        "variableAttribute": [{"value": value, "mutability": "ReadWrite"}, {"type": "MaxSet", "value": "9"}],
        "variableCharacteristics": {"dataType": "integer", "supportsMonitoring": True, "unit": "A", "maxLimit": 32},
    }


@each_2
async def test_reports_and_events_fill_the_device_model(acme: Tester, version: Version) -> None:
    charger = await a_speaker(acme, version, now=NOON)
    report = {"requestId": 4711, "generatedAt": AT, "seqNo": 0, "tbc": True, "reportData": [reported("Current", "16")]}
    assert await charger.say("NotifyReport", report) == {}
    assert await charger.say("NotifyReport", {"requestId": 4711, "generatedAt": AT, "seqNo": 1}) == {}
    event = {
        "eventId": 1,
        "timestamp": AT,
        "trigger": "Delta",
        "actualValue": "20",
        "eventNotificationType": "CustomMonitor",
        "component": {"name": "EVSE", "instance": "A", "evse": {"id": 1, "connectorId": 2}},
        "variable": {"name": "Current"},
    }
    assert await charger.say("NotifyEvent", {"generatedAt": AT, "seqNo": 0, "eventData": [event]}) == {}

    async with acme.work(read_only=True) as work:
        (row,) = (await stations.variables_of(work, PageRequest(), station_id=charger.station_id)).rows
    assert (row.component_instance, row.evse_number, row.connector_number, row.variable) == ("A", 1, 2, "Current")
    assert [(one.type, one.value) for one in row.attributes] == [("ACTUAL", "20"), ("MAX_SET", "9")]
    assert row.attributes[0].mutability is Mutability.READ_WRITE
    assert (row.data_type, row.unit, row.max_limit, row.supports_monitoring) == ("integer", "A", 32, True)

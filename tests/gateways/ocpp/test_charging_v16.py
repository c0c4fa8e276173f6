"""A charge as OCPP 1.6 tells it, in the standard's words and in those of real chargers."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain import history, points, stations
from domain.page import PageRequest
from domain.sessions import SessionStatus
from domain.stations import StationStatus
from domain.tokens import TokenStatus
from gateways.ocpp import Version
from gateways.ocpp.measurands import REGISTER
from tests.factories import a_group, a_location, a_token
from tests.gateways.ocpp.translating import Speaker, a_speaker
from tests.statements import assert_statements
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def minute(number: float) -> str:
    return (NOON + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")


def entry(at: float, *sampled: dict[str, str]) -> dict[str, Any]:
    return {"timestamp": minute(at), "sampledValue": list(sampled)}


@pytest.fixture
async def charger(acme: Tester) -> Speaker:
    return await a_speaker(acme, Version.V16, now=NOON + timedelta(minutes=60))


async def started(charger: Speaker, **given: Any) -> int:
    payload = {"connectorId": 1, "idTag": "CARD", "meterStart": 1_000, "timestamp": minute(0), **given}
    answer = await charger.say("StartTransaction", payload)
    return int(answer["transactionId"])


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (TokenStatus.ACCEPTED, "Accepted"),
        (TokenStatus.BLOCKED, "Blocked"),
        (TokenStatus.EXPIRED, "Expired"),
        (TokenStatus.INVALID, "Invalid"),
    ],
)
async def test_a_card_is_answered_in_the_words_of_16(
    acme: Tester, charger: Speaker, status: TokenStatus, word: str
) -> None:
    expires_at = NOON + timedelta(days=30)
    await a_token(acme, "CARD", status=status, group_uid="FLEET", expires_at=expires_at)
    info = {"status": word, "parentIdTag": "FLEET", "expiryDate": "2026-07-01T12:00:00.000Z"}
    assert await charger.say("Authorize", {"idTag": "card"}) == {"idTagInfo": info}
    answer = await charger.say(
        "StartTransaction", {"connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": minute(0)}
    )
    assert answer["idTagInfo"] == info


async def test_unknown_and_concurrent_cards_are_told_so(acme: Tester, charger: Speaker) -> None:
    await a_token(acme, "ONCE", max_sessions=1)
    await started(charger, idTag="ONCE")
    assert await charger.say("Authorize", {"idTag": "NOBODY"}) == {"idTagInfo": {"status": "Invalid"}}
    payload = {"connectorId": 2, "idTag": "ONCE", "meterStart": 0, "timestamp": minute(1)}
    assert (await charger.say("StartTransaction", payload))["idTagInfo"] == {"status": "ConcurrentTx"}


async def test_a_master_pass_and_a_card_of_another_place_begin_nothing_in_16(acme: Tester, charger: Speaker) -> None:
    await a_group(acme, "GUARDS", master_pass=True)
    await a_token(acme, "PASS", group_uid="GUARDS")
    await a_token(acme, "AWAY", location_ids=[(await a_location(acme)).id])
    info = {"status": "Invalid", "parentIdTag": "GUARDS"}
    assert await charger.say("Authorize", {"idTag": "PASS"}) == {"idTagInfo": info}
    assert await charger.say("Authorize", {"idTag": "AWAY"}) == {"idTagInfo": {"status": "Invalid"}}
    number = await started(charger)
    stop = {"transactionId": number, "idTag": "PASS", "meterStop": 2_500, "timestamp": minute(10)}
    assert await charger.say("StopTransaction", stop) == {"idTagInfo": {**info, "status": "Accepted"}}


async def test_a_charge_begun_offline_is_recorded_and_told_what_is_known_of_the_card(
    acme: Tester, charger: Speaker
) -> None:
    """The station decides what to make of it (StopTransactionOnInvalidId)."""
    await a_token(acme, "LOST", status=TokenStatus.BLOCKED)
    for at, (tag, word) in enumerate((("LOST", "Blocked"), ("NOBODYS", "Invalid"))):
        payload = {"connectorId": 1, "idTag": tag, "meterStart": 0, "timestamp": minute(at - 300)}
        answer = await charger.say("StartTransaction", payload)
        assert answer["idTagInfo"] == {"status": word}
    assert [(session.token_uid, session.offline) for session in await charger.sessions()] == [
        ("NOBODYS", True),
        ("LOST", True),
    ]


async def test_a_group_too_long_for_16_is_left_out_of_its_answer(acme: Tester, charger: Speaker) -> None:
    await a_token(acme, "CARD", group_uid="G" * 21)
    assert await charger.say("Authorize", {"idTag": "CARD"}) == {"idTagInfo": {"status": "Accepted"}}


async def test_a_charge_from_start_to_stop_with_its_points(acme: Tester, charger: Speaker) -> None:
    await a_token(acme, "CARD")
    number = await started(charger, connectorId=2)
    sampled = [
        {"value": "1.5", "unit": "kWh", "context": "Sample.Periodic"},
        {"value": "7.2", "measurand": "Power.Active.Import", "unit": "kW"},
        {"value": "16.1", "measurand": "Current.Import", "unit": "A", "phase": "L1"},
        {"value": "57", "measurand": "SoC", "unit": "Percent", "location": "EV"},
        {"value": "31", "measurand": "Temperature", "unit": "Celsius", "location": "Body"},
    ]
    meter_value = [entry(5, *sampled)]
    assert (
        await charger.say("MeterValues", {"connectorId": 2, "transactionId": number, "meterValue": meter_value}) == {}
    )
    session = await charger.session()
    assert (session.energy_wh, session.power_w, session.soc_percent) == (500, 7_200, 57)
    assert (session.evse_number, session.connector_number, session.transaction_id) == (2, 1, str(number))
    assert await charger.latest() == {
        f"2/{REGISTER}": 1_500,
        "2/Power.Active.Import": 7_200,
        "2/Current.Import/L1": 16.1,
        "2/SoC@EV": 57,
        "2/Temperature@Body": 31,
    }

    answer = await charger.say(
        "StopTransaction",
        {
            "transactionId": number,
            "idTag": "CARD",
            "meterStop": 2_500,
            "timestamp": minute(10),
            "reason": "EVDisconnected",
            "transactionData": [
                entry(0, {"value": "1000", "context": "Transaction.Begin"}),
                entry(10, {"value": "2500", "context": "Transaction.End"}),
            ],
        },
    )
    assert answer == {"idTagInfo": {"status": "Accepted"}}
    session = await charger.session()
    assert (session.status, session.energy_wh, session.stop_reason) == (
        SessionStatus.COMPLETED,
        1_500,
        "EVDisconnected",
    )
    assert session.ended_at == NOON + timedelta(minutes=10)
    assert (await charger.latest())[f"2/{REGISTER}"] == 2_500


async def test_a_stop_says_local_when_it_says_nothing_and_needs_no_card(charger: Speaker) -> None:
    number = await started(charger)
    stop = {"transactionId": number, "meterStop": 2_500, "timestamp": minute(10)}
    assert await charger.say("StopTransaction", stop) == {}
    assert (await charger.session()).stop_reason == "Local"


@pytest.mark.parametrize("unknown", [0, -1, 999_999_999])
async def test_a_stop_that_nobody_knows_is_answered_like_any_other(charger: Speaker, unknown: int) -> None:
    stop = {
        "transactionId": unknown,
        "meterStop": 2_500,
        "timestamp": minute(10),
        "transactionData": [entry(10, {"value": "2500"})],
    }
    assert await charger.say("StopTransaction", stop) == {}
    assert (await charger.sessions(), await charger.orphans()) == ([], 1)
    assert await charger.latest() == {f"unknown/{REGISTER}": 2_500}


async def test_starts_and_stops_told_twice_are_told_once(charger: Speaker) -> None:
    number = await started(charger)
    assert await started(charger) == number
    for _ in range(2):
        await charger.say("StopTransaction", {"transactionId": number, "meterStop": 2_500, "timestamp": minute(10)})
    assert await started(charger) == number
    assert (await charger.session()).energy_wh == 1_500


async def test_a_start_before_the_clock_was_set_is_now_and_repeated_still_the_same(charger: Speaker) -> None:
    number = await started(charger, timestamp="1970-01-01T00:00:42Z")
    charger.tester.clock.forward(seconds=30)
    assert await started(charger, timestamp="1970-01-01T00:00:42Z") == number
    assert (await charger.session()).started_at == NOON + timedelta(minutes=60)


@pytest.mark.parametrize("written", ["2026-06-01T12:05:00", "2026-06-01 12:05:00Z", "2026-06-01T14:05:00+02:00"])
async def test_times_are_read_as_they_are_meant(charger: Speaker, written: str) -> None:
    await started(charger, timestamp=written)
    assert (await charger.session()).started_at == NOON + timedelta(minutes=5)


async def test_a_start_that_lacks_what_it_must_have_is_recorded(charger: Speaker) -> None:
    answer = await charger.say("StartTransaction", {"connectorId": 1})
    session = await charger.session()
    assert (session.transaction_id, answer["idTagInfo"]) == (str(answer["transactionId"]), {"status": "Invalid"})
    assert (session.token_uid, session.meter_start_wh, session.started_at) == (
        None,
        None,
        NOON + timedelta(minutes=60),
    )


async def test_meter_values_without_a_transaction_are_of_the_charge_on_their_connector(charger: Speaker) -> None:
    await started(charger)
    for transaction in ({}, {"transactionId": 0}, {"transactionId": -1}):
        value = [entry(5, {"value": "1700"})]
        assert await charger.say("MeterValues", {"connectorId": 1, "meterValue": value, **transaction}) == {}
    assert ((await charger.session()).energy_wh, await charger.orphans()) == (700, 0)


async def test_meter_values_of_the_station_itself_are_its_points_and_no_charge(charger: Speaker) -> None:
    await started(charger)
    await charger.say("MeterValues", {"connectorId": 0, "meterValue": [entry(5, {"value": "99000"})]})
    assert (await charger.session()).energy_wh == 0
    assert await charger.latest() == {f"0/{REGISTER}": 99_000}


async def test_signed_and_strange_values_are_kept_as_they_came(charger: Speaker) -> None:
    signed = "OCMF|{...}|{...}"
    sampled = [
        {"value": "1000"},
        {"value": signed, "format": "SignedData"},
        {"value": "warm", "measurand": "Temperature"},
        {"value": "3", "measurand": "Vendor.Pumps", "unit": "pieces"},
    ]
    await charger.say("MeterValues", {"connectorId": 1, "meterValue": [entry(5, *sampled)]})
    assert await charger.latest() == {
        f"1/{REGISTER}": 1_000,
        f"1/{REGISTER}/SignedData": signed,
        "1/Temperature": "warm",
        "1/Vendor.Pumps": 3,
    }


async def test_of_what_cannot_be_kept_as_it_is_a_text_is(charger: Speaker) -> None:
    sampled = [
        {"value": "1"},
        {"value": "9" * 20_000, "measurand": "Current.Import"},
        {"value": "a\0b", "measurand": "Temperature"},
        {"value": "5", "measurand": "Voltage", "unit": "v" * 20_000},
        {"value": "1e308", "measurand": "Power.Active.Import", "unit": "kW"},
    ]
    await charger.say("MeterValues", {"connectorId": 1, "meterValue": [entry(5, *sampled)]})
    latest = await charger.latest()
    assert latest == {
        f"1/{REGISTER}": 1,
        "1/Current.Import": "9" * 1_000,
        "1/Temperature": "a\N{REPLACEMENT CHARACTER}b",
        "1/Voltage": f"5 {'v' * 998}",
        "1/Power.Active.Import": "1e+308 kW",
    }


async def test_a_value_in_another_unit_than_before_is_converted_or_waits_until_it_is_let_in(charger: Speaker) -> None:
    for at, unit in ((5, "Celsius"), (6, "Fahrenheit"), (7, "gas mark")):
        sampled = {"value": "41", "measurand": "Temperature", "unit": unit}
        await charger.say("MeterValues", {"connectorId": 1, "meterValue": [entry(at, sampled)]})

    assert await charger.latest() == {"1/Temperature": 5}
    async with charger.tester.work(read_only=True) as work:
        (waiting,) = (await points.quarantined(work, PageRequest())).rows
    assert (waiting.value, waiting.unit) == (41, "gas mark")


async def test_the_energy_of_intervals_is_their_sum(charger: Speaker) -> None:
    for at, wh in ((0, "70"), (1, "100"), (2, "150"), (3, "50")):
        plain = {"value": wh, "measurand": "Energy.Active.Import.Interval", "unit": "Wh"}
        sampled = [plain, {**plain, "phase": "L1"}, {**plain, "value": "0.001", "unit": "kWh", "location": "Inlet"}]
        await charger.say("MeterValues", {"connectorId": 1, "meterValue": [entry(at, *sampled)]})

    tester, prefix = charger.tester, f"station/{charger.identity}/1/Energy.Active.Import.Interval"
    found = await history.energy(
        tester.workplace,
        tester.actor,
        addresses=[prefix, f"{prefix}/L1", f"{prefix}@Inlet"],
        from_=datetime.fromisoformat(minute(0)),
        to=datetime.fromisoformat(minute(3)),
    )
    assert [series.energy_wh for series in found.series] == [300, 300, 3]


async def test_a_connector_that_is_suspended_and_charges_again_moves_its_session(charger: Speaker) -> None:
    await started(charger)
    statuses = []
    for at, status in ((1, "SuspendedEV"), (2, "Charging"), (3, "SuspendedEVSE"), (4, "Charging")):
        await charger.say(
            "StatusNotification",
            {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": minute(at)},
        )
        statuses.append((await charger.session()).status)
    suspended, active = SessionStatus.SUSPENDED, SessionStatus.ACTIVE
    assert statuses == [suspended, active, suspended, active]


async def test_what_is_forgiven_of_times_and_units_is_told_once_however_often_it_is_said(charger: Speaker) -> None:
    """A station whose clock was never set, or whose meter changes its unit, says so with every message."""
    with capture_logs() as told:
        for unit in ("Wh", "furlong", "furlong", "furlong"):
            values = {"timestamp": "1970-01-01T00:00:00Z", "sampledValue": [{"value": "5", "unit": unit}] * 3}
            await charger.say("MeterValues", {"connectorId": 1, "meterValue": [values]})

    warnings = [line for line in told if line["log_level"] == "warning"]
    assert sorted(line["kind"] for line in warnings) == ["reading", "time"]


async def test_signed_values_of_begin_and_end_are_kept_as_they_came_and_count_for_more(charger: Speaker) -> None:
    """A start can carry none: they follow it. meterStart and meterStop are whole Wh of another register."""
    number = await started(charger)

    def both(at: float, context: str, wh: str, signed: str) -> dict[str, Any]:
        plain = {"value": wh, "unit": "Wh", "context": context}
        return entry(at, plain, {"value": signed, "format": "SignedData", "context": context})

    begin, end = 'OCMF|{"RV":1000.4}|{"SD":"30"}', '{"signedMeterData":"T0NN","encodingMethod":"OCMF","publicKey":"MF"}'
    meter_value = [both(0, "Transaction.Begin", "1000.4", begin)]
    for _ in range(2):
        await charger.say("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": meter_value})
    stop = {"transactionId": number, "meterStop": 2_000, "timestamp": minute(9)}
    await charger.say("StopTransaction", {**stop, "transactionData": [both(9, "Transaction.End", "1999.9", end)]})

    assert [(one.context, one.format, one.value) for one in await charger.signed_values()] == [
        ("Transaction.Begin", "OCMF", begin),
        ("Transaction.End", "OCMF", end),
    ]
    session = await charger.session()
    assert (session.meter_start_wh, session.meter_stop_wh) == (1000.4, 1999.9)
    assert session.energy_wh == pytest.approx(999.5)


async def test_a_connector_that_is_free_puts_its_charge_on_notice(charger: Speaker) -> None:
    await started(charger)
    free = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": minute(9)}
    await charger.say("StatusNotification", free)
    assert (await charger.session()).vacated_at == NOON + timedelta(minutes=9)


async def test_samples_by_the_clock_outside_of_a_charge_are_the_stations_telemetry(charger: Speaker) -> None:
    sampled = {"value": "4000", "context": "Sample.Clock"}
    assert await charger.say("MeterValues", {"connectorId": 1, "meterValue": [entry(0, sampled)]}) == {}
    assert (await charger.sessions(), await charger.orphans()) == ([], 0)
    assert await charger.latest() == {f"1/{REGISTER}": 4_000}


async def test_what_a_stop_repeats_of_the_meter_is_kept_once(charger: Speaker) -> None:
    number = await started(charger)
    values = [entry(at, {"value": str(1_000 + at), "context": "Sample.Periodic"}) for at in (1, 2, 3)]
    await charger.say("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values})
    stop = {"transactionId": number, "meterStop": 1_003, "timestamp": minute(3), "transactionData": values}
    await charger.say("StopTransaction", stop)
    assert len(await charger.history(f"1/{REGISTER}")) == 3
    assert (await charger.session()).energy_wh == 3


async def test_heartbeats_and_repeated_statuses_cost_no_statement(acme: Tester, charger: Speaker) -> None:
    def status(at: float, **more: str) -> dict[str, Any]:
        return {"connectorId": 1, "errorCode": "NoError", "status": "Charging", "timestamp": minute(at), **more}

    await charger.say("StatusNotification", status(0))
    with assert_statements(acme, 0):
        await charger.say("StatusNotification", status(5))
        await charger.say("Heartbeat", {})
    await charger.say("StatusNotification", status(6, errorCode="GroundFailure", status="Faulted"))
    (connector,) = await connectors(charger)
    assert (connector.status, connector.error_code) == (StationStatus.FAULTED, "GroundFailure")


async def test_a_charge_that_is_only_repeated_to_go_on_is_heard_of_once_an_hour(charger: Speaker) -> None:
    await started(charger)
    for _ in range(3):
        charging = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        await charger.say("StatusNotification", charging)
        charger.tester.clock.forward(minutes=40)
    heard_at = (await charger.session()).charging_state_at
    assert heard_at == NOON + timedelta(minutes=60 + 80)


async def connectors(charger: Speaker) -> list[stations.Connector]:
    async with charger.tester.work(read_only=True) as work:
        evses = await stations.evses_of(work, [charger.station_id])
        return list(await stations.connectors_of(work, [evse.id for evse in evses]))


@pytest.mark.parametrize("signed", ["", "[1]", "{", "null", '{"encodingMethod": 7}', '{"a": 1}', "AQ=="])
async def test_what_is_signed_in_a_format_of_its_own_is_kept_too(charger: Speaker, signed: str) -> None:
    number = await started(charger)
    values = [entry(1, {"value": signed, "format": "SignedData"})]
    await charger.say("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values})
    (kept,) = await charger.signed_values()
    assert (kept.value, kept.format) == (signed, "7" if "7" in signed else "SignedData")


async def test_meter_values_cost_a_read_and_a_write(acme: Tester, charger: Speaker) -> None:
    number = await started(charger)
    for at in (1, 2):
        values = [entry(at, {"value": str(1_000 + at)}, {"value": "7", "measurand": "Power.Active.Import"})]
        metered = {"connectorId": 1, "transactionId": number, "meterValue": values}
        with assert_statements(acme, 2) if at == 2 else nullcontext():
            await charger.say("MeterValues", metered)


async def test_a_plug_that_is_free_is_news_after_every_start(charger: Speaker) -> None:
    """Of a station that says nothing of it in between."""
    for at in (0, 9):
        free = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": minute(at)}
        await charger.say("StatusNotification", free)
        if at == 0:
            await started(charger, timestamp=minute(1))
    assert (await charger.session()).vacated_at == NOON + timedelta(minutes=9)

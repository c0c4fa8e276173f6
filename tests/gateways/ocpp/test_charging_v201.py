"""A charge as OCPP 2.0.1 tells it, and 2.1 in the same words."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from ocpp.v201 import call as request
from ocpp.v201 import call_result as result

from domain import stations
from domain.sessions import SessionStatus
from domain.stations import StationStatus
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


def entry(at: float, *sampled: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp": minute(at), "sampledValue": list(sampled)}


def event(kind: str, at: float, *, info: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind,
        "timestamp": minute(at),
        "triggerReason": "CablePluggedIn",
        "seqNo": int(at),
        "transactionInfo": {"transactionId": "TX-1", **(info or {})},
        **more,
    }


@pytest.fixture(params=[Version.V201, Version.V21])
async def charger(acme: Tester, request: pytest.FixtureRequest) -> Speaker:
    return await a_speaker(acme, request.param, now=NOON + timedelta(minutes=60))


async def station_status(charger: Speaker) -> StationStatus:
    async with charger.tester.work(read_only=True) as work:
        return (await stations.by_id(work, charger.station_id)).status


async def test_a_card_is_answered_in_the_words_of_201(acme: Tester, charger: Speaker) -> None:
    await a_token(acme, "CARD", group_uid="FLEET", expires_at=NOON + timedelta(days=30))
    asked = {"idToken": {"idToken": "card", "type": "ISO14443"}}
    assert await charger.say("Authorize", asked) == {
        "idTokenInfo": {
            "status": "Accepted",
            "cacheExpiryDateTime": "2026-07-01T12:00:00.000Z",
            "groupIdToken": {"idToken": "FLEET", "type": "Central"},
        }
    }
    asked["idToken"]["idToken"] = "NOBODY"
    assert await charger.say("Authorize", asked) == {"idTokenInfo": {"status": "Unknown"}}
    await a_token(acme, "AWAY", location_ids=[(await a_location(acme)).id])
    away = {"idToken": {"idToken": "AWAY", "type": "eMAID"}}
    assert await charger.say("Authorize", away) == {"idTokenInfo": {"status": "NotAtThisLocation"}}


async def test_a_card_is_answered_when_and_at_which_evse_it_may_charge(acme: Tester, charger: Speaker) -> None:
    await a_token(acme, "LATER", hours=[{"days": ["SUNDAY"], "begin": "08:00", "end": "09:00"}])
    await a_token(acme, "SLOW", connector_types=["cType2"])
    plugs = [
        {
            "component": {"name": "Connector", "evse": {"id": number, "connectorId": 1}},
            "variable": {"name": "ConnectorType"},
            "variableAttribute": [{"value": type}],
        }
        for number, type in ((1, "cCCS2"), (2, "cType2"))
    ]
    report = {"requestId": 1, "generatedAt": minute(0), "seqNo": 0, "reportData": plugs}
    await charger.say("NotifyReport", report)

    async def answered(uid: str, action: str = "Authorize", **more: Any) -> Any:
        card = {"idToken": uid, "type": "ISO14443"}
        return (await charger.say(action, {**more, "idToken": card}))["idTokenInfo"]

    assert await answered("LATER") == {"status": "NotAtThisTime"}
    assert await answered("SLOW") == {"status": "Accepted", "evseId": [2]}
    begun = event("Started", 0, evse={"id": 1})
    assert await answered("SLOW", "TransactionEvent", **begun) == {"status": "NotAllowedTypeEVSE"}


async def test_a_master_pass_is_known_to_the_station_and_ends_charges_alone(acme: Tester, charger: Speaker) -> None:
    await a_group(acme, "GUARDS", master_pass=True)
    await a_token(acme, "CARD")
    await a_token(acme, "PASS", group_uid="GUARDS")
    card, master = ({"idToken": uid, "type": "ISO14443"} for uid in ("CARD", "PASS"))
    group = {"groupIdToken": {"idToken": "GUARDS", "type": "Central"}}
    assert await charger.say("Authorize", {"idToken": master}) == {"idTokenInfo": {"status": "Accepted", **group}}
    await charger.say("TransactionEvent", event("Started", 0, evse={"id": 1}, idToken=card))
    ended = event("Ended", 20, info={"stoppedReason": "MasterPass"}, idToken=master)
    assert await charger.say("TransactionEvent", ended) == {"idTokenInfo": {"status": "Accepted", **group}}
    assert (await charger.session()).token_uid == "CARD"
    begun = event("Started", 30, info={"transactionId": "TX-2"}, evse={"id": 1}, idToken=master)
    assert await charger.say("TransactionEvent", begun) == {"idTokenInfo": {"status": "Invalid", **group}}


async def test_a_transaction_from_plug_to_plug_with_its_points(acme: Tester, charger: Speaker) -> None:
    await a_token(acme, "CARD")
    evse = {"id": 1, "connectorId": 2}
    connected = {"evseId": 1, "connectorId": 2, "connectorStatus": "Occupied", "timestamp": minute(0)}
    await charger.say("StatusNotification", connected)

    assert (
        await charger.say("TransactionEvent", event("Started", 0, evse=evse, info={"chargingState": "EVConnected"}))
        == {}
    )
    assert ((await charger.session()).status, await station_status(charger)) == (
        SessionStatus.PENDING,
        StationStatus.OCCUPIED,
    )

    card = {"idToken": "CARD", "type": "ISO14443"}
    assert await charger.say("TransactionEvent", event("Updated", 1, idToken=card)) == {
        "idTokenInfo": {"status": "Accepted"}
    }
    begin = entry(2, {"value": 1.5, "context": "Transaction.Begin", "unitOfMeasure": {"unit": "kWh"}})
    charging = event("Updated", 2, info={"chargingState": "Charging"}, meterValue=[begin])
    await charger.say("TransactionEvent", charging)
    assert await station_status(charger) is StationStatus.CHARGING

    sampled = [
        {"value": 25, "unitOfMeasure": {"unit": "Wh", "multiplier": 2}},
        {"value": 11_000, "measurand": "Power.Active.Import"},
        {"value": 230.4, "measurand": "Voltage", "phase": "L1-N"},
        {"value": 60, "measurand": "SoC", "location": "EV"},
    ]
    await charger.say("TransactionEvent", event("Updated", 9, meterValue=[entry(9, *sampled)]))
    session = await charger.session()
    assert (session.energy_wh, session.power_w, session.soc_percent) == (1_000, 11_000, 60)
    assert (session.evse_number, session.connector_number, session.token_uid) == (1, 2, "CARD")

    await charger.say("TransactionEvent", event("Updated", 10, info={"chargingState": "SuspendedEV"}))
    assert ((await charger.session()).status, await station_status(charger)) == (
        SessionStatus.SUSPENDED,
        StationStatus.SUSPENDED_EV,
    )

    end = entry(20, {"value": 3_000, "context": "Transaction.End"})
    ended = event("Ended", 20, info={"stoppedReason": "EVDisconnected"}, meterValue=[end], offline=True)
    assert await charger.say("TransactionEvent", ended) == {}
    session = await charger.session()
    assert (session.status, session.energy_wh, session.offline) == (SessionStatus.COMPLETED, 1_500, True)
    assert (session.stop_reason, await station_status(charger)) == ("EVDisconnected", StationStatus.OCCUPIED)
    assert await charger.latest() == {
        f"1/{REGISTER}": 3_000,
        "1/Power.Active.Import": 11_000,
        "1/Voltage/L1-N": 230.4,
        "1/SoC@EV": 60,
    }


async def test_an_end_that_says_no_reason_was_local(charger: Speaker) -> None:
    await charger.say("TransactionEvent", event("Ended", 20))
    assert (await charger.session()).stop_reason == "Local"


async def test_a_charge_that_needs_no_card_has_none(charger: Speaker) -> None:
    nobody = {"idToken": "", "type": "NoAuthorization"}
    answer = await charger.say("TransactionEvent", event("Started", 0, evse={"id": 1}, idToken=nobody))
    assert answer == {"idTokenInfo": {"status": "Accepted"}}
    session = await charger.session()
    assert (session.token_uid, session.status) == (None, SessionStatus.ACTIVE)


async def test_a_card_without_a_uid_is_invalid(charger: Speaker) -> None:
    blank = {"idToken": "", "type": "ISO14443"}
    answer = await charger.say("TransactionEvent", event("Started", 0, evse={"id": 1}, idToken=blank))
    assert (answer, (await charger.session()).token_uid) == ({"idTokenInfo": {"status": "Invalid"}}, None)


async def test_signed_values_are_kept_to_the_byte_with_what_it_takes_to_check_them(charger: Speaker) -> None:
    signed = {
        "publicKey": "MFkw\u2028é",
        "signedMeterData": "T0NNRnx7fQ==" * 1_500,
        "customData": {"vendorId": "X", "b": 1.0, "a": [1, None]},
        "encodingMethod": "OCMF",
        "ofItsOwn": True,
        "signingMethod": "ECDSA-secp256r1-SHA256",
    }
    for kind, at, wh in (("Started", 0, 1_000), ("Updated", 5, 1_200), ("Ended", 20, 1_500), ("Ended", 20, 1_500)):
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
        value = {"value": wh, "context": context, "signedMeterValue": {**signed, "signingMethod": kind}}
        await charger.say("TransactionEvent", event(kind, at, evse={"id": 1}, meterValue=[entry(at, value)]))
    begin, amid, end = await charger.signed_values()
    assert [one.context for one in (begin, amid, end)] == ["Transaction.Begin", "Sample.Periodic", "Transaction.End"]
    assert begin.value == orjson.dumps({**signed, "signingMethod": "Started"}).decode()
    assert (end.at, end.format, end.measurand) == (NOON + timedelta(minutes=20), "OCMF", REGISTER)
    assert (await charger.session()).energy_wh == 500


async def test_a_signed_value_is_a_point_too_also_without_what_2_1_does_not_demand(charger: Speaker) -> None:
    signed = {"signedMeterData": "T0NNRnx7fQ==", "encodingMethod": "OCMF"}
    value = {"value": 1_000, "context": "Transaction.Begin", "signedMeterValue": signed}
    await charger.say("TransactionEvent", event("Started", 0, evse={"id": 1}, meterValue=[entry(0, value)]))
    latest = await charger.latest()
    assert orjson.loads(str(latest[f"1/{REGISTER}/SignedData"])) == signed
    assert latest[f"1/{REGISTER}"] == 1_000


async def test_a_station_that_skipped_numbers_is_asked_what_waits_and_believed(charger: Speaker) -> None:
    answers = iter([{"messages_in_queue": True}, {"messages_in_queue": False, "ongoing_indicator": True}])
    charger.line.answer = lambda _: result.GetTransactionStatus(**next(answers))
    await charger.say("TransactionEvent", event("Started", 0, evse={"id": 1}))
    assert charger.line.asked == []
    await charger.say("TransactionEvent", event("Updated", 5))
    assert charger.line.asked == [request.GetTransactionStatus(transaction_id="TX-1")]
    assert not (await charger.session()).incomplete
    await charger.say("TransactionEvent", event("Ended", 6))
    session = await charger.session()
    assert (session.missing_messages, session.incomplete, len(charger.line.asked)) == (4, True, 2)


async def test_a_station_that_cannot_say_what_waits_is_answered_all_the_same(charger: Speaker) -> None:
    assert await charger.say("TransactionEvent", event("Ended", 6)) == {}
    assert len(charger.line.asked) == 1
    assert not (await charger.session()).incomplete


async def test_a_status_that_is_repeated_costs_no_statement_until_it_is_another(acme: Tester, charger: Speaker) -> None:
    def status(at: float, word: str) -> dict[str, Any]:
        return {"evseId": 1, "connectorId": 1, "connectorStatus": word, "timestamp": minute(at)}

    await charger.say("StatusNotification", status(0, "Occupied"))
    with assert_statements(acme, 0):
        await charger.say("StatusNotification", status(5, "Occupied"))
    await charger.say("StatusNotification", status(6, "Available"))
    await charger.say("StatusNotification", status(2, "Occupied"))  # late
    assert await station_status(charger) is StationStatus.AVAILABLE
    await charger.say("StatusNotification", status(7, "Occupied"))
    assert await station_status(charger) is StationStatus.OCCUPIED


@pytest.mark.parametrize("told", [{"id": 1, "connectorId": 1}, {"id": 1}])
async def test_another_plug_of_the_evse_may_be_free_while_one_charges(charger: Speaker, told: dict[str, int]) -> None:
    for connector, word in ((1, "Occupied"), (2, "Available")):
        status = {"evseId": 1, "connectorId": connector, "connectorStatus": word, "timestamp": minute(1)}
        await charger.say("StatusNotification", status)
    await charger.say("TransactionEvent", event("Started", 0, evse=told))
    charger.plugs.forget()  # as with another socket
    for connector, vacated_at in ((2, None), (1, NOON + timedelta(minutes=9))):
        status = {"evseId": 1, "connectorId": connector, "connectorStatus": "Available", "timestamp": minute(9)}
        await charger.say("StatusNotification", status)
        assert (await charger.session()).vacated_at == vacated_at


async def test_an_update_costs_a_read_and_a_write(acme: Tester, charger: Speaker) -> None:
    info = {"chargingState": "Charging"}
    for at in (0, 1):
        value = entry(at, {"value": 1_000 + at}, {"value": 7, "measurand": "Power.Active.Import"})
        started = event("Started" if at == 0 else "Updated", at, evse={"id": 1}, info=info, meterValue=[value])
        with assert_statements(acme, 2) if at else nullcontext():
            await charger.say("TransactionEvent", started)


async def test_a_plug_that_is_free_puts_its_charge_on_notice(charger: Speaker) -> None:
    await charger.say("TransactionEvent", event("Started", 0, evse={"id": 1, "connectorId": 1}))
    free = {"evseId": 1, "connectorId": 1, "connectorStatus": "Available", "timestamp": minute(9)}
    await charger.say("StatusNotification", free)
    assert (await charger.session()).vacated_at == NOON + timedelta(minutes=9)


async def test_values_of_a_charge_that_is_nowhere_are_kept_too(charger: Speaker) -> None:
    await charger.say("TransactionEvent", event("Updated", 5, meterValue=[entry(5, {"value": 1_000})]))
    assert await charger.latest() == {f"unknown/{REGISTER}": 1_000}


async def test_meter_values_are_of_the_charge_on_their_evse_and_those_of_evse_0_of_none(charger: Speaker) -> None:
    begin = entry(0, {"value": 1_000})
    await charger.say("TransactionEvent", event("Started", 0, evse={"id": 2}, meterValue=[begin]))
    assert await charger.say("MeterValues", {"evseId": 2, "meterValue": [entry(5, {"value": 1_400})]}) == {}
    assert await charger.say("MeterValues", {"evseId": 0, "meterValue": [entry(5, {"value": 9_000})]}) == {}
    assert (await charger.session()).energy_wh == 400
    assert await charger.latest() == {f"2/{REGISTER}": 1_400, f"0/{REGISTER}": 9_000}


async def test_events_that_lack_what_they_must_have_are_recorded(charger: Speaker) -> None:
    bare = {"eventType": "Started", "transactionInfo": {"transactionId": "TX-1"}}
    assert await charger.say("TransactionEvent", bare) == {}
    assert (await charger.session()).started_at == NOON + timedelta(minutes=60)


async def test_an_old_state_replayed_does_not_turn_back_what_the_evse_shows(charger: Speaker) -> None:
    now = event("Started", 50, evse={"id": 1}, info={"chargingState": "Charging", "transactionId": "TX-2"})
    await charger.say("TransactionEvent", now)
    for kind, at, state in (("Started", 0, "EVConnected"), ("Updated", 1, "Charging"), ("Ended", 9, "Idle")):
        await charger.say("TransactionEvent", event(kind, at, evse={"id": 1}, info={"chargingState": state}))
    assert await station_status(charger) is StationStatus.CHARGING
    assert [s.status for s in await charger.sessions()] == [SessionStatus.ACTIVE, SessionStatus.COMPLETED]

"""What OCPP 2.1 says beyond 2.0.1."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from domain.sessions import SessionStatus
from domain.stations import StationStatus
from gateways.ocpp import Version, v21, v201
from gateways.ocpp.payloads import Shape
from gateways.ocpp.schemas import SENDS, Kind, actions, form
from tests.gateways.ocpp.test_charging_v201 import entry, event, minute, station_status
from tests.gateways.ocpp.translating import Speaker, a_speaker
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

# The package spells these otherwise in 2.1: what comes in under the one name is not there under the other.
SPELLED_OTHERWISE = {
    ("Authorize", "iso15118CertificateHashData"),
    ("Get15118EVCertificate", "iso15118SchemaVersion"),
}


@pytest.fixture
async def charger(acme: Tester) -> Speaker:
    return await a_speaker(acme, Version.V21, now=NOON + timedelta(minutes=60))


def test_whatever_is_handled_and_ordered_in_2_0_1_is_so_in_2_1() -> None:
    assert v201.HANDLERS.keys() <= v21.HANDLERS.keys()
    assert v21.ORDERS.keys() == v201.ORDERS.keys()
    assert v201.HANDLERS.keys() <= actions(Version.V21)


def test_what_stations_say_has_the_same_names_in_both_but_for_a_few() -> None:
    """So that the handlers of 2.0.1 can read it."""
    found = set()
    for action, kind in product(actions(Version.V201) & actions(Version.V21), Kind):
        for key in _spelled_otherwise(form(Version.V201, action, kind)._shape, form(Version.V21, action, kind)._shape):
            # our own answers are written whichever way they are spelled
            if not key.startswith("language"):
                found.add((action, key))
    assert found == SPELLED_OTHERWISE


def _spelled_otherwise(old: Shape, new: Shape) -> set[str]:
    here = {key for key, name in old._names.items() if new._names.get(key) != name}
    below = (_spelled_otherwise(shape, new._below[key]) for key, shape in old._below.items())
    return here.union(*below)


def test_answers_of_2_0_1_are_written_in_the_words_of_2_1() -> None:
    from ocpp.v201 import call_result as result
    from ocpp.v201.datatypes import IdTokenInfoType

    answer = result.Authorize(id_token_info=IdTokenInfoType(status="Accepted", language_1="de", charging_priority=1))
    response = form(Version.V21, "Authorize", Kind.RESPONSE)
    assert response.write(answer) == {"idTokenInfo": {"status": "Accepted", "language1": "de", "chargingPriority": 1}}
    response.check(response.write(answer))


async def test_what_a_charge_tells_beyond_its_meter_is_kept_as_points(charger: Speaker) -> None:
    limit = {"maxEnergy": 20_000, "maxTime": 3600, "maxSoC": 80, "maxCost": 12.5}
    begun = event(
        "Started",
        0,
        evse={"id": 1, "connectorId": 1},
        info={"chargingState": "EVConnected", "operationMode": "ChargingOnly", "transactionLimit": limit},
        preconditioningStatus="Preconditioning",
        evseSleep=False,
        triggerReason="LimitSet",
        meterValue=[entry(0, {"value": 1_000, "context": "Transaction.Begin"})],
    )
    assert await charger.say("TransactionEvent", begun) == {}
    price = {"exclTax": 4.2, "inclTax": 5.0}
    cost = {"totalCost": {"currency": "EUR", "typeOfCost": "NormalCost", "total": price}, "totalUsage": _USAGE}
    ended = event("Ended", 20, info={"stoppedReason": "ReqEnergyTransferRejected"}, costDetails=cost)
    ended["meterValue"] = [entry(20, {"value": 2_500, "context": "Transaction.End"})]
    assert await charger.say("TransactionEvent", ended) == {}

    session = await charger.session()
    assert (session.status, session.energy_wh) == (SessionStatus.COMPLETED, 1_500)
    assert session.stop_reason == "ReqEnergyTransferRejected"
    latest = await charger.latest()
    assert {name: value for name, value in latest.items() if "Energy.Active" not in name} == {
        "1/PreconditioningStatus": "Preconditioning",
        "1/EVSESleep": 0,
        "1/OperationMode": "ChargingOnly",
        "1/TransactionLimit.MaxCost": 12.5,
        "1/TransactionLimit.MaxEnergy": 20_000,
        "1/TransactionLimit.MaxTime": 3_600,
        "1/TransactionLimit.MaxSoC": 80,
        "1/Cost.Total": 5.0,
    }


_USAGE: dict[str, Any] = {"energy": 1500, "chargingTime": 1200, "idleTime": 0}


async def test_the_measurands_of_2_1_have_their_units(charger: Speaker) -> None:
    sampled = [
        {"value": 11_000, "measurand": "Power.Import.Offered", "location": "Upstream"},
        {"value": 61, "measurand": "Display.PresentSOC", "location": "EV"},
        {"value": 5.5, "measurand": "EnergyRequest.Target", "unitOfMeasure": {"unit": "kWh"}},
    ]
    payload = {"evseId": 1, "meterValue": [entry(1, *sampled)]}
    assert not form(Version.V21, "MeterValues", Kind.REQUEST).read(payload).deviations
    assert await charger.say("MeterValues", payload) == {}
    assert await charger.latest() == {
        "1/Power.Import.Offered@Upstream": 11_000,
        "1/Display.PresentSOC@EV": 61,
        "1/EnergyRequest.Target": 5_500,
    }


async def test_a_stream_of_events_is_a_point(charger: Speaker) -> None:
    params = {"interval": 1, "values": 5}
    opened = {"constantStreamData": {"id": 7, "variableMonitoringId": 1, "params": params}}
    assert await charger.say("OpenPeriodicEventStream", opened) == {"status": "Accepted"}
    data = [{"t": 0, "v": "20.5"}, {"t": 1.5, "v": "21"}]
    sent = {"id": 7, "pending": 0, "basetime": minute(5), "data": data}
    assert (Version.V21, "NotifyPeriodicEventStream") in SENDS
    await charger.say("NotifyPeriodicEventStream", sent)
    assert await charger.say("ClosePeriodicEventStream", {"id": 7}) == {}
    assert await charger.latest() == {"0/PeriodicEventStream.7": 21}


async def test_a_connectors_state_may_come_as_an_event(charger: Speaker) -> None:
    def told(number: int, part: str, value: str, **evse: Any) -> dict[str, Any]:
        return {
            "eventId": number,
            "timestamp": minute(number),
            "trigger": "Delta",
            "actualValue": value,
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": part, **evse},
            "variable": {"name": "AvailabilityState"},
        }

    connector = {"evse": {"id": 1, "connectorId": 1}}
    events = [told(1, "Connector", "Available", **connector), told(2, "EVSE", "Faulted", evse={"id": 1})]
    payload = {"generatedAt": minute(2), "seqNo": 0, "eventData": events}
    assert await charger.say("NotifyEvent", payload) == {}
    assert await station_status(charger) is StationStatus.AVAILABLE
    payload["eventData"] = [told(3, "Connector", "Occupied", **connector)]
    await charger.say("NotifyEvent", payload)
    assert await station_status(charger) is StationStatus.OCCUPIED
    payload["eventData"] = [told(4, "ChargingStation", "Unavailable")]
    await charger.say("NotifyEvent", payload)
    assert await station_status(charger) is StationStatus.UNAVAILABLE

"""A charge as a stranger's server sees it."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from gateways.sim.report import SessionReport
from tests.gateways.sim.conftest import Simulate
from tests.gateways.sim.csms import Csms

pytestmark = pytest.mark.anyio
ENERGY = "Energy.Active.Import.Register"


def sampled(payload: dict[str, Any], measurand: str) -> list[float]:
    values = [one for value in payload.get("meterValue", []) for one in value["sampledValue"]]
    return [float(one["value"]) for one in values if one["measurand"] == measurand]


def events(csms: Csms, kind: str) -> list[dict[str, Any]]:
    return [one for one in csms.settled("TransactionEvent") if one["eventType"] == kind]


def the_session(report_sessions: tuple[SessionReport, ...]) -> SessionReport:
    return next(one for one in report_sessions if one.stop_delivered)


async def test_a_1_6_station_boots_charges_meters_and_stops(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6") as fleet:
        await csms.until(lambda: csms.calls("StopTransaction"))
        await csms.until(lambda: csms.calls("StatusNotification")[-1]["status"] == "Available")
        report = await fleet.stopped()

    assert csms.subprotocols == {"SIM-001": "ocpp1.6"}
    assert len(csms.calls("BootNotification")) == 1
    statuses = [(one["connectorId"], one["status"]) for one in csms.calls("StatusNotification")]
    words = [word for number, word in statuses if number == 1]
    assert statuses[0] == (0, "Available")
    assert words[:3] == ["Available", "Preparing", "Charging"]
    assert words[-2:] == ["Finishing", "Available"]
    start, stop = csms.calls("StartTransaction")[0], csms.calls("StopTransaction")[0]
    meters = [one for one in csms.calls("MeterValues") if one["transactionId"] == 4001]
    assert start["idTag"] == "DEMO"
    assert stop["transactionId"] == 4001
    assert len(meters) > 3
    assert start["meterStart"] < sampled(meters[-1], ENERGY)[0] <= stop["meterStop"]
    session = the_session(report.stations[0].sessions)
    assert (session.transaction_id, session.energy_wh) == ("4001", stop["meterStop"] - start["meterStart"])


async def test_a_2_0_1_station_boots_charges_meters_and_stops(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", first=2) as fleet:
        await csms.until(lambda: events(csms, "Ended"))
        report = await fleet.stopped()

    assert csms.subprotocols == {"SIM-002": "ocpp2.0.1"}
    assert csms.calls("BootNotification")[0]["reason"] == "PowerUp"
    started, ended = events(csms, "Started")[0], events(csms, "Ended")[0]
    transaction_id = started["transactionInfo"]["transactionId"]
    own = [one for one in csms.calls("TransactionEvent") if one["transactionInfo"]["transactionId"] == transaction_id]
    assert [one["seqNo"] for one in own] == list(range(len(own)))
    assert started["evse"] == {"id": 1, "connectorId": 1}
    assert started["triggerReason"] in ("Authorized", "CablePluggedIn")
    assert own[1]["transactionInfo"]["chargingState"] == "Charging"
    assert not any("offline" in one for one in own)
    session = the_session(report.stations[0].sessions)
    energy_wh = sampled(ended, ENERGY)[0] - sampled(started, ENERGY)[0]
    assert (session.transaction_id, session.energy_wh) == (transaction_id, energy_wh)
    assert energy_wh > 0


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_the_register_goes_on_from_charge_to_charge(csms: Csms, simulate: Simulate, version: str) -> None:
    stops = ("StopTransaction", "TransactionEvent")

    def over() -> int:
        return sum(one.get("eventType", "Ended") == "Ended" for one in csms.settled(*stops))

    async with simulate(version=version, speed=200, meter_interval_s=0.05) as fleet:
        await csms.until(lambda: over() >= 3)
        report = await fleet.stopped()

    asked = csms.calls("StartTransaction", "MeterValues", "StopTransaction", "TransactionEvent")
    registers = [
        register
        for one in asked
        for register in (
            [one["meterStart"]]
            if "meterStart" in one
            else [one["meterStop"]]
            if "meterStop" in one
            else sampled(one, ENERGY)
        )
    ]
    assert registers == sorted(registers)
    charges = [one for one in report.stations[0].sessions if one.stop_delivered]
    assert len(charges) >= 3
    for before, after in pairwise(charges):
        assert before.meter_stop_wh == after.meter_start_wh
        assert before.transaction_id != after.transaction_id


async def test_a_direct_current_station_tells_power_current_voltage_and_state_of_charge(
    csms: Csms, simulate: Simulate
) -> None:
    async with simulate(version="1.6", first=2):
        await csms.until(lambda: len(csms.calls("MeterValues")) > 5)

    readings = {
        measurand: [value for one in csms.calls("MeterValues") for value in sampled(one, measurand)]
        for measurand in ("Power.Active.Import", "Current.Import", "Voltage", "SoC")
    }
    assert all(0 <= power_w <= 50_000 for power_w in readings["Power.Active.Import"])
    assert max(readings["Power.Active.Import"]) > 10_000
    assert all(0 <= soc <= 100 for soc in readings["SoC"])
    for power_w, current_a, voltage_v in zip(*list(readings.values())[:3], strict=True):
        assert current_a * voltage_v == pytest.approx(power_w, abs=0.06 * voltage_v)


async def test_a_three_phase_station_tells_every_phase(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", first=1):
        await csms.until(lambda: len(events(csms, "Updated")) > 4)

    metered = next(one for one in events(csms, "Updated") if "meterValue" in one)
    values = metered["meterValue"][0]["sampledValue"]
    assert [one["phase"] for one in values if one["measurand"] == "Current.Import"] == ["L1", "L2", "L3"]
    assert [one["phase"] for one in values if one["measurand"] == "Voltage"] == ["L1-N", "L2-N", "L3-N"]


async def test_the_meter_is_told_at_the_interval_of_the_wall_clock(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", meter_interval_s=0.2):
        await csms.until(lambda: csms.calls("StopTransaction"))

    first = csms.calls("StartTransaction")[0]["timestamp"]
    meters = [one for one in csms.calls("MeterValues") if one["meterValue"][0]["timestamp"] > first]
    times = [datetime.fromisoformat(one["meterValue"][0]["timestamp"]) for one in meters]
    assert all((after - before).total_seconds() > 0.19 for before, after in pairwise(times))


async def test_a_card_that_the_server_refuses_starts_nothing(csms: Csms, simulate: Simulate) -> None:
    csms.cards["LOST"] = "Blocked"
    async with simulate(version="1.6", token_uid="LOST") as fleet:
        await csms.until(lambda: len(csms.calls("Authorize")) >= 2)
        report = await fleet.stopped()

    assert csms.calls("StartTransaction") == []
    assert report.stations[0].sessions == ()
    assert "Authorize LOST: Blocked" in report.stations[0].errors


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_charge_whose_card_is_refused_at_the_start_is_stopped(
    csms: Csms, simulate: Simulate, version: str
) -> None:
    csms.cards_at_start["DEMO"] = "Invalid"
    async with simulate(version=version) as fleet:
        await csms.until(lambda: csms.settled("StopTransaction") or events(csms, "Ended"))
        report = await fleet.stopped()

    assert report.stations[0].sessions[0].reason == "DEAUTHORIZED"
    told = csms.calls("StopTransaction") or [one["transactionInfo"] for one in events(csms, "Ended")]
    assert (told[0].get("reason") or told[0].get("stoppedReason")) == "DeAuthorized"

"""Connections, registration, and the fleet as a whole."""

import asyncio
import base64
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path

import pytest
import structlog

from gateways.sim import run_stations
from tests.gateways.sim.conftest import FAST, Simulate
from tests.gateways.sim.csms import Csms

pytestmark = pytest.mark.anyio


async def test_a_mixed_fleet_speaks_1_6_on_odd_numbers_and_2_0_1_on_even_ones(csms: Csms, simulate: Simulate) -> None:
    async with simulate(count=5, version=None, prefix="CP-", first=8):
        await csms.until(lambda: len(csms.subprotocols) == 5)

    assert csms.subprotocols == {
        "CP-008": "ocpp2.0.1",
        "CP-009": "ocpp1.6",
        "CP-010": "ocpp2.0.1",
        "CP-011": "ocpp1.6",
        "CP-012": "ocpp2.0.1",
    }


async def test_every_station_of_a_fleet_charges_and_the_report_says_what_was_told(
    csms: Csms, simulate: Simulate
) -> None:
    identities = {f"SIM-{number:03d}" for number in range(1, 6)}

    def stopped() -> set[str]:
        frames = csms.call_frames("StopTransaction", "TransactionEvent")
        return {one.identity for one in frames if one.message[3].get("eventType", "Ended") == "Ended"}

    async with simulate(count=5, version=None, finish=True) as fleet:
        await csms.until(lambda: stopped() == identities)
        report = await fleet.stopped()

    assert {one.identity for one in report.stations} == identities
    assert report.error_count == 0
    for station in report.stations:
        sent = [one for one in csms.frames if one.identity == station.identity and one.from_station]
        got = [one for one in csms.frames if one.identity == station.identity and not one.from_station]
        assert (station.frames_sent, station.frames_received, station.undelivered) == (len(sent), len(got), 0)
        assert station.sessions
        for session in station.sessions:
            assert session.stop_delivered
            assert session.meter_stop_wh is not None
            assert session.energy_wh == session.meter_stop_wh - session.meter_start_wh


async def test_without_finish_the_charge_is_left_open_and_the_line_just_dies(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", speed=5) as fleet:
        await csms.until(lambda: len(csms.settled("MeterValues")) > 2)
        report = await fleet.stopped()
        await csms.until(lambda: csms.closes)

    assert csms.closes == [1006]
    assert csms.calls("StopTransaction") == []
    session = report.stations[0].sessions[0]
    assert (session.ended_at, session.stop_delivered, session.start_delivered) == (None, False, True)


async def test_with_finish_every_charge_is_stopped_and_the_line_is_closed(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", speed=5, finish=True) as fleet:
        await csms.until(lambda: len(csms.settled("TransactionEvent")) > 3)
        report = await fleet.stopped()
        await csms.until(lambda: csms.closes)

    assert csms.closes == [1000]
    assert csms.calls("TransactionEvent")[-1]["eventType"] == "Ended"
    assert report.sessions_delivered == len(report.stations[0].sessions) == 1


async def test_a_station_shows_its_password(csms: Csms, simulate: Simulate) -> None:
    async with simulate(password="pass:word-16-chars"):
        await csms.until(lambda: csms.headers)

    assert csms.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"SIM-001:pass:word-16-chars").decode()


async def test_a_refusing_server_is_asked_again_and_the_log_says_so_once(csms: Csms, simulate: Simulate) -> None:
    csms.refuses_with = HTTPStatus.UNAUTHORIZED
    with structlog.testing.capture_logs() as logs:
        async with simulate(speed=0.1):
            await csms.until(lambda: csms.handshakes >= 3)
            csms.refuses_with = None
            await csms.until(lambda: csms.calls("BootNotification"))

    assert [(one["event"], one["station"]) for one in logs] == [
        ("station.refused", "SIM-001"),
        ("station.reconnected", "SIM-001"),
    ]
    assert logs[0]["reason"] == "HTTP 401"


async def test_a_pending_station_keeps_quiet_and_asks_again_at_the_given_pace(csms: Csms, simulate: Simulate) -> None:
    csms.registrations = [("Pending", 1), ("Rejected", 1)]
    async with simulate(version="1.6"):
        await csms.until(lambda: csms.calls("StatusNotification"))

    asked = csms.call_frames("BootNotification", "StatusNotification", "Authorize", "Heartbeat")
    assert [one.message[2] for one in asked[:3]] == ["BootNotification"] * 3
    assert all((later.at - sooner.at).total_seconds() > 0.9 for sooner, later in pairwise(asked[:3]))


async def test_a_station_beats_at_the_interval_it_was_given(csms: Csms, simulate: Simulate) -> None:
    csms.registrations = [("Accepted", 1)]
    async with simulate(version="2.0.1", speed=0.1):
        await csms.until(lambda: len(csms.calls("Heartbeat")) >= 2)


async def test_the_same_seed_gives_the_same_cars_and_other_transaction_ids(csms: Csms, simulate: Simulate) -> None:
    starts = []
    for _ in range(2):
        csms.frames.clear()
        async with simulate(version="2.0.1", seed=99):
            await csms.until(lambda: csms.calls("TransactionEvent"))
        starts.append(csms.calls("TransactionEvent")[0])

    registers = [one["meterValue"][0]["sampledValue"][0]["value"] for one in starts]
    assert registers[0] == registers[1]
    assert starts[0]["transactionInfo"]["transactionId"] != starts[1]["transactionInfo"]["transactionId"]


async def test_meters_go_on_from_run_to_run_in_the_file_that_is_named(
    csms: Csms, simulate: Simulate, tmp_path: Path
) -> None:
    file, starts, stops = tmp_path / "registers", [], []
    for seed in (1, 2):
        csms.frames.clear()
        async with simulate(seed=seed, registers=file, finish=True) as fleet:
            await csms.until(lambda: csms.calls("MeterValues"))
            await fleet.stopped()
        starts.append(csms.calls("StartTransaction")[0]["meterStart"])
        stops.append(csms.calls("StopTransaction")[-1]["meterStop"])

    assert stops[0] > starts[0]
    assert starts[1] == stops[0]


async def test_an_unknown_version_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"1\.6, 2\.0\.1"):
        await run_stations(url="ws://127.0.0.1:1", count=1, version="3.0", speed=FAST, stop=asyncio.Event())

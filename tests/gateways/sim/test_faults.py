"""Each fault is what the station does to its server, and what was charged is right in spite of it."""

import asyncio
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from gateways.sim.faults import CLOCK_OFF_S, Fault
from tests.gateways.sim.conftest import Simulate
from tests.gateways.sim.csms import Csms
from voltgraph.cli import app

pytestmark = pytest.mark.anyio


async def test_a_stop_is_told_twice_as_two_messages(csms: Csms, simulate: Simulate) -> None:
    async with simulate(faults=[Fault.DUPLICATE_STOP]) as fleet:
        await csms.until(lambda: len(csms.settled("StopTransaction")) >= 2)
        report = await fleet.stopped()

    first, second = csms.call_frames("StopTransaction")[:2]
    assert first.message[3] == second.message[3]
    assert first.message[1] != second.message[1]
    assert report.stations[0].sessions[0].stop_delivered


async def test_what_happened_without_a_line_is_told_when_it_is_back(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", faults=[Fault.OFFLINE_BURST]):
        await csms.until(lambda: any(event.get("offline") for event in csms.calls("TransactionEvent")))

    assert csms.handshakes >= 2
    assert len(csms.calls("BootNotification")) == 1
    late = [frame for frame in csms.call_frames("TransactionEvent") if frame.message[3].get("offline")]
    assert all(datetime.fromisoformat(frame.message[3]["timestamp"]) < frame.at for frame in late)


@pytest.mark.parametrize(("version", "action"), [("1.6", "StopTransaction"), ("2.0.1", "TransactionEvent")])
async def test_a_charge_that_lost_its_power_is_stopped_after_the_boot(
    csms: Csms, simulate: Simulate, version: str, action: str
) -> None:
    def stops() -> list[int]:
        return [at for at, frame in enumerate(csms.frames) if frame.from_station and "PowerLoss" in str(frame.message)]

    async with simulate(version=version, faults=[Fault.REBOOT]):
        await csms.until(stops)

    boots = [at for at, frame in enumerate(csms.frames) if frame.message[2] == "BootNotification"]
    assert len(boots) == 2
    assert boots[1] < stops()[0]
    assert csms.frames[stops()[0]].message[2] == action


async def test_orders_are_answered_late_and_meter_values_go_on(
    csms: Csms, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.sim.charger.SLOW_S", (1.0, 1.0))
    async with simulate(faults=[Fault.SLOW_ANSWERS]):
        await csms.until(lambda: csms.calls("MeterValues"))
        asked, metered = asyncio.get_running_loop().time(), len(csms.calls("MeterValues"))
        assert await csms.change_configuration("SIM-001", "HeartbeatInterval", "10") == "Accepted"

        assert asyncio.get_running_loop().time() - asked >= 1.0
        assert len(csms.calls("MeterValues")) > metered


async def test_units_are_such_as_no_standard_has(csms: Csms, simulate: Simulate) -> None:
    async with simulate(faults=[Fault.WRONG_UNITS]):
        await csms.until(lambda: csms.calls("MeterValues"))

    sampled = csms.calls("MeterValues")[0]["meterValue"][0]["sampledValue"]
    assert {value["unit"] for value in sampled if "Active" in value["measurand"]} == {"KWH", "Kw"}
    assert csms.violations
    csms.violations.clear()


async def test_a_clock_is_wrong_and_goes_on_evenly(csms: Csms, simulate: Simulate) -> None:
    async with simulate(faults=[Fault.CLOCK_SKEW]):
        await csms.until(lambda: csms.calls("StopTransaction"))

    starts = csms.call_frames("StartTransaction", "StopTransaction")
    off = [datetime.fromisoformat(frame.message[3]["timestamp"]) - frame.at for frame in starts]
    assert all(abs(each) > timedelta(seconds=CLOCK_OFF_S[0] - 60) for each in off)
    assert abs(off[0] - off[1]) < timedelta(seconds=60)


async def test_a_second_socket_comes_beside_the_first_that_nobody_closed(csms: Csms, simulate: Simulate) -> None:
    async with simulate(faults=[Fault.HALF_OPEN]):
        await csms.until(lambda: csms.handshakes >= 2)
        assert csms.closes == []
        told = len(csms.calls("MeterValues"))
        await csms.until(lambda: len(csms.calls("MeterValues")) > told)


async def test_2_1_is_spoken(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.1"):
        await csms.until(lambda: any(event["eventType"] == "Ended" for event in csms.calls("TransactionEvent")))

    assert csms.subprotocols == {"SIM-001": "ocpp2.1"}


@pytest.mark.parametrize(
    ("option", "value", "known"), [("--fault", "gremlins", Fault.HALF_OPEN), ("--version", "3.0", "2.1")]
)
def test_what_is_not_known_is_refused_with_what_is(option: str, value: str, known: str) -> None:
    done = CliRunner().invoke(app, ["simulate", "stations", "--url", "ws://127.0.0.1:1", option, value])

    assert done.exit_code == 2
    assert known in done.output


def test_the_command_line_names_every_fault() -> None:
    shown = CliRunner().invoke(app, ["simulate", "stations", "--help"], terminal_width=200).output
    told = "".join(line.strip("│ ") + " " for line in shown.splitlines())

    assert [fault for fault in Fault if fault not in told] == []

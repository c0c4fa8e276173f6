"""Lost connections: the charge goes on, and everything is told later, in order, as of when it happened."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.gateways.sim.conftest import Simulate
from tests.gateways.sim.csms import Csms

pytestmark = pytest.mark.anyio
OUTAGE_S = 1.2


def at(payload: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(
        payload["timestamp"] if "timestamp" in payload else payload["meterValue"][0]["timestamp"]
    )


async def outage(csms: Csms) -> tuple[datetime, datetime]:
    """From when on the station must have noticed, until the server is back."""
    await csms.stop()
    noticed = datetime.now(UTC) + timedelta(seconds=0.3)
    await asyncio.sleep(OUTAGE_S)
    back = datetime.now(UTC)
    await csms.start()
    return noticed, back


async def test_a_1_6_charge_goes_on_offline_and_is_told_afterwards(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", speed=15) as fleet:
        await csms.until(lambda: len(csms.calls("MeterValues")) >= 3)
        noticed, back = await outage(csms)
        await csms.until(lambda: csms.settled("StopTransaction"))
        report = await fleet.stopped()

    stop = csms.calls("StopTransaction")[0]
    meters = [one for one in csms.calls("MeterValues") if one["transactionId"] == stop["transactionId"]]
    assert [at(one) for one in meters] == sorted(at(one) for one in meters)
    assert sum(noticed < at(one) < back for one in meters) >= 3
    assert {one["transactionId"] for one in meters} == {4001}
    assert len(csms.calls("StartTransaction")) == 1
    assert (
        report.stations[0].sessions[0].energy_wh == stop["meterStop"] - csms.calls("StartTransaction")[0]["meterStart"]
    )


async def test_a_2_0_1_charge_marks_what_happened_offline(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", speed=15):
        await csms.until(lambda: len(csms.calls("TransactionEvent")) >= 4)
        before = len(csms.calls("TransactionEvent"))
        noticed, back = await outage(csms)
        await csms.until(lambda: csms.calls("TransactionEvent")[-1]["eventType"] == "Ended")

    told = csms.calls("TransactionEvent")
    numbers = [one["seqNo"] for one in told]
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    assert numbers == sorted(numbers)
    during = [one for one in told if noticed < at(one) < back]
    assert len(during) >= 3
    assert all(one["offline"] for one in during)
    assert not any("offline" in one for one in told[:before])


async def test_a_station_that_only_lost_its_line_does_not_boot_again(csms: Csms, simulate: Simulate) -> None:
    def greetings() -> int:
        return sum(one["connectorId"] == 0 for one in csms.settled("StatusNotification"))

    async with simulate(version="1.6", speed=2) as fleet:
        await csms.until(lambda: greetings() == 1)
        await outage(csms)
        await csms.until(lambda: greetings() == 2)
        await outage(csms)
        await csms.until(lambda: greetings() == 3)
        report = await fleet.stopped()

    assert len(csms.calls("BootNotification")) == 1
    assert (report.stations[0].boots, report.stations[0].connects) == (1, 3)


async def test_a_start_that_was_never_answered_is_repeated_and_its_number_used(csms: Csms, simulate: Simulate) -> None:
    csms.cuts["StartTransaction"] = 1
    async with simulate(version="1.6", speed=15):
        await csms.until(lambda: csms.settled("StopTransaction"))

    first, second = csms.call_frames("StartTransaction")[:2]
    assert first.message[3] == second.message[3]
    assert first.message[1] != second.message[1]
    assert {one["transactionId"] for one in csms.calls("MeterValues", "StopTransaction")} == {4001}
    assert any(at(one) < second.at - timedelta(milliseconds=50) for one in csms.calls("MeterValues"))


async def test_a_2_0_1_station_repeats_with_the_id_of_the_first_attempt(csms: Csms, simulate: Simulate) -> None:
    csms.cuts["TransactionEvent"] = 1
    async with simulate(version="2.0.1", speed=15):
        await csms.until(lambda: len(csms.calls("TransactionEvent")) >= 3)

    first, second = csms.call_frames("TransactionEvent")[:2]
    assert first.message == second.message


async def test_a_charge_begun_and_ended_offline_is_told_as_a_whole(csms: Csms, simulate: Simulate) -> None:
    """The card is known from an earlier visit, so it opens the station without the server."""
    async with simulate(version="1.6", speed=200) as fleet:
        await csms.until(lambda: csms.settled("StopTransaction"))
        await csms.stop()
        await asyncio.sleep(3)
        down_until = datetime.now(UTC)
        await csms.start()
        await csms.until(lambda: at(csms.settled("StopTransaction")[-1]) > down_until)
        report = await fleet.stopped()

    whole = [one for one in report.stations[0].sessions if one.offline and one.ended_at and one.ended_at < down_until]
    assert whole
    assert all(one.start_delivered and one.stop_delivered and one.transaction_id for one in whole)
    started = [at(one) for one in csms.calls("StartTransaction")]
    assert started == sorted(started)


async def test_a_start_that_the_server_will_not_take_is_given_up_in_the_end(csms: Csms, simulate: Simulate) -> None:
    csms.registrations = [("Pending", 1)]
    csms.failures["StartTransaction"] = 3
    async with simulate(version="1.6", speed=15):
        await csms.until(lambda: csms.points)
        await csms.until(lambda: csms.calls("BootNotification"))
        await csms.change_configuration("SIM-001", "TransactionMessageRetryInterval", "0")
        await csms.until(lambda: csms.settled("StopTransaction"))

    starts = csms.calls("StartTransaction")
    assert starts[:3] == [starts[0]] * 3
    assert csms.calls("StopTransaction")[0]["transactionId"] == -1
    assert not any("transactionId" in one for one in csms.calls("MeterValues"))


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_what_changed_during_an_outage_is_told_after_it_and_only_that(
    csms: Csms, simulate: Simulate, version: str
) -> None:
    def only_metering() -> bool:
        asked = [one.message[2] for one in csms.frames if one.from_station and one.message[0] == 2]
        return len(asked) > 3 and set(asked[-3:]) <= {"MeterValues", "TransactionEvent"}

    def words() -> list[str]:
        own = [one for one in csms.calls("StatusNotification") if one.get("connectorId") == 1]
        return [one.get("status") or one["connectorStatus"] for one in own]

    async with simulate(version=version, speed=40):
        for _ in range(3):
            await csms.until(only_metering)
            await csms.stop()
            await asyncio.sleep(0.8)
            await csms.start()
        await csms.until(lambda: words()[-1] == "Available")

    assert all(before != after for before, after in pairwise(words()))

"""The house's ping interval, and what stations make of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from ocpp.v201 import call_result as result_v201

from domain.errors import Unavailable
from gateways.ocpp import Call, Handler, Pings, Version, own_interval, v16, v21, v201
from gateways.ocpp.memory import StationKey
from tests.factories import a_station
from tests.gateways.ocpp.wire import GUARD_S, NOW, Csms, Station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

BOOT_16 = {"chargePointModel": "M", "chargePointVendor": "V"}
BOOT_2X = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
UPDATE = """
mutation ($id: ID!, $s: Int) { updateStation(id: $id, input: { pingIntervalS: $s }) { id pingIntervalS } }
"""
COMPONENT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "WebSocketPingInterval"}}


@dataclass
class Notes:
    """The port, in memory."""

    noted: list[tuple[StationKey, str]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_away: bool = False

    async def refuses(self, station: StationKey, wish: str) -> bool:
        if self.is_away:
            raise Unavailable("Redis is away")
        return (station, wish) in self.noted

    async def note(self, station: StationKey, wish: str) -> None:
        self.noted.append((station, wish))
        self.changed.set()

    async def until_noted(self) -> None:
        async with asyncio.timeout(GUARD_S):
            await self.changed.wait()


@asynccontextmanager
async def house(
    version: Version, notes: Notes, *, interval_s: int = 60, own_s: int | None = None
) -> AsyncIterator[Csms]:
    """A server that has stations of one version boot."""
    async with Csms.running(versions=(version,)) as csms:
        boot = csms.handlers.get("BootNotification", _boot_2x)
        words = {Version.V16: v16, Version.V201: v201, Version.V21: v21}[version]
        package: Any = SimpleNamespace(
            VERSION=version, HANDLERS={"BootNotification": boot}, ORDERS=words.ORDERS, ANSWERS=words.ANSWERS
        )

        async def own(_station: StationKey) -> int | None:
            return own_s

        pings = Pings(interval_s=interval_s, refusals=notes, own=own, spread_s=0)
        handler: Handler = pings.after_boots(package).HANDLERS["BootNotification"]
        csms.on("BootNotification", handler)
        yield csms


async def _boot_2x(call: Call, _m: Any) -> Any:
    return result_v201.BootNotification(current_time=NOW, interval=300, status="Accepted")


async def told(station: Station, message_id: str, **payload: Any) -> None:
    await station.say([3, message_id, payload])


async def nothing_more(station: Station) -> None:
    """Whatever was to follow would have gone out before this answer."""
    assert (await station.ask([2, "h", "Heartbeat", {}])).startswith('[3,"h"')


async def test_a_station_of_1_6_is_told_how_often_to_ping() -> None:
    notes = Notes()
    async with house(Version.V16, notes) as csms, csms.station() as station:
        await station.ask([2, "b", "BootNotification", BOOT_16])
        message_id, action, payload = await station.called()
        assert (action, payload) == ("GetConfiguration", {"key": ["WebSocketPingInterval"]})
        setting = {"key": "WebSocketPingInterval", "readonly": False, "value": "0"}
        await told(station, message_id, configurationKey=[setting])
        message_id, action, payload = await station.called()
        assert (action, payload) == ("ChangeConfiguration", {"key": "WebSocketPingInterval", "value": "60"})
        await told(station, message_id, status="Accepted")
        await nothing_more(station)
    assert notes.noted == []


@pytest.mark.parametrize("version", [Version.V201, Version.V21])
async def test_a_station_of_2_x_is_told_how_often_to_ping(version: Version) -> None:
    notes = Notes()
    async with house(version, notes) as csms, csms.station(version=version) as station:
        await station.ask([2, "b", "BootNotification", BOOT_2X])
        message_id, action, payload = await station.called()
        assert (action, payload) == ("GetVariables", {"getVariableData": [COMPONENT]})
        result = [{**COMPONENT, "attributeStatus": "Accepted", "attributeValue": "30"}]
        await told(station, message_id, getVariableResult=result)
        message_id, action, payload = await station.called()
        assert (action, payload) == ("SetVariables", {"setVariableData": [{**COMPONENT, "attributeValue": "60"}]})
        await told(station, message_id, setVariableResult=[{**COMPONENT, "attributeStatus": "RebootRequired"}])
        await nothing_more(station)
    assert notes.noted == []


async def test_a_station_that_pings_as_it_should_is_left_alone() -> None:
    notes = Notes(is_away=True)
    async with house(Version.V16, notes) as csms, csms.station() as station:
        await station.ask([2, "b", "BootNotification", BOOT_16])
        message_id, _, _ = await station.called()
        setting = {"key": "WebSocketPingInterval", "readonly": True, "value": " 60"}
        await told(station, message_id, configurationKey=[setting])
        await nothing_more(station)
    assert notes.noted == []


@pytest.mark.parametrize(
    "answers",
    [
        [[4, "NotSupported", "", {}]],
        [[4, "NotImplemented", "", {}]],
        [[3, {}]],
        [[3, {"unknownKey": ["WebSocketPingInterval"]}]],
        [[3, {"configurationKey": [{"key": "WebSocketPingInterval", "readonly": True, "value": "0"}]}]],
        [[3, {"configurationKey": [{"key": "WebSocketPingInterval", "readonly": False}]}], [3, {"status": "Rejected"}]],
        [
            [3, {"configurationKey": [{"key": "WebSocketPingInterval", "readonly": False}]}],
            [3, {"status": "NotSupported"}],
        ],
        [
            [3, {"configurationKey": [{"key": "WebSocketPingInterval", "readonly": False}]}],
            [4, "InternalError", "", {}],
        ],
    ],
)
async def test_a_station_that_will_not_is_not_asked_again(answers: list[list[Any]]) -> None:
    notes = Notes()
    async with house(Version.V16, notes) as csms, csms.station() as station:
        await station.ask([2, "b1", "BootNotification", BOOT_16])
        for kind, *answer in answers:
            message_id, _, _ = await station.called()
            await station.say([kind, message_id, *answer])
        await notes.until_noted()
        await station.ask([2, "b2", "BootNotification", BOOT_16])
        await nothing_more(station)
    ((_, wish),) = notes.noted
    assert wish == "WebSocketPingInterval=60", "another interval is another question"


async def test_a_station_that_is_gone_before_it_answers_is_asked_again() -> None:
    notes = Notes()
    async with house(Version.V16, notes) as csms:
        for _ in range(2):
            async with csms.station() as station:
                await station.ask([2, "b", "BootNotification", BOOT_16])
                assert (await station.called())[1] == "GetConfiguration"
                await station.drop()
    assert notes.noted == []


async def test_stations_are_left_alone_where_the_house_has_no_wish() -> None:
    async with house(Version.V16, Notes(), interval_s=0) as csms, csms.station() as station:
        await station.ask([2, "b", "BootNotification", BOOT_16])
        await nothing_more(station)


async def test_what_somebody_wants_of_one_station_goes_before_what_the_house_wants() -> None:
    async with house(Version.V16, Notes(), own_s=20) as csms, csms.station() as station:
        await station.ask([2, "b", "BootNotification", BOOT_16])
        message_id, _, _ = await station.called()
        setting = {"key": "WebSocketPingInterval", "readonly": False, "value": "60"}
        await told(station, message_id, configurationKey=[setting])
        assert (await station.called())[2] == {"key": "WebSocketPingInterval", "value": "20"}
    async with house(Version.V16, Notes(), own_s=0) as csms, csms.station() as station:
        await station.ask([2, "b", "BootNotification", BOOT_16])
        await nothing_more(station)


async def test_it_is_kept_with_the_station(acme: Tester, rival: Tester) -> None:
    changed = await acme.gql(UPDATE, {"id": str((await a_station(acme)).id), "s": 20})
    station_id = UUID(changed["updateStation"]["id"])

    assert changed["updateStation"]["pingIntervalS"] == 20
    assert await own_interval(acme.workplace, (acme.tenant_id, station_id)) == 20
    assert await own_interval(acme.workplace, (rival.tenant_id, station_id)) is None
    for wrong in (-1, 86_401):
        assert await acme.gql_errors(UPDATE, {"id": str(station_id), "s": wrong}) == ["INVALID"]

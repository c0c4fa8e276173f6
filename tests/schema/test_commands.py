import asyncio
from typing import Any
from uuid import UUID

import pytest

from domain import commands, stations
from domain.actor import Role
from domain.commands import Command, CommandKind, CommandStatus, Outcome
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

ORDER = "id kind arguments status result error createdAt completedAt station { identity } session { id }"
SEND = f"""
mutation ($id: ID!, $command: StationCommand!) {{ sendCommand(stationId: $id, command: $command) {{ {ORDER} }} }}
"""
UPDATES = "subscription ($id: ID) { commandUpdates(commandId: $id) { id status result error completedAt } }"


async def requested(tester: Tester, station_id: UUID) -> Command:
    async with tester.work() as work:
        return await commands.request(work, station_id=station_id, kind=CommandKind.RESET, arguments={"type": "SOFT"})


async def completed(tester: Tester, command: Command, status: CommandStatus = CommandStatus.ACCEPTED) -> None:
    async with tester.work() as work:
        outcome = Outcome(status=status, result={"status": "Accepted"}, error=None)
        await commands.complete(work, command_id=command.id, outcome=outcome)


@pytest.mark.parametrize(
    ("command", "kind", "arguments"),
    [
        ({"reset": {"type": "HARD"}}, "RESET", {"type": "HARD"}),
        ({"reset": {}}, "RESET", {"type": "SOFT"}),
        (
            {"unlockConnector": {"evseNumber": 2, "connectorNumber": 1}},
            "UNLOCK_CONNECTOR",
            {"evse_number": 2, "connector_number": 1},
        ),
        (
            {"changeAvailability": {"operationalStatus": "INOPERATIVE"}},
            "CHANGE_AVAILABILITY",
            {"operational_status": "INOPERATIVE"},
        ),
        (
            {"triggerMessage": {"message": "METER_VALUES", "evseNumber": 1}},
            "TRIGGER_MESSAGE",
            {"message": "METER_VALUES", "evse_number": 1},
        ),
        ({"getConfiguration": {"keys": ["A"]}}, "GET_CONFIGURATION", {"keys": ["A"]}),
        ({"changeConfiguration": {"key": "A", "value": "1"}}, "CHANGE_CONFIGURATION", {"key": "A", "value": "1"}),
    ],
)
async def test_an_order_is_written_down_in_the_domains_words(
    acme: Tester, command: dict[str, Any], kind: str, arguments: dict[str, Any]
) -> None:
    station = await a_station(acme, "CP-1")

    sent = (await acme.gql(SEND, {"id": str(station.id), "command": command}))["sendCommand"]

    assert (sent["kind"], sent["arguments"], sent["station"]) == (kind, arguments, {"identity": "CP-1"})
    assert (sent["status"], bool(sent["error"]), bool(sent["completedAt"])) == ("FAILED", True, True)  # nobody is there


@pytest.mark.parametrize("command", [{}, {"reset": {}, "getConfiguration": {}}, {"reset": None}])
async def test_an_order_is_exactly_one(acme: Tester, command: dict[str, Any]) -> None:
    station = await a_station(acme)

    assert await acme.gql_errors(SEND, {"id": str(station.id), "command": command}) == ["INVALID"]


async def test_a_viewer_may_not_order(acme: Tester) -> None:
    station = await a_station(acme)

    assert await acme.gql_errors(SEND, {"id": str(station.id), "command": {"reset": {}}}, role=Role.VIEWER) == [
        "FORBIDDEN"
    ]


async def test_a_charge_is_stopped_at_its_own_station(acme: Tester) -> None:
    from tests.schema.test_sessions import a_charger

    here, there = await a_charger(acme), await a_charger(acme)
    session = await here.start()
    stop = {"remoteStop": {"sessionId": str(session.id)}}

    assert await acme.gql_errors(SEND, {"id": str(there.station_id), "command": stop}) == ["INVALID"]
    sent = (await acme.gql(SEND, {"id": str(here.station_id), "command": stop}))["sendCommand"]
    assert (sent["kind"], sent["session"]) == ("REMOTE_STOP", {"id": str(session.id)})


async def test_whoever_watches_sees_an_order_as_a_query_does(acme: Tester) -> None:
    """No query asks for an order: the domain says what is true."""
    station = await a_station(acme)
    command = await requested(acme, station.id)

    async with acme.subscribe(UPDATES, {"id": str(command.id)}) as items, asyncio.timeout(20):
        assert (await anext(items))["commandUpdates"]["status"] == "QUEUED"
        await completed(acme, command)
        told = (await anext(items))["commandUpdates"]
        async with acme.work(read_only=True) as work:
            now = await commands.by_id(work, command.id)

    assert (told["status"], told["result"], told["error"]) == (now.status, now.result, now.error)


async def test_all_orders_are_told_of_where_none_is_named(acme: Tester) -> None:
    station = await a_station(acme)
    pending, over = await requested(acme, station.id), await requested(acme, station.id)
    await completed(acme, over)

    async with acme.subscribe(UPDATES) as items, asyncio.timeout(20):
        assert (await anext(items))["commandUpdates"]["id"] == str(pending.id)
        fresh = await requested(acme, station.id)
        told = (await anext(items))["commandUpdates"]

    assert (told["id"], told["status"]) == (str(fresh.id), "QUEUED")


async def test_an_order_goes_with_its_station(acme: Tester) -> None:
    station = await a_station(acme)
    command = await requested(acme, station.id)
    async with acme.work() as work:
        await stations.delete(work, station_id=station.id)

    async with acme.subscribe(UPDATES) as items:
        waiting = asyncio.ensure_future(anext(items))
        done, _ = await asyncio.wait({waiting}, timeout=0.5)
        waiting.cancel()
        await asyncio.wait({waiting})

    assert not done, command

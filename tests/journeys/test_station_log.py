"""What an engineer on the phone with a site sees: both sides of the conversation, as it happens, and no secrets."""

import asyncio
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.journeys.chargers import Charger, Charger16, Charger201, socket_to
from tests.journeys.clients import Operator
from tests.journeys.servers import Server

pytestmark = pytest.mark.anyio

ENTRY = "id direction kind action messageId payload durationMs errorCode"
LOG = f"""
query ($id: ID!, $filter: StationLogFilter) {{
  stationLog(stationId: $id, filter: $filter, first: 500) {{ nodes {{ {ENTRY} }} }}
}}
"""
FOLLOW = f"subscription ($id: ID!) {{ stationLogUpdates(stationId: $id) {{ {ENTRY} }} }}"
CONFIGURE = """
mutation ($id: ID!, $config: JSON!) { updateStationConfig(stationId: $id, config: $config) { id } }
"""
SECRET = "planted-0123456789"
KEYS: dict[type[Charger], str] = {
    Charger16: "AuthorizationKey",
    Charger201: "SecurityCtrlr.BasicAuthPassword",
}


async def logged(operator: Operator, station_id: str, **filter: Any) -> list[Any]:
    """The oldest first."""
    return list(reversed((await operator.ask(LOG, id=station_id, filter=filter))["nodes"]))


async def until_logged(operator: Operator, station_id: str, action: str) -> list[Any]:
    async with asyncio.timeout(30):
        while not (found := await logged(operator, station_id, actions=[action])):  # noqa: ASYNC110 -- it is written down later
            await asyncio.sleep(0.1)
    return found


@pytest.mark.parametrize("kind", [Charger16, Charger201])
async def test_a_conversation_is_followed_live_and_found_again(
    operator: Operator, base: str, identity: str, kind: type[Charger]
) -> None:
    async with kind.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        async with operator.watching(FOLLOW, id=station_id) as one, operator.watching(FOLLOW, id=station_id) as two:
            await charger.boot()
            await charger.plug_in()
            for stream in (one, two):  # they share their news
                seen = [await stream.next()]
                while (seen[-1]["kind"], seen[-1]["action"]) != ("RESULT", "StatusNotification"):
                    seen.append(await stream.next())
                assert [(entry["direction"], entry["kind"], entry["action"]) for entry in seen] == [
                    ("NONE", "EVENT", "connected"),
                    ("IN", "CALL", "BootNotification"),
                    ("OUT", "RESULT", "BootNotification"),
                    ("IN", "CALL", "StatusNotification"),
                    ("OUT", "RESULT", "StatusNotification"),
                ]
    (gone,) = await until_logged(operator, station_id, "disconnected")

    assert '"code":1000' in gone["payload"]
    assert (await logged(operator, station_id))[: len(seen)] == seen
    connected = await operator.station(identity, "connectedAt peer ocppVersion")
    assert (connected["peer"], connected["ocppVersion"]) == ("127.0.0.1", kind.subprotocol)


@pytest.mark.parametrize("kind", [Charger16, Charger201])
async def test_a_password_that_goes_to_a_station_is_in_no_log(
    operator: Operator, server: Server, base: str, identity: str, kind: type[Charger]
) -> None:
    async with kind.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        async with operator.watching(FOLLOW, id=station_id) as stream:
            ordering = asyncio.create_task(operator.ask(CONFIGURE, id=station_id, config={KEYS[kind]: SECRET}))
            _, order = await charger.ordered()
            assert SECRET in str(order), "it did get there"
            await charger.connection.send(f'[2,"9","Moan",{{"about":"I dislike {SECRET}"}}]')
            await charger.connection.send(f'[2,"8","Moan",{{"password":"{SECRET}","value":')
            await ordering
            seen: list[Any] = []
            while not seen or seen[-1]["action"] != "unreadable":
                seen.append(await stream.next())
    await until_logged(operator, station_id, "disconnected")

    entries = await logged(operator, station_id)
    assert any(KEYS[kind].rpartition(".")[2] in entry["payload"] for entry in entries)
    assert SECRET not in str(entries) + str(seen)
    assert SECRET not in server.log.read_text()


async def test_what_is_wrong_with_a_station_is_in_its_log(operator: Operator, base: str, identity: str) -> None:
    """A wrong password, a deviation, a frame that is none."""
    registered = await operator.ask(
        "mutation ($input: RegisterStationInput!) { registerStation(input: $input) { id } }",
        input={"identity": identity, "password": SECRET},
    )
    with pytest.raises(InvalidStatus):
        async with socket_to(base, identity, "ocpp1.6", password="wrong-password"):
            pass
    async with Charger16.connected(base, identity, password=SECRET) as charger:
        await charger.connection.send('[2,"1","Heartbeat",{"extra":1}]')
        await charger.connection.send("hello?")
        await charger.boot()

    (denied,) = await until_logged(operator, registered["id"], "denied")
    (tolerated,) = await until_logged(operator, registered["id"], "tolerated")
    (unreadable,) = await until_logged(operator, registered["id"], "unreadable")
    assert '"status":401' in denied["payload"]
    assert '"path":"extra"' in tolerated["payload"]
    assert unreadable["payload"] == "hello?"
    assert "password" not in str(await logged(operator, registered["id"], text=SECRET))

"""Orders for stations that are not there, on servers that end and come back."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.journeys.chargers import SILENCE, Charger, Charger16, Charger201
from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server, running

pytestmark = pytest.mark.anyio

FIELDS = "id kind status attempts result error"
REGISTER = "mutation ($i: RegisterStationInput!) { registerStation(input: $i) { id } }"
SEND = f"""
mutation ($id: ID!, $c: StationCommand!) {{ sendCommand(stationId: $id, command: $c, queueForS: 600) {{ {FIELDS} }} }}
"""
CANCEL = f"mutation ($id: ID!) {{ cancelCommand(commandId: $id) {{ {FIELDS} }} }}"
COMMAND = f"query ($id: ID!) {{ command(id: $id) {{ {FIELDS} }} }}"
UPDATES = f"subscription ($id: ID) {{ commandUpdates(commandId: $id) {{ {FIELDS} }} }}"
WAITING = """
query ($id: ID!) { commands(filter: { stationId: $id, status: [QUEUED] }) { totalCount } }
"""

HEARTBEAT = {"triggerMessage": {"message": "HEARTBEAT"}}


@pytest.fixture(scope="module")
def restarted(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """One whose orders and stations are missed soon."""
    soon = {"VOLTGRAPH_STATION_LEASE_S": "4", "VOLTGRAPH_COMMAND_DEADLINE_S": "3"}
    with running(Server(folder / "restarted", **{**environment, **soon})) as server:
        yield server


async def registered(operator: Operator, identity: str) -> str:
    return str((await operator.ask(REGISTER, i={"identity": identity}))["id"])


def restart(server: Server, *, by: signal.Signals) -> None:
    """Not in a thread: a server ends with the one that started it."""
    server.signal(by)
    server.wait()
    server.start()


@pytest.mark.parametrize(("kind", "by"), [(Charger16, signal.SIGTERM), (Charger201, signal.SIGKILL)])
async def test_an_order_waits_over_a_restart_for_a_station_that_comes_later(
    kind: type[Charger], by: signal.Signals, restarted: Server, tenant: Tenant, identity: str
) -> None:
    async with Operator(restarted.url, tenant.secret) as operator:
        station_id = await registered(operator, identity)
        wanted: list[dict[str, Any]] = [{"reset": {}}, HEARTBEAT]
        reset, heartbeat = [await operator.ask(SEND, id=station_id, c=order) for order in wanted]
        assert [(one["status"], one["attempts"]) for one in (reset, heartbeat)] == [("QUEUED", 0)] * 2
        off = await operator.ask(SEND, id=station_id, c={"reset": {"type": "HARD"}})
        assert (await operator.ask(CANCEL, id=off["id"]))["status"] == "CANCELLED"

    restart(restarted, by=by)

    async with (
        Operator(restarted.url, tenant.secret) as operator,
        operator.watching(UPDATES, id=reset["id"]) as updates,
        operator.watching(UPDATES, id=heartbeat["id"]) as later_updates,
    ):
        assert (await updates.next())["status"] == "QUEUED"
        async with kind.connected(f"{restarted.ocpp}/{tenant.slug}", identity) as charger:
            await charger.boot()
            heard = [(await charger.ordered())[0] for _ in range(2)]
            await updates.until(lambda told: told["status"] == "ACCEPTED")
            await later_updates.until(lambda told: told["status"] == "ACCEPTED")
        over = await operator.ask(COMMAND, id=reset["id"])
        assert await operator.ask(WAITING, id=station_id) == {"totalCount": 0}

    assert heard == ["Reset", "TriggerMessage"], "by age; nothing of what was called off"
    assert (over["status"], over["attempts"], over["error"]) == ("ACCEPTED", 1, None)
    states = [told["status"] for told in updates.seen]
    assert states == sorted(states, key=["QUEUED", "SENT", "ACCEPTED"].index)


async def test_what_was_on_the_wire_when_the_server_died_is_repeated_where_it_may_be(
    restarted: Server, tenant: Tenant
) -> None:
    """Two stations: the one that was asked for a heartbeat is asked again, the one that was to reset is not."""
    identities = [f"CP-{uuid4().hex[-10:]}" for _ in range(2)]
    orders: list[dict[str, Any]] = [HEARTBEAT, {"reset": {}}]
    sent: list[dict[str, Any]] = []
    async with Operator(restarted.url, tenant.secret) as operator:
        for identity, order in zip(identities, orders, strict=True):
            station_id = await registered(operator, identity)
            sent.append(await operator.ask(SEND, id=station_id, c=order))
        async with asyncio.TaskGroup() as group:
            for identity in identities:
                group.create_task(silent(f"{restarted.ocpp}/{tenant.slug}", identity))
        restart(restarted, by=signal.SIGKILL)

    async with Operator(restarted.url, tenant.secret) as operator:
        base = f"{restarted.ocpp}/{tenant.slug}"
        async with Charger16.connected(base, identities[0]) as one, Charger16.connected(base, identities[1]) as other:
            async with operator.watching(UPDATES, id=sent[0]["id"]) as updates:
                assert (await one.ordered())[0] == "TriggerMessage"
                repeated = await updates.until(lambda told: told["status"] == "ACCEPTED")
            async with operator.watching(UPDATES, id=sent[1]["id"]) as updates:
                given_up = await updates.until(lambda told: told["status"] == "TIMEOUT")
            assert other.orders.empty()

    assert repeated["attempts"] == 2
    assert given_up["attempts"] == 1
    assert "it is not sent again" in given_up["error"]


async def silent(base: str, identity: str) -> None:
    """Connects, boots, hears one order, and says nothing to it."""
    async with Charger16.connected(base, identity) as charger:
        charger.answers = dict.fromkeys(charger.answers, SILENCE)
        await charger.boot()
        await charger.ordered()

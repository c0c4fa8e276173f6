"""Several processes that share one port and one cluster state."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.journeys.chargers import Bare, Charger, Charger16, Charger201, hung_up, now, written
from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server, awaited

pytestmark = pytest.mark.anyio

GUARD_S = 30.0

RESET = "mutation ($id: ID!) { sendCommand(stationId: $id, command: { reset: { type: SOFT } }) { status error } }"
STATUS = """
subscription ($ids: [ID!]) { stationStatusUpdates(stationIds: $ids) { station { online } evseNumber status } }
"""
SESSIONS = "subscription ($s: ID) { sessionUpdates(stationId: $s) { kind session { transactionId energyWh } } }"


@pytest.fixture
def workers(cluster: Server) -> list[int]:
    """Their process ids. Another test may have ended one: then its successor serves by now."""
    awaited(lambda: len(_serving(cluster)) == 2, "two workers that serve")
    return sorted(cluster.workers())


def _serving(cluster: Server) -> set[int]:
    """Those that have bound the port and answer."""
    found = set()
    for _ in range(20):
        with httpx2.Client(base_url=cluster.url) as client:
            answer = client.get("/health")
            port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
            found.add(cluster.holder(port))
    return found


@pytest.fixture
def base(cluster: Server, tenant: Tenant) -> str:
    return f"{cluster.ocpp}/{tenant.slug}"


@asynccontextmanager
async def an_operator(cluster: Server, tenant: Tenant, pid: int) -> AsyncIterator[Operator]:
    """Whose requests one process serves."""
    async with AsyncExitStack() as stack:
        while True:
            operator = await stack.enter_async_context(Operator(cluster.url, tenant.secret))
            if cluster.holder(await operator.port()) == pid:
                yield operator
                return


@pytest.mark.parametrize("kind", [Charger16, Charger201])
async def test_an_order_reaches_a_station_whichever_process_holds_it(
    kind: type[Charger], cluster: Server, workers: list[int], tenant: Tenant, base: str, identity: str
) -> None:
    for holder in workers:
        name = f"{identity}-{holder}"
        async with kind.connected(base, name, over=cluster.line_to(holder)) as charger:
            for asked in workers:
                async with an_operator(cluster, tenant, asked) as operator:
                    station = await operator.station(name, "id online")
                    assert station["online"] is True
                    assert await operator.ask(RESET, id=station["id"]) == {"status": "ACCEPTED", "error": None}
                    assert (await charger.ordered())[0] == "Reset"


async def test_whoever_watches_sees_stations_of_every_process(
    cluster: Server, workers: list[int], tenant: Tenant, base: str, identity: str
) -> None:
    for holder, asked in (workers, workers[::-1]):
        name = f"{identity}-{holder}"
        async with (
            an_operator(cluster, tenant, asked) as operator,
            Charger16.connected(base, name, over=cluster.line_to(holder)) as charger,
        ):
            station_id = (await operator.station(name))["id"]
            async with (
                operator.watching(STATUS, over=cluster.line_to(asked), ids=[station_id]) as statuses,
                operator.watching(SESSIONS, over=cluster.line_to(asked), s=station_id) as charges,
            ):
                transaction_id = await charger.start("NOBODY", 0)
                await statuses.until(lambda told: told["status"] == "CHARGING")
                await charger.stop(400)
                last = await charges.until(lambda told: told["kind"] == "STOPPED")
                assert last["session"] == {"transactionId": transaction_id, "energyWh": 400}
                await charger.connection.close()
                await statuses.until(lambda told: not told["station"]["online"])


async def test_the_newest_socket_wins_wherever_it_is(
    cluster: Server, workers: list[int], tenant: Tenant, base: str, identity: str
) -> None:
    async with AsyncExitStack() as stack, an_operator(cluster, tenant, workers[0]) as operator:
        previous: Bare | None = None
        for pid in [*workers, *workers, workers[1]]:
            newest = await stack.enter_async_context(Bare.connected(base, identity, over=cluster.line_to(pid)))
            await newest.call("Heartbeat", {})
            if previous is not None:
                assert await hung_up(previous.connection) == 1000
            station = await operator.station(identity, "id online")
            assert station["online"] is True
            ordered = asyncio.create_task(operator.ask(RESET, id=station["id"]))
            message_id, action, _ = await newest.ordered()
            assert action == "Reset"
            await newest.say([3, message_id, {"status": "Accepted"}])
            assert (await ordered)["status"] == "ACCEPTED"
            previous = newest


async def test_what_was_answered_into_a_broken_connection_is_answered_alike_elsewhere(
    cluster: Server, workers: list[int], tenant: Tenant, base: str, identity: str
) -> None:
    start = {"connectorId": 1, "idTag": "NOBODY", "meterStart": 5, "timestamp": written(now())}
    stop = {"meterStop": 9, "timestamp": written(now())}
    answers = []
    before = await _answered(cluster)
    for pid in (*workers, workers[0]):
        async with Bare.connected(base, identity, over=cluster.line_to(pid)) as charger:
            begun = await charger.told([2, "m-1", "StartTransaction", start])
            transaction_id = orjson.loads(begun)[2]["transactionId"]
            ended = await charger.told([2, "m-2", "StopTransaction", {**stop, "transactionId": transaction_id}])
            answers.append((begun, ended))
            charger.drop()
    assert answers == answers[:1] * 3
    assert [after - before for after, before in zip(await _answered(cluster), before, strict=True)] == [1, 2] * 2


async def _answered(cluster: Server) -> list[float]:
    """How many starts and stops were handled, and how many were repeats."""
    name = "voltgraph_ocpp_messages_total"
    return [
        await _metric(cluster, name, action=action, result=result)
        for action in ("StartTransaction", "StopTransaction")
        for result in ("ok", "repeated")
    ]


async def test_a_station_that_is_deleted_is_hung_up_on_wherever_it_is(
    cluster: Server, workers: list[int], tenant: Tenant, base: str, identity: str
) -> None:
    """Should it come back, it is a new one."""
    for holder, asked in (workers, workers[::-1]):
        name = f"{identity}-{holder}"
        async with (
            an_operator(cluster, tenant, asked) as operator,
            Bare.connected(base, name, over=cluster.line_to(holder)) as charger,
        ):
            await charger.call("Heartbeat", {})
            station = await operator.station(name)
            await operator.ask("mutation ($id: ID!) { deleteStation(id: $id) { id } }", **station)
            assert await charger.closed() == 1000
            async with Bare.connected(base, name) as newcomer:
                await newcomer.call("Heartbeat", {})
                assert (await operator.station(name))["id"] != station["id"]


async def test_each_process_says_who_it_is_and_metrics_are_of_all(
    cluster: Server, workers: list[int], tenant: Tenant, base: str, identity: str
) -> None:
    processes = set()
    before = await _metric(cluster, "voltgraph_ocpp_messages_total", action="Heartbeat", result="ok", version="1.6")
    async with AsyncExitStack() as stack:
        for pid in workers:
            operator = await stack.enter_async_context(an_operator(cluster, tenant, pid))
            name = f"{identity}-{pid}"
            charger = await stack.enter_async_context(Bare.connected(base, name, over=cluster.line_to(pid)))
            await charger.call("Heartbeat", {})
            health = (await operator.get("/health/detailed")).json()
            assert health["parts"]["sockets"]["stations_here"] >= 1
            processes.add(health["process"])
        assert await _metric(cluster, "voltgraph_ocpp_sockets", version="1.6") >= 2

    assert len(processes) == 2
    after = await _metric(cluster, "voltgraph_ocpp_messages_total", action="Heartbeat", result="ok", version="1.6")
    assert after - before == 2


async def test_a_process_that_was_killed_is_replaced_and_its_stations_are_missed(
    cluster: Server, workers: list[int], tenant: Tenant, base: str, identity: str
) -> None:
    victim, survivor = workers
    gone, back = f"{identity}-gone", f"{identity}-back"
    async with (
        AsyncExitStack() as stack,
        an_operator(cluster, tenant, survivor) as operator,
        Bare.connected(base, back, over=cluster.line_to(victim)) as loyal,
    ):
        lost = await stack.enter_async_context(Bare.connected(base, gone, over=cluster.line_to(victim)))
        await lost.call("Heartbeat", {})
        ids = {name: (await operator.station(name))["id"] for name in (gone, back)}
        async with operator.watching(STATUS, over=cluster.line_to(survivor), ids=[ids[gone]]) as statuses:
            assert (await statuses.next())["station"]["online"] is True

            os.kill(victim, signal.SIGKILL)

            await loyal.connection.wait_closed()
            failed = await operator.ask(RESET, id=ids[gone])
            assert failed["status"] == "FAILED"
            assert failed["error"]
            async with Charger16.connected(base, back) as charger:
                assert await operator.ask(RESET, id=ids[back]) == {"status": "ACCEPTED", "error": None}
                await charger.ordered()
                await statuses.until(lambda told: not told["station"]["online"])
                assert (await operator.station(back, "online"))["online"] is True

    awaited(lambda: len(_serving(cluster)) == 2, "a new worker")
    assert victim not in cluster.workers()
    async with asyncio.timeout(GUARD_S):  # until the processes have seen the last of our sockets go
        while await _metric(cluster, "voltgraph_ocpp_sockets"):
            pass


async def _metric(server: Server, name: str, **labels: str) -> float:
    """Over all processes, whichever is asked."""
    async with httpx2.AsyncClient(base_url=server.url) as client:
        text = (await client.get("/metrics")).text
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found)

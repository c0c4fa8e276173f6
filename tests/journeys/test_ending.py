"""How a server ends and comes back: what it has acknowledged is there."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.chargers import SILENCE, Bare, Charger16, hung_up, now, written
from tests.journeys.clients import Operator, Tenant
from tests.journeys.ledger import Ledger, assert_kept, charge_for_ever
from tests.journeys.servers import Server, awaited, running
from voltgraph.embedded import processes

pytestmark = pytest.mark.anyio

RESTARTING = 1012
GUARD_S = 60.0

RESET = "mutation ($id: ID!) { sendCommand(stationId: $id, command: { reset: { type: SOFT } }) { status error } }"
SESSIONS = "query ($i: String!) { sessions(filter: { stationIdentity: $i }) { nodes { transactionId } } }"


@pytest.fixture(scope="module")
def premises(folder: Path) -> Iterator[tuple[Server, Tenant]]:
    """Its servers are embedded: PostgreSQL and Valkey come and go with it."""
    with running(Server(folder / "own")) as server:
        yield server, Tenant.made(server)


@pytest.fixture
def own(premises: tuple[Server, Tenant]) -> Server:
    """Up, however the test before has ended."""
    server, _ = premises
    if not server.up:
        server.start()
    return server


@pytest.fixture
def customer(premises: tuple[Server, Tenant]) -> Tenant:
    return premises[1]


@pytest.mark.parametrize(
    ("ending", "workers"),
    [(signal.SIGTERM, 1), (signal.SIGKILL, 1), (signal.SIGKILL, 2), (signal.SIGINT, 2)],
    ids=lambda value: getattr(value, "name", str(value)),
)
async def test_nothing_that_was_acknowledged_is_lost(
    ending: signal.Signals, workers: int, own: Server, customer: Tenant, identity: str
) -> None:
    own.with_workers(workers)
    ledgers = [Ledger(f"{identity}-{number}") for number in range(6)]
    base = f"{own.ocpp}/{customer.slug}"

    async with asyncio.timeout(GUARD_S):
        charging = [asyncio.create_task(charge_for_ever(base, ledger)) for ledger in ledgers]
        await asyncio.gather(*(ledger.more(5) for ledger in ledgers))
        own.signal(ending)
        codes = await asyncio.gather(*charging)
    code = own.wait()
    own.start()

    if ending is not signal.SIGKILL:
        assert set(codes) == {RESTARTING}
        assert code == 0
    async with Operator(own.url, customer.secret) as operator:
        for ledger in ledgers:
            await assert_kept(operator, ledger)


async def test_who_waits_for_an_answer_gets_it_before_the_server_ends(
    own: Server, customer: Tenant, identity: str
) -> None:
    base = f"{own.ocpp}/{customer.slug}"
    async with (
        Operator(own.url, customer.secret) as operator,
        Operator(own.url, customer.secret) as other,
        Bare.connected(base, identity) as charger,
        Charger16.connected(base, f"{identity}-silent") as silent,
        operator.watching("subscription { stationStatusUpdates { status } }") as stream,
    ):
        silent.answers["Reset"] = SILENCE
        station_id = (await operator.station(silent.identity))["id"]
        ordering = asyncio.create_task(other.ask(RESET, id=station_id))
        await silent.ordered()
        at = now()
        for number in range(20):
            start = {"connectorId": 1, "idTag": "NOBODY", "meterStart": number, "timestamp": written(at)}
            await charger.say([2, f"m-{number}", "StartTransaction", start])
        answers = [await charger.heard()]

        own.signal(signal.SIGTERM)

        answers += [await charger.heard() for _ in range(19)]
        assert await charger.closed() == RESTARTING
        assert await hung_up(silent.connection) == RESTARTING
        assert await stream.ended() in (1001, RESTARTING)
        assert (await ordering)["status"] == "FAILED"
    assert own.wait() == 0
    own.start()

    assert [answer[:2] for answer in answers] == [[3, f"m-{number}"] for number in range(20)]
    async with Operator(own.url, customer.secret) as operator:
        kept = (await operator.ask(SESSIONS, i=identity))["nodes"]
    assert {node["transactionId"] for node in kept} == {str(answer[2]["transactionId"]) for answer in answers}


async def test_a_second_server_on_the_same_data_is_refused(own: Server) -> None:
    refused = own.run("serve", "--port", "0")

    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.splitlines() == [
        f"voltgraph: already running as process {own.pid} with the data directory {own.data_dir}"
    ]
    assert own.healthy()


async def test_a_port_that_is_in_use_is_named(own: Server, tmp_path: Path, environment: dict[str, str]) -> None:
    other = Server(tmp_path, **environment)
    refused = other.run("serve", "--port", str(own.port))

    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"voltgraph: VOLTGRAPH_PORT: 127.0.0.1:{own.port} cannot be served on")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("VOLTGRAPH_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none"),
        ("VOLTGRAPH_REDIS_URL", "redis://127.0.0.1:1"),
        ("VOLTGRAPH_REDIS_URL", "redis://127.0.0.1:port"),
    ],
)
async def test_a_server_that_its_url_does_not_lead_to_is_named(
    name: str, url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    refused = Server(tmp_path, **{**environment, name: url}).run("serve", "--port", "0")

    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"voltgraph: {name}: ")


async def test_commands_find_the_servers_of_a_running_server(own: Server, customer: Tenant) -> None:
    """And start those that they need where none runs."""
    refused = own.run("tenant", "create", customer.slug)
    assert (refused.returncode, refused.stderr) == (1, f"voltgraph: tenant {customer.slug} exists already\n")
    own.stop()
    own.said("tenant", "create", f"{customer.slug}-2")
    own.start()
    secret = own.said("credential", "create", "--tenant", f"{customer.slug}-2", "--role", "VIEWER")

    async with Operator(own.url, secret) as operator:
        assert await operator.ask("{ me { role tenant { slug } } }") == {
            "role": "VIEWER",
            "tenant": {"slug": f"{customer.slug}-2"},
        }


async def test_no_worker_outlives_a_server_that_is_killed_as_they_begin(own: Server) -> None:
    """They have hardly begun to be what they shall be."""
    own.stop()
    own.arguments = ("serve", "--port", "0", "--workers", "2")
    own.launch()
    workers = awaited(own.workers, "a worker")
    os.kill(own.pid, signal.SIGKILL)
    own.wait()

    awaited(lambda: not any(processes.identity(pid) for pid in workers), "the end of its workers")

"""How a server ends and comes back: what it has acknowledged is there."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.journeys.chargers import SILENCE, Bare, CallError, Charger16, hung_up, now, written
from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server, running

pytestmark = pytest.mark.anyio

RESTARTING = 1012
GUARD_S = 60.0

RESET = "mutation ($id: ID!) { sendCommand(stationId: $id, command: { reset: { type: SOFT } }) { status error } }"
SESSIONS = """
query ($i: String!) { sessions(first: 500, filter: { stationIdentity: $i }) { nodes {
  transactionId status energyWh
} pageInfo { hasNextPage } } }
"""
HISTORY = """
query ($p: [String!]!, $from: DateTime!, $to: DateTime!) { history(points: $p, from: $from, to: $to) {
  timestamps series { values }
} }
"""


@dataclass
class Ledger:
    """What one charger was told is taken."""

    identity: str
    began: datetime = field(default_factory=lambda: now() - timedelta(minutes=4))
    started: set[str] = field(default_factory=set)
    stopped: dict[str, float] = field(default_factory=dict)
    readings: dict[datetime, float] = field(default_factory=dict)
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    _ticks: int = 0

    def tick(self) -> datetime:
        """A time of its own for each message."""
        self._ticks += 1
        return self.began + timedelta(milliseconds=self._ticks)


async def charge_for_ever(base: str, ledger: Ledger) -> int:
    """Charge after charge, until the server hangs up; with which code it does."""
    async with Bare.connected(base, ledger.identity) as charger:
        with suppress(ConnectionClosed):
            while True:
                with suppress(CallError):  # no acknowledgement: its database may go before it does
                    await _charge(charger, ledger)
                if len(ledger.stopped) == 5:
                    ledger.enough.set()
    assert charger.connection.close_code is not None
    return charger.connection.close_code


async def _charge(charger: Bare, ledger: Ledger) -> None:
    start = {"connectorId": 1, "idTag": "NOBODY", "meterStart": 0, "timestamp": written(ledger.tick())}
    number = (await charger.call("StartTransaction", start))["transactionId"]
    ledger.started.add(str(number))
    for wh in (100, 200, 300):
        at = ledger.tick()
        entry = {"timestamp": written(at), "sampledValue": [{"value": str(wh)}]}
        values = {"connectorId": 1, "transactionId": number, "meterValue": [entry]}
        await charger.call("MeterValues", values)
        ledger.readings[at] = wh
    stop = {"transactionId": number, "meterStop": 400, "timestamp": written(ledger.tick())}
    await charger.call("StopTransaction", stop)
    ledger.stopped[str(number)] = 400


async def assert_kept(operator: Operator, ledger: Ledger) -> None:
    """All that was acknowledged is there, once."""
    found = await operator.ask(SESSIONS, i=ledger.identity)
    assert not found["pageInfo"]["hasNextPage"]
    kept = {node["transactionId"]: node for node in found["nodes"]}
    assert len(kept) == len(found["nodes"])
    assert ledger.started <= kept.keys()
    for transaction_id, energy_wh in ledger.stopped.items():
        assert (kept[transaction_id]["status"], kept[transaction_id]["energyWh"]) == ("COMPLETED", energy_wh)
    history = await operator.ask(
        HISTORY,
        p=[f"station/{ledger.identity}/1/Energy.Active.Import.Register"],
        **{"from": written(ledger.began), "to": written(ledger.tick())},
    )
    rows = zip(history["timestamps"], history["series"][0]["values"], strict=True)
    assert ledger.readings.items() <= {datetime.fromisoformat(at): wh for at, wh in rows}.items()


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
        for ledger in ledgers:
            await ledger.enough.wait()
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

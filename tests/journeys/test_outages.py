"""PostgreSQL and Redis go away and come back: whoever is connected stays, and what is acknowledged is kept."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.journeys.chargers import Charger16, hung_up
from tests.journeys.clients import Operator, Tenant
from tests.journeys.ledger import Ledger, assert_kept, charge_for_ever
from tests.journeys.servers import Server, running
from voltgraph.embedded import Embedded, places
from voltgraph.migrate import migrate_now

pytestmark = pytest.mark.anyio

GUARD_S = 90.0
LEASE_S = 4

RESET = "mutation ($id: ID!) { sendCommand(stationId: $id, command: { reset: { type: SOFT } }) { status error } }"
DELETE = "mutation ($id: ID!) { deleteStation(id: $id) { id } }"
STATUS = "subscription ($ids: [ID!]) { stationStatusUpdates(stationIds: $ids) { evseNumber status } }"
RECORD = "mutation ($r: [ReadingInput!]!) { recordReadings(readings: $r) { recorded errors { message } } }"
HISTORY = """
query ($p: [String!]!) { history(points: $p, from: "2026-06-01T00:00:00Z", to: "2026-06-02T00:00:00Z") {
    series { values } } }
"""
SESSIONS = "query ($i: String!) { sessions(filter: { stationIdentity: $i }) { nodes { status energyWh } } }"


class Machine:
    """One of the two servers that a test can switch off, and on again with its data and at its address."""

    def __init__(self, folder: Path, **kind: bool) -> None:
        self._folder = folder
        self._kind = kind
        self._running = ExitStack()
        self.urls = self.on()

    def on(self) -> Any:
        return self._running.enter_context(Embedded(self._folder, **self._kind)).urls

    def off(self) -> None:
        self._running.close()


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    folder = places.open_temporary_folder()
    database, cache = Machine(folder / "database", redis=False), Machine(folder / "cache", database=False)
    yield database, cache
    database.off()
    cache.off()
    shutil.rmtree(folder)


@contextmanager
def switched_off(machine: Machine) -> Iterator[None]:
    machine.off()
    try:
        yield
    finally:
        machine.on()


@pytest.fixture
def database(machines: tuple[Machine, Machine]) -> Machine:
    return machines[0]


@pytest.fixture
def cache(machines: tuple[Machine, Machine]) -> Machine:
    return machines[1]


@pytest.fixture(scope="module")
def premises(machines: tuple[Machine, Machine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers on the two machines."""
    database, cache = machines
    migrate_now(database.urls.database_owner, database.urls.database)
    server = Server(
        tmp_path_factory.mktemp("outages"),
        *("serve", "--port", "0", "--workers", "2"),
        VOLTGRAPH_DATABASE_URL=database.urls.database,
        VOLTGRAPH_REDIS_URL=cache.urls.redis,
        VOLTGRAPH_STATION_LEASE_S=str(LEASE_S),
    )
    with running(server):
        yield server, Tenant.made(server)


@pytest.fixture
def server(premises: tuple[Server, Tenant]) -> Server:
    return premises[0]


@pytest.fixture
def tenant(premises: tuple[Server, Tenant]) -> Tenant:
    return premises[1]


@asynccontextmanager
async def charging(base: str, identity: str) -> AsyncIterator[list[Ledger]]:
    """Six chargers, charge after charge; nobody hangs up on them."""
    ledgers = [Ledger(f"{identity}-{number}") for number in range(6)]
    tasks = [asyncio.create_task(charge_for_ever(base, ledger)) for ledger in ledgers]
    try:
        await asyncio.gather(*(ledger.more(3) for ledger in ledgers))
        yield ledgers
        await asyncio.gather(*(ledger.more(3) for ledger in ledgers))
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    while not await holds():  # noqa: ASYNC110 -- from outside there is nothing to wait for
        await asyncio.sleep(0.1)


async def health(server: Server) -> tuple[int, int]:
    """What either worker says, most likely."""
    async with (
        httpx2.AsyncClient(base_url=server.url, timeout=GUARD_S) as first,
        httpx2.AsyncClient(base_url=server.url, timeout=GUARD_S) as second,
    ):
        return (await first.get("/health")).status_code, (await second.get("/health")).status_code


async def test_the_database_goes_and_comes_back(
    server: Server, tenant: Tenant, database: Machine, identity: str
) -> None:
    base = f"{server.ocpp}/{tenant.slug}"
    async with (
        asyncio.timeout(GUARD_S),
        Operator(server.url, tenant.secret) as operator,
        Charger16.connected(base, identity) as idle,
    ):
        station_id = (await operator.station(identity))["id"]
        async with charging(base, identity) as ledgers:
            with switched_off(database):
                await until(lambda: _says(server, 503))
                assert await operator.codes(RESET, id=station_id) == ["UNAVAILABLE"]
                assert (await operator.get("/metrics")).status_code == 200
                down = (await operator.get("/health/detailed")).json()["parts"]
            await until(lambda: _says(server, 200))
            failing = {name for name, part in down.items() if part["status"] == "failing"}
            assert failing == {"database", "history", "relay"}
            assert (await operator.ask(RESET, id=station_id))["status"] == "ACCEPTED"
            assert (await idle.ordered())[0] == "Reset"
        await until(lambda: nothing_waits(operator))
        for ledger in ledgers:
            await assert_kept(operator, ledger)
        await operator.ask(DELETE, id=station_id)  # upon which the relay has it hung up on
        await hung_up(idle.connection)


async def test_readings_that_come_while_the_database_is_away_are_stored_when_it_is_back(
    server: Server, tenant: Tenant, database: Machine, identity: str
) -> None:
    def readings(start: int) -> list[dict[str, Any]]:
        return [
            {"address": identity, "at": f"2026-06-01T12:00:{second:02}Z", "value": second}
            for second in range(start, start + 10)
        ]

    async with asyncio.timeout(GUARD_S), Operator(server.url, tenant.secret) as operator:
        await operator.ask(RECORD, r=readings(0))
        with switched_off(database):
            await until(lambda: _says(server, 503))
            for start in (10, 20, 30):
                assert await operator.ask(RECORD, r=readings(start)) == {"recorded": 10, "errors": []}
        await until(lambda: _says(server, 200))

        async def all_is_there() -> bool:
            (series,) = (await operator.ask(HISTORY, p=[identity]))["series"]
            return bool(series["values"] == list(range(40)))

        await until(all_is_there)
        await until(lambda: nothing_waits(operator))


async def test_what_waits_with_a_worker_that_is_killed_is_stored_by_another(
    server: Server, tenant: Tenant, database: Machine, identity: str
) -> None:
    async with asyncio.timeout(GUARD_S), Operator(server.url, tenant.secret) as operator:
        await operator.ask(RECORD, r=[{"address": identity, "at": "2026-06-01T12:00:00Z", "value": 0}])
        worker = server.holder(await operator.port())
        with switched_off(database):
            await until(lambda: _says(server, 503))
            kept = await operator.ask(RECORD, r=[{"address": identity, "at": "2026-06-01T12:00:01Z", "value": 1}])
            assert kept == {"recorded": 1, "errors": []}
            os.kill(worker, signal.SIGKILL)
        await until(lambda: _says(server, 200))

        async def all_is_there() -> bool:
            async with Operator(server.url, tenant.secret) as another:
                (series,) = (await another.ask(HISTORY, p=[identity]))["series"]
            return bool(series["values"] == [0, 1])

        await until(all_is_there)


async def test_redis_goes_and_comes_back(server: Server, tenant: Tenant, cache: Machine, identity: str) -> None:
    base = f"{server.ocpp}/{tenant.slug}"
    async with (
        asyncio.timeout(GUARD_S),
        Operator(server.url, tenant.secret) as operator,
        Charger16.connected(base, identity) as charger,
    ):
        await charger.unplug()
        station_id = (await operator.station(identity))["id"]

        async def is_online() -> bool:
            return bool((await operator.station(identity, "online"))["online"])

        async def obeys() -> bool:
            return bool((await operator.ask(RESET, id=station_id))["status"] == "ACCEPTED")

        async with operator.watching(STATUS, ids=[station_id]) as statuses, charging(base, identity) as ledgers:
            await statuses.until(lambda told: told["evseNumber"] == 1)
            with switched_off(cache):
                await until(lambda: _says(server, 503))
                assert not await obeys()
                await charger.start("NOBODY", 0)
                await charger.stop(400)
                await asyncio.gather(*(ledger.more(3) for ledger in ledgers))  # they need it not
                await asyncio.sleep(LEASE_S + 1)
            await until(lambda: _says(server, 200))
            await until(is_online)
            await until(obeys)
            await charger.unplug()
            await statuses.until(lambda told: (told["evseNumber"], told["status"]) == (1, "AVAILABLE"))
        await until(lambda: nothing_waits(operator))
        for ledger in ledgers:
            await assert_kept(operator, ledger)
        assert (await operator.ask(SESSIONS, i=identity))["nodes"] == [{"status": "COMPLETED", "energyWh": 400}]


async def nothing_waits(operator: Operator) -> bool:
    """On disk for the history store, in either worker."""
    metrics = (await operator.get("/metrics")).text.splitlines()
    waiting = [line for line in metrics if line.startswith("voltgraph_spool_bytes")]
    assert waiting
    return all(float(line.split()[-1]) == 0 for line in waiting)


async def _says(server: Server, status: int) -> bool:
    return await health(server) == (status, status)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Tenant]]:
    """With embedded servers, as a newcomer has it."""
    with running(Server(tmp_path_factory.mktemp("own"))) as server:
        yield server, Tenant.made(server)


@pytest.mark.parametrize("program", ["postgres", "valkey-server"])
async def test_an_embedded_server_that_dies_is_started_again_under_the_charges(
    program: str, own: tuple[Server, Tenant], identity: str
) -> None:
    server, tenant = own
    (died,) = server.children(f"/{program}")
    async with asyncio.timeout(GUARD_S), Operator(server.url, tenant.secret) as operator:
        async with charging(f"{server.ocpp}/{tenant.slug}", identity) as ledgers:
            os.kill(died, signal.SIGKILL)
            await asyncio.gather(*(ledger.more(20) for ledger in ledgers))
            await until(lambda: _says(server, 200))
        await until(lambda: nothing_waits(operator))
        for ledger in ledgers:
            await assert_kept(operator, ledger)
    assert server.children(f"/{program}").isdisjoint({died})
    assert '"an embedded server died; it is started again"' in server.log.read_text()

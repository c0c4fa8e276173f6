"""A server that is told to end ends, whoever is there: nobody who does not read or never answers holds it up."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from tests.journeys.chargers import Bare, hung_up
from tests.journeys.clients import Operator, Tenant
from tests.journeys.impatient import ImpatientServer
from tests.journeys.servers import Server, running
from tests.journeys.stalling import READINGS, figure, narrow_line, record, stalled, stop_reading
from voltgraph.database import plain_url

pytestmark = pytest.mark.anyio

GUARD_S = 60.0
RESTARTING = (1001, 1012)
FOR_EVER_S = 600  # beyond every guard
NONSENSE = {"version": "1.6", "action": "unreadable", "result": "refused"}
NOTHING = 'subscription { pointUpdates(addresses: ["nothing"]) { text } }'
LOCATIONS = "{ locations { nodes { name } } }"


@pytest.fixture(scope="module")
def tenant(folder: Path, environment: dict[str, str]) -> Tenant:
    """With no more points than these tests make."""
    return Tenant.made(Server(folder / "stopping", **environment))


@asynccontextmanager
async def locked_locations(environment: dict[str, str]) -> AsyncIterator[Any]:
    """Whoever asks for locations waits; `rollback` lets them go on."""
    connection = await asyncpg.connect(plain_url(environment["VOLTGRAPH_DATABASE_OWNER_URL"]))
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("lock table location in access exclusive mode")
        yield transaction
    finally:
        await connection.close()


async def waiting(environment: dict[str, str]) -> None:
    """Until somebody waits for those locations."""
    connection = await asyncpg.connect(plain_url(environment["VOLTGRAPH_DATABASE_OWNER_URL"]))
    while not await connection.fetchval("select count(*) from pg_locks where not granted"):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await connection.close()


async def talk(charger: Bare) -> None:
    """Nonsense, of which each piece is answered at once, until nobody listens any more."""
    with suppress(ConnectionClosed):
        for number in range(100_000):
            await charger.say([2, f"a message without an action {number}"])


async def nothing_moves(look: Callable[[], float]) -> None:
    """Until what has grown does not grow any more."""
    before = -1.0
    while not before == (before := await asyncio.to_thread(look)) > 0:  # noqa: ASYNC110
        await asyncio.sleep(1)


@asynccontextmanager
async def reading_events(operator: Operator) -> AsyncIterator["asyncio.Task[list[str]]"]:
    """Who has all lines when the stream has ended as it should."""
    async with (
        httpx2.AsyncClient(timeout=GUARD_S) as http,
        http.stream(
            "POST",
            operator.url + "/graphql",
            json={"query": READINGS},
            headers={"Authorization": f"Bearer {operator.secret}", "Accept": "text/event-stream"},
        ) as response,
    ):
        yield asyncio.create_task(_lines(response))


async def _lines(response: httpx2.Response) -> list[str]:
    return [line async for line in response.aiter_lines()]


async def test_a_server_ends_with_everybody_there(
    folder: Path, environment: dict[str, str], tenant: Tenant, identity: str
) -> None:
    """Fifty who watch, one who has stopped reading, a charger that has too, events, and a slow answer: all that has
    a clock of its own is set to never."""
    patience = {"unread_s": FOR_EVER_S, "drain_s": FOR_EVER_S, "grace_s": FOR_EVER_S, "stalled_s": 1}
    with running(ImpatientServer(folder / "ending", patience, **environment)) as server:
        async with (
            asyncio.timeout(GUARD_S),
            AsyncExitStack() as audience,
            Operator(server.url, tenant.secret) as operator,
            Operator(server.url, tenant.secret) as slow,
            stalled(server, operator),
            Bare.connected(f"{server.ocpp}/{tenant.slug}", f"{identity}-1", over=narrow_line(server)) as deaf,
            Bare.connected(f"{server.ocpp}/{tenant.slug}", f"{identity}-2") as charger,
            reading_events(operator) as events,
            locked_locations(environment) as lock,
        ):
            watching = [await audience.enter_async_context(operator.watching(NOTHING)) for _ in range(50)]
            stop_reading(deaf.connection)
            talking = asyncio.create_task(talk(deaf))
            await record(operator, identity, 100)
            await nothing_moves(lambda: figure(server, "voltgraph_ocpp_messages_total", **NONSENSE))
            answer = asyncio.create_task(slow.ask(LOCATIONS))
            await waiting(environment)

            server.signal(signal.SIGTERM)

            assert await hung_up(charger.connection) in RESTARTING
            assert {await stream.ended() for stream in watching} <= set(RESTARTING)
            told = await events
            assert "event: next" in told
            assert "event: complete" not in told
            assert not answer.done()
            await lock.rollback()
            assert "nodes" in await answer
            assert await asyncio.to_thread(server.wait) == 0
            talking.cancel()
            deaf.drop()


async def test_an_answer_that_does_not_come_is_given_up(
    folder: Path, environment: dict[str, str], tenant: Tenant
) -> None:
    patience = {"drain_s": 1, "grace_s": 1}
    with running(ImpatientServer(folder / "giving up", patience, **environment)) as server:
        async with (
            asyncio.timeout(GUARD_S),
            Operator(server.url, tenant.secret) as operator,
            locked_locations(environment),
        ):
            answer = asyncio.create_task(operator.post(LOCATIONS))
            await waiting(environment)
            server.signal(signal.SIGTERM)
            assert (await answer).status_code == 500
            assert await asyncio.to_thread(server.wait) == 0

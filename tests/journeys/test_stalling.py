"""Clients that stop reading: the server lets go of them, holds little for them meanwhile, and loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.chargers import Bare, now, written
from tests.journeys.clients import Operator, Refused, Tenant
from tests.journeys.impatient import ImpatientServer
from tests.journeys.servers import Server, running
from tests.journeys.stalling import (
    LONG_TEXT,
    asking,
    figure,
    is_held,
    line_of,
    narrow_line,
    read_on,
    readings_of,
    record,
    resident_bytes,
    stalled,
    stop_reading,
)

pytestmark = pytest.mark.anyio

GUARD_S = 60.0
EVENTS = "text/event-stream"
JSON = "application/json"
SESSIONS = "query ($i: String!) { sessions(filter: { stationIdentity: $i }) { nodes { transactionId } } }"
MANY_POINTS = "{ points(first: 100, filter: { prefix: %s }) { nodes { latest { text } } } }"


@pytest.fixture(scope="module")
def strict(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """A second without reading, and it lets go."""
    with running(ImpatientServer(folder / "strict", {"unread_s": 1}, **environment)) as server:
        yield server


@pytest.fixture(scope="module")
def lenient(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """Waits for a reader for as long as a test lasts."""
    with running(ImpatientServer(folder / "lenient", {"unread_s": 600}, **environment)) as server:
        yield server


@pytest.fixture
async def somebody(strict: Server, tenant: Tenant, anyio_backend: str) -> AsyncIterator[Operator]:
    async with asyncio.timeout(GUARD_S), Operator(strict.url, tenant.secret) as operator:
        yield operator


async def until(holds: Callable[[], object]) -> None:
    while not await asyncio.to_thread(holds):  # noqa: ASYNC110 -- from outside there is nothing to wait for
        await asyncio.sleep(0.05)


def listeners(server: Server) -> tuple[float, float, float]:
    """What a subscriber costs: a socket, a running operation, an ear on the bus."""
    running = figure(server, "voltgraph_graphql_operations_running", kind="subscription")
    return figure(server, "voltgraph_graphql_sockets"), running, figure(server, "voltgraph_bus_ears")


async def test_a_subscriber_who_stops_reading_is_let_go(strict: Server, somebody: Operator, identity: str) -> None:
    before = listeners(strict)
    async with stalled(strict, somebody, readings_of(identity, 10)) as stream:
        await until(lambda: listeners(strict) == tuple(count + 1 for count in before))

        await record(somebody, identity, 10)

        await until(lambda: listeners(strict) == before)
        assert not is_held(strict, line_of(stream.connection))


async def test_a_reader_of_events_who_stops_reading_is_let_go(
    strict: Server, somebody: Operator, identity: str
) -> None:
    before = listeners(strict)
    with asking(strict, somebody, readings_of(identity, 10), accept=EVENTS) as line:
        await until(lambda: listeners(strict) == (before[0], before[1] + 1, before[2] + 1))

        await record(somebody, identity, 10)

        await until(lambda: listeners(strict) == before)
        assert not is_held(strict, line)


async def test_who_asks_for_much_and_reads_nothing_of_it_is_let_go(
    strict: Server, somebody: Operator, identity: str
) -> None:
    await record(somebody, identity, 60)
    with asking(strict, somebody, MANY_POINTS % f'"{identity}/"', accept=JSON) as line:
        await until(lambda: is_held(strict, line))
        await until(lambda: not is_held(strict, line))


async def test_a_charger_that_stops_reading_is_let_go_and_loses_nothing(
    strict: Server, tenant: Tenant, somebody: Operator, identity: str
) -> None:
    base = f"{strict.ocpp}/{tenant.slug}"
    at = written(now())
    starts = {
        f"m-{number}": {"connectorId": 1, "idTag": "NO", "meterStart": number, "timestamp": at} for number in range(20)
    }
    async with Bare.connected(base, identity, over=narrow_line(strict)) as charger:
        stop_reading(charger.connection)
        for number in range(100):
            await charger.say([2, f"h-{number}", "Heartbeat", {}])
        for id, start in starts.items():
            await charger.say([2, id, "StartTransaction", start])
        await until(lambda: not is_held(strict, line_of(charger.connection)))
        charger.drop()
    await until(lambda: not figure(strict, "voltgraph_ocpp_sockets", version="1.6"))

    async with Bare.connected(base, identity) as charger:  # which says again what was not answered
        answers = [await charger.call("StartTransaction", start, id=id) for id, start in starts.items()]

    kept = (await somebody.ask(SESSIONS, i=identity))["nodes"]
    assert len(kept) == len(starts)
    assert {node["transactionId"] for node in kept} == {str(answer["transactionId"]) for answer in answers}


async def test_little_is_held_for_a_slow_reader_who_is_told_what_they_have_missed(
    lenient: Server, identity: str
) -> None:
    tenant = Tenant.made(lenient)  # whose many points are nobody else's
    async with asyncio.timeout(GUARD_S), Operator(lenient.url, tenant.secret) as operator:
        await record(operator, f"{identity}-before", 200)
        async with stalled(lenient, operator) as stream:
            await until(lambda: figure(lenient, "voltgraph_graphql_sockets"))
            before_bytes = resident_bytes(lenient)
            await record(operator, identity, 8_000)
            held_bytes = resident_bytes(lenient) - before_bytes

            read_on(stream.connection)

            with pytest.raises(Refused) as told:
                await stream.until(lambda item: False)
        assert told.value.codes == ["RESYNC"]
        assert len(stream.seen) < 2_000
        assert held_bytes < 8_000 * len(LONG_TEXT) / 2


async def test_who_does_not_answer_pings_is_hung_up_on(
    folder: Path, environment: dict[str, str], tenant: Tenant, identity: str
) -> None:
    """Subscribers and chargers that take what is sent to them, and are not there all the same."""
    patience = {"ping_s": 0.5, "pong_s": 0.5, "unread_s": 600}
    with running(ImpatientServer(folder / "pinging", patience, **environment)) as server:
        async with (
            asyncio.timeout(GUARD_S),
            Operator(server.url, tenant.secret) as operator,
            operator.watching("subscription { sessionUpdates { kind } }") as deaf,
            operator.watching("subscription { sessionUpdates { kind } }"),
            Bare.connected(f"{server.ocpp}/{tenant.slug}", identity) as charger,
        ):
            await until(lambda: figure(server, "voltgraph_graphql_sockets") == 2)
            stop_reading(deaf.connection)
            stop_reading(charger.connection)
            await until(lambda: not figure(server, "voltgraph_ocpp_sockets", version="1.6"))
            await until(lambda: figure(server, "voltgraph_graphql_sockets") == 1)
            await asyncio.sleep(1.5)
            assert figure(server, "voltgraph_graphql_sockets") == 1
            deaf.connection.transport.abort()
            charger.drop()

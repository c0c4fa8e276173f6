"""How a request may be wrong in time and size, over HTTP and in a socket: each kind has its end."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.journeys.chargers import SILENCE, Bare, Charger16, hung_up
from tests.journeys.clients import Operator, Stream, Tenant
from tests.journeys.impatient import ImpatientServer
from tests.journeys.servers import Server, running

pytestmark = pytest.mark.anyio

GUARD_S = 60.0
TOO_BIG = 1009
CHARACTERS_MAX = 262_144
STATION_BYTES_MAX = 192 * 1024

ME = "{ me { role } }"
RESET = "mutation ($id: ID!) { sendCommand(stationId: $id, command: { reset: { type: SOFT } }) { status error } }"
HEAD = b"POST /graphql HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
SESSIONS = "subscription { sessionUpdates { kind } }"


@pytest.fixture(scope="module")
def hasty(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """Waits half a second for a head, and as much for a body."""
    patience = {"head_s": 0.5, "body_s": 0.5}
    with running(ImpatientServer(folder / "hasty", patience, **environment)) as server:
        yield server


@pytest.fixture
async def line(hasty: Server, anyio_backend: str) -> AsyncIterator["Line"]:
    async with asyncio.timeout(GUARD_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", hasty.port)
        yield Line(reader, writer)
        writer.close()


class Line:
    """A connection on which one says what one likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, said: bytes) -> None:
        self._writer.write(said)

    async def answer(self) -> bytes:
        """The status line and all else until the server hangs up."""
        try:
            return await self._reader.read()
        except ConnectionError:
            return b""


async def test_who_says_nothing_is_hung_up_on(line: Line) -> None:
    assert await line.answer() == b""


@pytest.mark.parametrize(
    "half", [b"POS", HEAD, HEAD + b"Content-Length: 20\r\n\r\n", HEAD + b"Content-Length: 20\r\n\r\n{"], ids=len
)
async def test_half_a_request_is_not_waited_for(line: Line, half: bytes) -> None:
    line.say(half)
    assert (await line.answer()).startswith(b"HTTP/1.1 408 ")


async def test_a_request_in_drops_is_not_waited_for(line: Line) -> None:
    """Slowloris: there is always something coming."""

    async def drip() -> None:
        line.say(HEAD)
        while True:
            line.say(b"X-More: more\r\n")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert (await line.answer()).startswith(b"HTTP/1.1 408 ")
    dripping.cancel()


async def test_headers_without_end_are_refused(line: Line) -> None:
    line.say(HEAD)
    for _ in range(1_000):
        line.say(b"X-More: " + b"x" * 1_000 + b"\r\n")
    assert (await line.answer())[:13] in (b"HTTP/1.1 431 ", b"")  # nothing where it hung up upon what was under way


async def test_what_follows_a_body_without_end_is_refused(line: Line) -> None:
    line.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    for _ in range(1_000):
        line.say(b"X-More: x\r\n")
    assert (await line.answer())[:13] in (b"HTTP/1.1 431 ", b"")


async def test_a_whole_request_takes_its_time(
    hasty: Server, tenant: Tenant, identity: str, environment: dict[str, str]
) -> None:
    """And so do the pause before the next one on the same connection, and a socket."""
    base = f"{hasty.ocpp}/{tenant.slug}"
    async with (
        asyncio.timeout(GUARD_S),
        Operator(hasty.url, tenant.secret) as operator,
        Charger16.connected(base, identity) as charger,
        operator.watching(SESSIONS) as stream,
    ):
        charger.answers["Reset"] = SILENCE
        station_id = (await operator.station(identity))["id"]
        port = await operator.port()
        ordering = asyncio.create_task(operator.ask(RESET, id=station_id))
        await charger.ordered()
        await asyncio.sleep(1.5)
        await charger.connection.close()
        assert (await ordering)["status"] == "FAILED"
        await asyncio.sleep(1.5)
        assert await operator.ask(ME) == {"role": "ADMIN"}
        assert await operator.port() == port
        await stream.say(type="ping")
        await pong(stream)


async def pong(stream: Stream) -> None:
    """Whatever news comes before it."""
    while (await stream.heard())["type"] != "pong":
        pass


async def test_nothing_is_compressed_even_if_offered(server: Server, tenant: Tenant, identity: str) -> None:
    """A window per socket would cost more memory than all else of it."""
    for url, subprotocol in (
        (f"{server.ocpp}/{tenant.slug}/{identity}", "ocpp1.6"),
        (server.graphql.replace("http", "ws"), "graphql-transport-ws"),
    ):
        async with connect(url, subprotocols=[Subprotocol(subprotocol)], compression="deflate") as socket:
            assert socket.request is not None
            assert "permessage-deflate" in socket.request.headers["Sec-WebSocket-Extensions"]
            assert socket.response is not None
            assert "Sec-WebSocket-Extensions" not in socket.response.headers
            assert socket.protocol.extensions == []


async def test_a_graphql_message_has_its_limit(operator: Operator) -> None:
    async with asyncio.timeout(GUARD_S), operator.watching(SESSIONS) as stream:
        ping = orjson.dumps({"type": "ping"}).decode()
        await stream.connection.send(ping.ljust(CHARACTERS_MAX))
        await pong(stream)
        await stream.connection.send(ping.ljust(CHARACTERS_MAX + 1))
        assert await stream.ended() == TOO_BIG


async def test_a_stations_message_has_its_limit(base: str, identity: str) -> None:
    async with asyncio.timeout(GUARD_S), Bare.connected(base, identity) as charger:
        heartbeat = orjson.dumps([2, "1", "Heartbeat", {}]).decode()
        await charger.connection.send(heartbeat.ljust(STATION_BYTES_MAX))
        assert (await charger.heard())[:2] == [3, "1"]
        await charger.connection.send(heartbeat.ljust(STATION_BYTES_MAX + 1))
        assert await charger.closed() == TOO_BIG


@pytest.mark.parametrize("announced_bytes", [2**21, 2**30])
async def test_what_is_announced_as_too_big_is_not_waited_for(
    announced_bytes: int, operator: Operator, base: str, identity: str
) -> None:
    """A frame's header says how long it will be; of this one nothing ever follows."""
    header = b"\x81\xff" + announced_bytes.to_bytes(8, "big") + os.urandom(4)
    async with (
        asyncio.timeout(GUARD_S),
        operator.watching(SESSIONS) as stream,
        Bare.connected(base, identity) as charger,
    ):
        for connection in (stream.connection, charger.connection):
            connection.transport.write(header)
            assert await hung_up(connection) == TOO_BIG

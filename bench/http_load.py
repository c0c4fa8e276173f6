"""The smallest HTTP/1.1 client: the same request over and over on connections that stay open, each as soon as it is
answered. It costs about as much as the quickest endpoint, so on a core of its own it is not what limits a server."""

import asyncio
from array import array
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import orjson
import uvloop

_ENOUGH_PER_S = 60_000
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Load:
    count: int  # with those in flight at the end, which the rate leaves out
    per_s: float
    p50_ms: float
    p99_ms: float


def post(path: str, body: object, **headers: str) -> bytes:
    """A request's bytes; `body` goes as JSON, or as it is where it is bytes already."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = {"host": "127.0.0.1", "content-type": "application/json", "content-length": str(len(content)), **headers}
    head = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
    return "\r\n".join(head).encode() + content


def load(port: int, request: bytes, *, seconds: float, connections: int = 32, status: int = 200) -> Load:
    """A server's answers per second and their latencies. Another status is an error of the benchmark's."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(port, _Tally(request, seconds, b"HTTP/1.1 %d " % status), seconds, connections))


def answer(port: int, request: bytes) -> tuple[int, Any]:
    """One answer's status and JSON, to see that it is the right one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_answer(port, request))


class _Tally:
    def __init__(self, request: bytes, seconds: float, status: bytes) -> None:
        self.request = request
        self.status = status
        self.latencies_s = array("d", bytes(8 * int(_ENOUGH_PER_S * seconds)))
        self.count = 0
        self.running = True


class _Connection(asyncio.Protocol):
    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._transport: asyncio.Transport
        self._head = b""
        self._missing = 0
        self._sent_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are by shape alone

    def send(self) -> None:
        self._sent_at = perf_counter()
        self._transport.write(self._tally.request)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            data = self._head + data
            end = data.find(_HEAD_END)
            if end < 0:
                self._head = data
                return
            assert data.startswith(self._tally.status), data[:500]
            self._head = b""
            self._missing = end + len(_HEAD_END) + _length(data) - len(data)
        if not self._missing:
            self._answered()

    def _answered(self) -> None:
        tally = self._tally
        tally.latencies_s[tally.count] = perf_counter() - self._sent_at
        tally.count += 1
        if tally.running:
            self.send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tally.running or exc:
            self.ended.set_exception(exc or EOFError("the server has closed a connection"))
        else:
            self.ended.set_result(None)


def _length(data: bytes) -> int:
    start = data.index(_LENGTH) + len(_LENGTH)
    return int(data[start : data.index(b"\r", start)])


async def _load(port: int, tally: _Tally, seconds: float, count: int) -> Load:
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Connection(tally), "127.0.0.1", port))[1] for _ in range(count)
    ]
    started = perf_counter()
    for connection in connections:
        connection.send()
    await asyncio.wait([one.ended for one in connections], timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    tally.running = False
    per_s = tally.count / (perf_counter() - started)
    await asyncio.gather(*(connection.ended for connection in connections))
    taken = sorted(tally.latencies_s[: tally.count])
    return Load(tally.count, per_s, taken[len(taken) // 2] * 1_000, taken[len(taken) * 99 // 100] * 1_000)


async def _answer(port: int, request: bytes) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=16_000_000)
    writer.write(request)
    head = await reader.readuntil(_HEAD_END)
    body = await reader.readexactly(_length(head))
    writer.close()
    return int(head.split()[1]), orjson.loads(body)

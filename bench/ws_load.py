"""Thousands of graphql-transport-ws subscribers in one process: what comes is counted and timed, and nothing else of it
is read. A frame costs about a microsecond, so on a core of its own it is seldom what limits a server."""

import asyncio
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, cast
from uuid import uuid4

import orjson

AT_ONCE = 50
PATIENCE_S = 120.0

_HEAD_END = b"\r\n\r\n"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_UPGRADE = b"\r\n".join((
    b"GET /graphql HTTP/1.1",
    b"host: 127.0.0.1",
    b"connection: Upgrade",
    b"upgrade: websocket",
    b"sec-websocket-version: 13",
    b"sec-websocket-key: dm9sdGdyYXBoIGJlbmNoIQ==",
    b"sec-websocket-protocol: graphql-transport-ws",
    b"\r\n",
))  # fmt: skip
_NO_MASK = bytes(4)  # a key of nothing but zeros leaves a frame as it is


@dataclass(frozen=True)
class Summary:
    """Of deliveries: how long each took since its publication began, and all of them together."""

    waits_s: "array[float]"
    took_s: float

    @property
    def per_s(self) -> float:
        return len(self.waits_s) / self.took_s

    def wait_ms(self, percent: int) -> float:
        return sorted(self.waits_s)[(len(self.waits_s) - 1) * percent // 100] * 1_000


class Reader(Protocol):
    """Takes what stands between `mark` and the next brace in each result."""

    mark: bytes

    def read(self, subscriber: "Subscriber", told: bytes, at: float) -> None: ...


class Numbers:
    """Results that carry the number of the publication that told of them; what is below 0 is how things were before."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self._told_at: list[float] = []
        self._waits_s = array("d")
        self._first = 0
        self._last_at = 0.0
        self._missing = 0
        self._complete: asyncio.Future[None] | None = None

    @property
    def next(self) -> int:
        return len(self._told_at)

    def tell(self, publications: int, deliveries: int) -> None:
        """From now on so many are awaited."""
        now = perf_counter()
        self._first = len(self._told_at)
        self._told_at += [now] * publications
        self._waits_s = array("d")
        self._missing = deliveries
        self._complete = asyncio.get_running_loop().create_future()

    async def summary(self) -> Summary:
        """Once all that was awaited has come."""
        assert self._complete is not None
        async with asyncio.timeout(PATIENCE_S):
            await self._complete
        return Summary(self._waits_s, self._last_at - self._told_at[self._first])

    def read(self, subscriber: "Subscriber", told: bytes, at: float) -> None:
        number = int(float(told))
        if number < 0:
            return
        subscriber.delivered += 1
        self._waits_s.append(at - self._told_at[number])
        self._missing -= 1
        if not self._missing and self._complete is not None:
            self._last_at = at
            self._complete.set_result(None)


class Subscriber(asyncio.Protocol):
    """`seen` counts its results; it has joined when there are `first` of them. `ended` is why it has ended."""

    def __init__(self, reader: Reader, says: Sequence[bytes], first: int) -> None:
        self.reader = reader
        self.seen = 0
        self.delivered = 0
        self.ended: str | None = None
        self.joined: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self._first = first
        self._says = says  # once it is let in, and once it is known
        self._rest = b""
        self._upgraded = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are by shape alone
        self._transport.write(_UPGRADE)

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if self._rest:
            data = self._rest + data
        position = 0 if self._upgraded else self._upgrade(data)
        mark, read, end = self.reader.mark, self.reader.read, len(data)
        while self._upgraded and end - position >= 2:
            length, start = data[position + 1], position + 2
            if length == 126:
                start += 2
                length = int.from_bytes(data[position + 2 : start], "big") if start <= end else end
            elif length == 127:
                start += 8
                length = int.from_bytes(data[position + 2 : start], "big") if start <= end else end
            if start + length > end:
                break
            frame = data[start : start + length]
            at = frame.find(mark)
            if at < 0 or data[position] & 15 != _TEXT:
                self._control(data[position] & 15, frame)
            else:
                self.seen += 1
                read(self, frame[at + len(mark) : frame.index(b"}", at)], now)
                if self.joined is not None and self.seen >= self._first:
                    self._has_joined()
            position = start + length
        self._rest = data[position:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"connection lost: {exc}")

    def close(self) -> None:
        self.ended = "by us"
        self._transport.close()

    def _upgrade(self, data: bytes) -> int:
        end = data.find(_HEAD_END)
        if end < 0:
            return 0
        if not data.startswith(b"HTTP/1.1 101 "):
            self._end(data[:end].decode())
            self._transport.close()
            return len(data)
        self._upgraded = True
        self._transport.write(self._says[0])
        return end + len(_HEAD_END)

    def _control(self, opcode: int, frame: bytes) -> None:
        if opcode == _PING:
            self._transport.write(_frame(_PONG, frame))
        elif opcode == _CLOSE:
            self._end(f"closed with {int.from_bytes(frame[:2], 'big')} {frame[2:].decode()}")
        elif opcode == _TEXT:
            self._message(orjson.loads(frame), frame)

    def _message(self, message: Any, frame: bytes) -> None:
        match message["type"]:
            case "connection_ack":
                self._transport.write(self._says[1])
                if not self._first:
                    self._has_joined()
            case "ping":
                self._transport.write(_frame(_TEXT, b'{"type":"pong"}'))
            case "pong":
                pass
            case _:
                self._end(frame.decode())

    def _has_joined(self) -> None:
        if self.joined is not None:
            self.joined.set_result(None)
            self.joined = None

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        if self.joined is not None:
            self.joined.set_exception(EOFError(why))
            self.joined = None


class Crowd:
    """Subscribers of one server, who show `secret`."""

    def __init__(self, port: int, reader: Reader, secret: str = "") -> None:
        self.subscribers: list[Subscriber] = []
        self._port = port
        self._reader = reader
        self._init = _message(type="connection_init", payload={"Authorization": f"Bearer {secret}"} if secret else {})

    async def join(self, payloads: Sequence[dict[str, Any]], *, first: int) -> float:
        """One for each; how long it took until each had so many first results."""
        gate, started = asyncio.Semaphore(AT_ONCE), perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(self._one(gate, payload, first) for payload in payloads))
        return perf_counter() - started

    async def _one(self, gate: asyncio.Semaphore, payload: dict[str, Any], first: int) -> None:
        subscribe = _message(id=str(uuid4()), type="subscribe", payload=payload)  # as clients do
        async with gate:
            _, subscriber = await asyncio.get_running_loop().create_connection(
                lambda: Subscriber(self._reader, [self._init, subscribe], first), "127.0.0.1", self._port
            )
            if subscriber.joined is not None:
                await subscriber.joined
        self.subscribers.append(subscriber)

    def ended(self) -> list[str]:
        """Why some have ended that should not."""
        return [subscriber.ended for subscriber in self.subscribers if subscriber.ended is not None]

    async def leave(self) -> None:
        for subscriber in self.subscribers:
            subscriber.close()
        self.subscribers = []
        await asyncio.sleep(0.5)

    def all(self, what: Callable[[Subscriber], object]) -> set[object]:
        """The different answers."""
        return {what(subscriber) for subscriber in self.subscribers}


def _message(**message: Any) -> bytes:
    return _frame(_TEXT, orjson.dumps(message))


def _frame(opcode: int, content: bytes) -> bytes:
    size = len(content)
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size)) + _NO_MASK + content
    return bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big") + _NO_MASK + content

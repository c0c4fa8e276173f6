"""What waits for one reader: bounded, only the latest of what changes, and an honest end where facts do not fit.

A connection has one. While its reader keeps up nothing waits, and there is no task: whoever has something to say writes
it. Only where the transport makes that wait does a task go on writing, until nothing waits again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import structlog
from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect

from domain.errors import Resync
from gateways.graphql.engine import Answer
from gateways.graphql.metrics import CONFLATED, GAPS, OUTBOX_DEPTH, OVERFLOWED

log = structlog.get_logger()

Frame = str | bytes
Send = Callable[[Any], Coroutine[Any, Any, None]]
Write = Callable[[bytes], bool]


class Gone(Exception):
    """Nobody reads any more."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what may wait: so many messages that are no reading, and so many bytes in all. What is no result always fits,
    but leaves less for what is."""

    facts: int = 256
    size_bytes: int = 1024 * 1024


BOUNDS = Bounds()
NO_READER = (WebSocketDisconnect, OSError, RuntimeError)  # the last is uvicorn's and Starlette's, of a closed socket
ROOMY = 4  # whoever can wait does so until there is less than a quarter: the rest is for what cannot


class Item:
    """One result, encoded once for however many readers. `place` is where it stands among facts."""

    __slots__ = ("event_id", "key", "payload", "place")

    def __init__(self, payload: bytes, *, key: str | None = None, event_id: str | None = None) -> None:
        self.payload = payload
        self.key = key
        self.event_id = event_id
        self.place = None if event_id is None else place(event_id)

    @classmethod
    def of(cls, answer: Answer) -> "Item":
        return cls(answer.encoded(), key=answer.key, event_id=answer.event_id)

    @property
    def size_bytes(self) -> int:
        return len(self.payload)

    def saying(self, extensions: Any) -> "Item":
        """The same for one reader, who is told of its costs besides."""
        payload = self.payload[:-1] + b',"extensions":' + orjson.dumps(extensions) + b"}"
        return Item(payload, key=self.key, event_id=self.event_id)


def place(event_id: str) -> tuple[int, int] | None:
    """Of an id such as `1763700000000-0`: milliseconds, and which of them; None where it is no such id."""
    milliseconds, dash, number = event_id.partition("-")
    if not (milliseconds.isdecimal() and (number.isdecimal() or not dash)):
        return None
    return int(milliseconds), int(number or 0)


class Line(Protocol):
    """One operation, as its transport speaks of it. `delivered` is the id of the last event that is on its way."""

    delivered: str | None

    def frame(self, item: Item) -> Frame:
        """As it goes over the wire."""
        ...

    def fail(self, errors: list[Any]) -> None:
        """The last that is said of it; errors as GraphQL formats them."""
        ...

    def complete(self) -> None:
        """Likewise, where it has ended well."""
        ...


def lost(line: Line, dropped: int) -> None:
    """Ends an operation whose reader was too slow."""
    OVERFLOWED.inc(dropped)
    GAPS.inc()
    gap = {"dropped": dropped, "after": line.delivered}
    message = "news came faster than it was read, and some is lost: subscribe again"
    line.fail([GraphQLError(message, extensions={"code": Resync.code, "gap": gap}).formatted])


class _Waits:
    """`line` is None for what is no result, and `item` the frame itself."""

    __slots__ = ("item", "line")

    def __init__(self, line: Line | None, item: Any) -> None:
        self.line = line
        self.item = item


class Waiting:
    """In order, each value in the place of the older one."""

    __slots__ = ("_bounds", "_entries", "_latest", "facts", "size_bytes")

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._entries: deque[_Waits] = deque()
        self._latest: dict[tuple[Line, str], _Waits] = {}
        self.facts = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_tight(self) -> bool:
        return self.facts * ROOMY >= self._bounds.facts or self.size_bytes * ROOMY >= self._bounds.size_bytes

    def offer(self, line: Line, item: Item) -> bool:
        """Unless it does not fit."""
        older = None if item.key is None else self._latest.get((line, item.key))
        size_bytes = self.size_bytes + item.size_bytes - (0 if older is None else older.item.size_bytes)
        if size_bytes > self._bounds.size_bytes or (item.key is None and self.facts >= self._bounds.facts):
            return False
        self._put(line, item, older)
        return True

    def add(self, line: Line, item: Item) -> None:
        """Whether it fits or not."""
        self._put(line, item, None if item.key is None else self._latest.get((line, item.key)))

    def say(self, frame: Frame) -> None:
        self._entries.append(_Waits(None, frame))
        self.size_bytes += len(frame)

    def take(self) -> tuple[Line | None, Any]:
        entry = self._entries.popleft()
        if entry.line is None:
            self.size_bytes -= len(entry.item)
        else:
            self._uncount(entry)
        return entry.line, entry.item

    def drop(self, line: Line) -> int:
        """All of an operation's; how many that were."""
        dropped = [entry for entry in self._entries if entry.line is line]
        if dropped:
            self._entries = deque(entry for entry in self._entries if entry.line is not line)
        for entry in dropped:
            self._uncount(entry)
        return len(dropped)

    def _put(self, line: Line, item: Item, older: _Waits | None) -> None:
        self.size_bytes += item.size_bytes
        if older is not None:
            self.size_bytes -= older.item.size_bytes
            older.item = item
            CONFLATED.inc()
            return
        entry = _Waits(line, item)
        self._entries.append(entry)
        if item.key is None:
            self.facts += 1
        else:
            self._latest[line, item.key] = entry

    def _uncount(self, entry: _Waits) -> None:
        item: Item = entry.item
        self.size_bytes -= item.size_bytes
        if item.key is None:
            self.facts -= 1
        elif entry.line is not None:
            del self._latest[entry.line, item.key]


class Outbox:
    """Of one connection. `send` writes a frame; it raises where nobody reads any more. `write`, where there is one, is
    the short way for what need not wait: False where it has to."""

    __slots__ = ("_bounds", "_depth", "_room", "_send", "_turn", "_waiting", "_write_now", "_writer", "is_closed")

    def __init__(self, send: Send, *, write: Write | None = None, bounds: Bounds = BOUNDS) -> None:
        self._send = send
        self._write_now = write
        self._bounds = bounds
        self._waiting: Waiting | None = None
        self._writer: asyncio.Task[None] | None = None
        self._turn: asyncio.Lock | None = None
        self._room: asyncio.Future[None] | None = None
        self._depth = 0
        self.is_closed = False

    @property
    def is_idle(self) -> bool:
        return self._writer is None

    def push(self, line: Line, item: Item) -> bool:
        """News, which cannot wait: False where it does not fit, and then `line` has ended."""
        if self._writer is None:
            self._write(line, item)
            return True
        if self._lined_up().offer(line, item):
            return True
        lost(line, self.forget(line) + 1)
        return False

    async def put(self, line: Line, item: Item) -> None:
        """As soon as there is room; in order of coming. Raises `Gone`."""
        if self._writer is not None and (self._lined_up().is_tight or (self._turn and self._turn.locked())):
            self._turn = self._turn or asyncio.Lock()
            async with self._turn:
                await self._roomy()
                self._add(line, item)
        else:
            self._add(line, item)
        if self.is_closed:
            raise Gone

    async def room(self) -> None:
        """For whoever is to make no more than is read."""
        if self._writer is not None and self._lined_up().is_tight:
            await self._roomy()

    def say(self, frame: Frame) -> None:
        """What is no result always fits; there is at most one of it for what its reader has said."""
        if self._writer is None:
            self._write(None, frame)
        else:
            self._lined_up().say(frame)

    def forget(self, line: Line) -> int:
        """What waits of an operation; how many that were."""
        return 0 if self._waiting is None else self._waiting.drop(line)

    async def flushed(self) -> None:
        """Until nothing waits."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    async def close(self) -> None:
        """What still waits is not sent."""
        self._is_gone()
        if self._writer is not None:
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer

    def _lined_up(self) -> Waiting:
        if self._waiting is None:
            self._waiting = Waiting(self._bounds)
        return self._waiting

    def _add(self, line: Line, item: Item) -> None:
        if self._writer is None:
            self._write(line, item)
        else:
            self._lined_up().add(line, item)

    async def _roomy(self) -> None:
        while not self.is_closed and self._writer is not None and self._lined_up().is_tight:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)

    def _write(self, line: Line | None, item: Any) -> None:
        """At once, where the transport takes it; a task does the rest."""
        if self.is_closed or (line is not None and self._is_written(line, item)):
            return
        sending = self._sending(line, item)
        try:
            awaited = sending.send(None)
        except StopIteration:
            pass
        except Exception as error:  # whatever it is, no other reader is to suffer from it
            self._is_gone(error)
        else:
            self._writer = asyncio.create_task(self._go_on(Begun(sending, awaited)), name="outbox")

    def _is_written(self, line: Line, item: Item) -> bool:
        if self._write_now is None:
            return False
        frame = line.frame(item)
        if isinstance(frame, str) or not self._write_now(frame):
            return False
        if item.event_id is not None:
            line.delivered = item.event_id
        return True

    async def _go_on(self, sending: "Begun") -> None:
        try:
            await sending
            waiting = self._lined_up()
            while waiting:
                self._depth = max(self._depth, len(waiting))
                await self._sending(*waiting.take())
                self._make_room()
        except Exception as error:
            self._is_gone(error)
        finally:
            OUTBOX_DEPTH.observe(self._depth)
            self._depth = 0
            self._writer = self._waiting = None
            self._make_room()

    def _sending(self, line: Line | None, item: Any) -> Coroutine[Any, Any, None]:
        """What is begun goes out before all that is said afterwards."""
        if line is None:
            return self._send(item)
        if item.event_id is not None:
            line.delivered = item.event_id
        return self._send(line.frame(item))

    def _make_room(self) -> None:
        if self._room is not None and (self._waiting is None or not self._waiting.is_tight):
            if not self._room.done():
                self._room.set_result(None)
            self._room = None

    def _is_gone(self, error: Exception | None = None) -> None:
        if error is not None and not isinstance(error, NO_READER):
            log.error("a reader was given up", exc_info=error)
        self.is_closed = True
        self._waiting = None
        self._make_room()


class Begun:
    """A coroutine that was begun without a task, and awaits something after all. (Python 3.12 has eager tasks.)"""

    __slots__ = ("_awaited", "_coroutine", "_is_told")

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited
        self._is_told = False

    def __await__(self) -> "Begun":
        return self

    def __iter__(self) -> "Begun":
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        if not self._is_told:
            self._is_told = True
            return self._awaited
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

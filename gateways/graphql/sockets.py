"""Connections that stay: how many a caller may have, how long one lasts, and what is said when it ends.

One task looks after all of them, and after each only when its time has come.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol
from uuid import UUID

import structlog

from domain.actor import Actor
from domain.errors import LimitExceeded, Unavailable
from gateways.graphql.engine import Engine
from gateways.graphql.groups import Groups

log = structlog.get_logger()

EXPIRED, REVOKED = "credential expired", "credential revoked"
WARNED_S = 30.0
LOOK_MAX_S = 1.0
LOOK_MIN_S = 0.01
ASK_AGAIN_S = 1.0

Authenticate = Callable[[str | None], Awaitable[Actor | None]]


@dataclass(frozen=True, slots=True)
class Terms:
    """For all connections of this process. None is without a limit.

    `ping_s`: between two pings of the server's; who says nothing for two of them is gone. `idle_s`: without an
    operation. `lifetime_s`: of any connection, a tenth more or less, so that not all come again at once.
    """

    connections_per_caller: int | None = 10_000
    connections: int | None = None
    operations_per_caller: int | None = 50_000
    messages_per_s: float | None = 200
    messages_burst: int = 2_000
    ping_s: float | None = 30.0
    idle_s: float | None = None
    lifetime_s: float | None = None

    def ends(self, begun: float) -> float:
        return math.inf if self.lifetime_s is None else begun + self.lifetime_s * random.uniform(0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Departure:
    """A WebSocket that has ended; `principal` is None where nobody was let in."""

    principal: str | None
    host: str | None
    code: int
    reason: str
    lasted_s: float


class Host(Protocol):
    """What a connection needs of the view that has accepted it."""

    engine: Engine
    groups: Groups
    sockets: "Sockets"
    authenticate: Authenticate

    def expires(self, actor: Actor | None) -> float:
        """When a credential opens nothing any more, by `time.monotonic`."""
        ...

    async def on_ws_connect(self, context: Any) -> Any: ...


class Reader(Protocol):
    """A connection."""

    @property
    def actor(self) -> Actor | None:
        """None where no credential was shown."""
        ...

    def look(self, now: float) -> float:
        """Does what is due; when to look again, by the same clock (`time.monotonic`)."""
        ...

    def revoked(self) -> None:
        """Its credential opens nothing any more."""
        ...

    async def ask_again(self) -> None:
        """Whether its credential still opens anything: a revocation may have been missed. Raises `Unavailable`."""
        ...


class Sweeper:
    """One task, and only while there is somebody to look after."""

    def __init__(self) -> None:
        self._numbers: dict[Reader, int] = {}
        self._readers: dict[int, Reader] = {}
        self._due: list[tuple[float, int]] = []  # with numbers that nobody has any more
        self._number = count()
        self._task: asyncio.Task[None] | None = None

    def at(self, reader: Reader, due: float) -> None:
        """In place of what was said before."""
        self._drop(reader)
        number = self._numbers[reader] = next(self._number)
        self._readers[number] = reader
        heappush(self._due, (due, number))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="sweeper")

    def forget(self, reader: Reader) -> None:
        self._drop(reader)
        if not self._readers and self._task is not None:
            self._task.cancel()
            self._task = None
            self._due.clear()

    def _drop(self, reader: Reader) -> None:
        number = self._numbers.pop(reader, None)
        if number is not None:
            del self._readers[number]

    async def _run(self) -> None:
        while True:
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                reader = self._readers.get(heappop(self._due)[1])
                if reader is not None:
                    self._look(reader, now)
            until = self._due[0][0] - now if self._due else LOOK_MAX_S
            await asyncio.sleep(min(LOOK_MAX_S, max(LOOK_MIN_S, until)))

    def _look(self, reader: Reader, now: float) -> None:
        try:
            due = reader.look(now)
        except Exception as error:
            log.error("a connection could not be looked after", exc_info=error)
            due = now + LOOK_MAX_S
        if reader in self._numbers:
            self.at(reader, max(due, now + LOOK_MIN_S))


class Sockets:
    """Of one process."""

    def __init__(self, terms: Terms | None = None, *, left: Callable[[Departure], None] | None = None) -> None:
        self.terms = terms or Terms()
        self.sweeper = Sweeper()
        self._left = left
        self._readers: dict[Reader, str] = {}
        self._connections: Counter[str] = Counter()
        self._operations: Counter[str] = Counter()
        self._doubtful: set[Reader] = set()
        self._asking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._readers)

    def admit(self, reader: Reader, principal: str) -> None:
        """Raises `LimitExceeded`. What is admitted is to be dismissed once."""
        terms = self.terms
        if terms.connections is not None and len(self._readers) >= terms.connections:
            raise LimitExceeded("too many connections")
        if terms.connections_per_caller is not None and self._connections[principal] >= terms.connections_per_caller:
            raise LimitExceeded("too many connections of this caller")
        self._readers[reader] = principal
        self._connections[principal] += 1
        self.sweeper.at(reader, reader.look(time.monotonic()))

    def dismiss(self, reader: Reader) -> None:
        self.sweeper.forget(reader)
        self._doubtful.discard(reader)
        principal = self._readers.pop(reader, None)
        if principal is not None:
            _take_one(self._connections, principal)

    def begin(self, principal: str) -> None:
        """An operation. Raises `LimitExceeded`; each is to be ended once."""
        most = self.terms.operations_per_caller
        if most is not None and self._operations[principal] >= most:
            raise LimitExceeded("too many operations of this caller at once")
        self._operations[principal] += 1

    def end(self, principal: str) -> None:
        _take_one(self._operations, principal)

    def left(self, departure: Departure) -> None:
        if self._left is not None:
            try:
                self._left(departure)
            except Exception as error:
                log.error("a departure could not be told", exc_info=error)

    def revoked(self, credential_id: UUID | None) -> None:
        """The credential of whoever has it is; None: anybody's may be."""
        if credential_id is None:
            self.doubt(self._readers)
            return
        for reader in list(self._readers):
            if reader.actor is not None and reader.actor.id == credential_id:
                reader.revoked()

    def doubt(self, readers: Iterable[Reader]) -> None:
        """A revocation of theirs may have been missed."""
        self._doubtful.update(reader for reader in readers if reader.actor is not None)
        if self._doubtful and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask_again(), name="credentials")

    async def _ask_again(self) -> None:
        """One after the other, and for as long as nobody knows."""
        while self._doubtful:
            reader = self._doubtful.pop()
            try:
                await reader.ask_again()
            except Exception as error:
                if not isinstance(error, Unavailable):
                    log.error("a connection could not be asked about", exc_info=error)
                if reader in self._readers:
                    self._doubtful.add(reader)
                await asyncio.sleep(ASK_AGAIN_S)


def _take_one(counter: Counter[str], principal: str) -> None:
    counter[principal] -= 1
    if counter[principal] <= 0:
        del counter[principal]

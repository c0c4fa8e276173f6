"""OCPP-J from the station's side: one socket, plain JSON frames, one question at a time."""

import asyncio
import base64
import json
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from domain.outage import Outage

log = structlog.get_logger()

CALL, RESULT, ERROR = 2, 3, 4  # OCPP-J 4.2: message types
Payload = dict[str, Any]

ANSWER_TIMEOUT_S = 30.0
OPEN_TIMEOUT_S = 60.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 20.0
KEPT_ERRORS = 200
KEPT_WAITS = 1_000


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as both versions want it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Offline(Exception):
    """There is no socket, or it went away before the answer came."""


class NoAnswer(Exception):
    """The server left a call without an answer."""


class CallFailed(Exception):
    """The server answered with a CALLERROR."""


class Refusal(Exception):
    """Our CALLERROR to a call of the server's."""

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(f"{code}: {description}")
        self.code, self.description = code, description


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and what the station does once the reply is on the wire."""

    payload: Payload
    then: Callable[[], object] | None = None


@dataclass(slots=True)
class Traffic:
    frames_sent: int = 0
    frames_received: int = 0
    connects: int = 0
    error_count: int = 0
    errors: list[str] = field(default_factory=list)
    # of the latest calls: when, by the loop's clock, and how long until the answer came
    waits: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=KEPT_WAITS))

    def fail(self, error: str) -> None:
        self.error_count += 1
        if len(self.errors) < KEPT_ERRORS:
            self.errors.append(error)


class Link:
    """Keeps a socket to the server for as long as `run` runs."""

    def __init__(
        self,
        *,
        url: str,
        identity: str,
        subprotocol: str,
        password: str | None,
        malformed_code: str,
        answer: Callable[[str, Payload], Answer],
        dice: random.Random,
        slow_s: tuple[float, float] | None = None,
    ) -> None:
        self.url = f"{url.rstrip('/')}/{quote(identity, safe='*=:+|@')}"
        self.traffic = Traffic()
        self.online = asyncio.Event()
        self.ping_s = 30.0
        self._identity, self._subprotocol, self._password = identity, Subprotocol(subprotocol), password
        self._malformed_code, self._answer, self._dice = malformed_code, answer, dice
        self._slow_s = slow_s
        self._late: set[asyncio.Task[None]] = set()
        self._forsaken: list[ClientConnection] = []
        self._line: asyncio.Timeout | None = None
        self._down_until = 0.0
        self._socket: ClientConnection | None = None
        self._turn = asyncio.Lock()
        self._waiting: tuple[str, asyncio.Future[Payload]] | None = None
        self._failures = 0
        self._outage = Outage(lasting_s=0)
        self._log = log.bind(station=identity)

    async def run(self, *, opened: Callable[[], None], lost: Callable[[], None]) -> None:
        """Connects again and again, for ever."""
        try:
            while True:
                socket = await self._open()
                opened()
                try:
                    await self._read(socket)
                finally:
                    self._drop(socket)
                    lost()
                await asyncio.sleep(self._backoff_s())
        finally:
            for gone in self._forsaken:
                gone.transport.abort()
            for late in self._late:
                late.cancel()

    def cut_off(self, seconds: float) -> None:
        """There is no line for so long."""
        self._down_until = asyncio.get_running_loop().time() + seconds
        if self._socket is not None:
            self._drop(self._socket)

    def forsake(self) -> None:
        """The line has died and nobody was told: the server keeps the old socket, and a new one is opened beside it."""
        if self._socket is not None and self._line is not None:
            self._socket.transport.pause_reading()
            self._forsaken.append(self._socket)
            self._line.reschedule(asyncio.get_running_loop().time())

    async def call(self, action: str, payload: Payload, *, message_id: str | None = None) -> Payload:
        async with self._turn:
            if self._socket is None:
                raise Offline
            message_id = message_id or str(uuid4())
            answered: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._waiting = (message_id, answered)
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    sent_s = asyncio.get_running_loop().time()
                    await self._send(self._socket, [CALL, message_id, action, payload])
                    answer = await answered
                    self.traffic.waits.append((sent_s, asyncio.get_running_loop().time() - sent_s))
                    return answer
            except TimeoutError:
                self.traffic.fail(f"{action}: no answer")
                raise NoAnswer(action) from None
            except CallFailed as failure:
                self.traffic.fail(f"{action}: {failure}")
                raise
            finally:
                self._waiting = None
                if answered.done() and not answered.cancelled():
                    answered.exception()  # looked at, lest asyncio complain of it when the sending failed first

    async def arrived(self, *, within_s: float) -> None:
        """Waits until the server has all that was sent: a pong is sent after what came before the ping was read."""
        if self._socket is not None:
            with suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(within_s):
                    await (await self._socket.ping())

    async def close(self) -> None:
        """Says goodbye (1000), as a station does that is switched off in good order."""
        if self._socket is not None:
            await self._socket.close()

    async def _open(self) -> ClientConnection:
        while True:
            await asyncio.sleep(self._down_until - asyncio.get_running_loop().time())
            try:
                socket = await connect(
                    self.url,
                    subprotocols=[self._subprotocol],
                    additional_headers=self._credentials(),
                    user_agent_header="voltgraph-sim",
                    compression=None,
                    proxy=None,
                    ping_interval=self.ping_s or None,
                    open_timeout=OPEN_TIMEOUT_S,
                )
            except (OSError, InvalidHandshake, TimeoutError) as error:
                if self._outage.failed():
                    self._tell(error)
                await asyncio.sleep(self._backoff_s())
                continue
            if self._outage.worked():
                self._log.info("station.reconnected", url=self.url)
            self.traffic.connects += 1
            self._socket = socket
            self.online.set()
            return socket

    def _tell(self, error: Exception) -> None:
        refused = isinstance(error, InvalidStatus)
        reason = f"HTTP {error.response.status_code}" if isinstance(error, InvalidStatus) else str(error)
        self.traffic.fail(f"connect: {reason}")
        self._log.warning("station.refused" if refused else "station.unreachable", url=self.url, reason=reason)

    def _credentials(self) -> dict[str, str]:
        if self._password is None:
            return {}
        pair = base64.b64encode(f"{self._identity}:{self._password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def _backoff_s(self) -> float:
        longest_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return longest_s * self._dice.uniform(0.3, 1.0)

    def _drop(self, socket: ClientConnection) -> None:
        """Lets go of the socket without a closing handshake; a closed one does not mind."""
        self._socket = None
        self.online.clear()
        if socket not in self._forsaken:
            socket.transport.abort()
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_exception(Offline())

    async def _read(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed, Offline, TimeoutError):
            async with asyncio.timeout(None) as self._line:
                async for raw in socket:
                    self.traffic.frames_received += 1
                    self._failures = 0
                    await self._take(socket, raw)

    async def _take(self, socket: ClientConnection, raw: str | bytes) -> None:
        try:
            kind, message_id, *rest = json.loads(raw)
        except (ValueError, TypeError):
            self.traffic.fail(f"unreadable frame {raw[:80]!r}")
            return
        if kind == CALL and len(rest) == 2:
            if self._slow_s is None:
                await self._obey(socket, message_id, rest[0], rest[1])
            else:
                self._put_off(self._dice.uniform(*self._slow_s), socket, message_id, rest[0], rest[1])
        elif kind in (RESULT, ERROR) and rest:
            self._resolve(kind, message_id, rest)
        else:
            self.traffic.fail(f"unexpected frame {raw[:80]!r}")

    def _put_off(self, seconds: float, *order: Any) -> None:
        async def late() -> None:
            await asyncio.sleep(seconds)
            with suppress(Offline):
                await self._obey(*order)

        task = asyncio.create_task(late())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _obey(self, socket: ClientConnection, message_id: str, action: str, payload: Payload) -> None:
        """Handlers are synchronous, so a call of the server's never waits for one of ours."""
        try:
            answer = self._answer(action, payload)
        except Refusal as refusal:
            await self._send(socket, [ERROR, message_id, refusal.code, refusal.description, {}])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.traffic.fail(f"{action} malformed: {error!r}")
            await self._send(socket, [ERROR, message_id, self._malformed_code, repr(error)[:255], {}])
        else:
            await self._send(socket, [RESULT, message_id, answer.payload])
            if answer.then is not None:
                answer.then()

    def _resolve(self, kind: int, message_id: str, rest: list[Any]) -> None:
        if self._waiting is None or self._waiting[0] != message_id or self._waiting[1].done():
            self.traffic.fail(f"answer to nothing asked: {message_id}")
        elif kind == RESULT:
            self._waiting[1].set_result(rest[0])
        else:
            self._waiting[1].set_exception(CallFailed(": ".join(str(part) for part in rest[:2])))

    async def _send(self, socket: ClientConnection, frame: list[Any]) -> None:
        try:
            await socket.send(json.dumps(frame, separators=(",", ":")))
        except ConnectionClosed:
            self._drop(socket)  # before the reader notices, lest the next in turn try it too
            raise Offline from None
        self.traffic.frames_sent += 1


async def quietly(work: Awaitable[object]) -> None:
    """For calls whose failure is already on the list of errors and changes nothing."""
    with suppress(Offline, NoAnswer, CallFailed):
        await work

"""The line to Redis: one supervised pub/sub connection inwards, pipelined publishing outwards.

redis-py's `PubSub` reconnects on its own and tells nobody, so whatever was published in between is lost unnoticed.
The listener here therefore drives a bare connection: it always has a subscription, counts the server's
confirmations, notices silence, comes back with jittered back-off, and tells of every gap.
"""

import asyncio
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from domain.errors import Unavailable
from gateways.redis.deadline import deadline

log = structlog.get_logger()

Item = TypeVar("Item")

CONTROL = "voltgraph:control"  # nobody publishes here; being on it keeps the connection in pub/sub mode
SUBSCRIBE_AT_ONCE = 500
PUBLISH_AT_ONCE = 1_000
PUBLISH_WAITING = 20_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, in seconds, until something counts as lost."""

    connect_s: float = 2.0
    answer_s: float = 5.0
    silence_s: float = 5.0  # then we ping; as much again and the line is dead
    backoff_min_s: float = 0.05
    backoff_max_s: float = 5.0


PATIENCE = Patience()


def connect(url: str, *, patience: Patience = PATIENCE, max_connections: int = 16) -> Redis:
    """A client that never sends a command twice: whether a lost answer matters is the caller's to judge.

    Use it within `reachable`, which sets the deadline: given a `socket_timeout`, redis-py writes under
    `asyncio.wait_for`, which before Python 3.12 can swallow a cancellation. RESP2, because RESP3 changes the shape of
    replies and switches on notifications that we do not use.
    """
    return Redis.from_pool(
        BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=patience.answer_s,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=patience.connect_s,
            socket_timeout=None,
        )
    )


@asynccontextmanager
async def reachable(*, within_s: float = PATIENCE.answer_s) -> AsyncIterator[None]:
    """Around commands: what redis-py and the socket call a lost line, and no answer in time, are `Unavailable`."""
    try:
        async with deadline(within_s):
            yield
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise Unavailable("Redis is not reachable") from error


def in_parts(items: Sequence[Item], at_once: int) -> Iterator[Sequence[Item]]:
    """So that no single command keeps Redis from everybody else for long."""
    return (items[start : start + at_once] for start in range(0, len(items), at_once))


class Listener:
    """One pub/sub connection for the whole process, kept alive until `stop`.

    `on_message` may wait: that is back-pressure, and Redis hangs up on whom it cannot feed, which is then a gap.
    `on_loss` is called when a line that was whole is lost, before anything comes on the next one; `on_gap` when that is
    whole again, that is, when everything wanted is confirmed anew.
    """

    def __init__(
        self,
        url: str,
        *,
        on_message: Callable[[str, bytes], Awaitable[None]],
        on_gap: Callable[[], None],
        on_loss: Callable[[], None] = lambda: None,
        patience: Patience = PATIENCE,
    ) -> None:
        self._client = connect(url, patience=patience)
        self._on_message = on_message
        self._on_gap = on_gap
        self._on_loss = on_loss
        self._patience = patience
        self._wanted: set[str] = {CONTROL}
        self._owed: set[str] = set()  # what is yet to be confirmed before this connection is whole
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._commands: asyncio.Queue[tuple[str, ...]] | None = None  # None: no connection
        self._supervisor: asyncio.Task[None] | None = None
        self._failures = 0
        self._gap_pending = False
        self._whole = False
        self._reading = False
        self._frames = 0

    @property
    def up(self) -> bool:
        """Connected, with every wanted channel confirmed."""
        return self._whole

    async def start(self) -> None:
        self._supervisor = asyncio.create_task(self._supervise(), name="redis line")
        try:
            await self._confirmation(CONTROL)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        await self._client.aclose()

    async def subscribe(self, channel: str) -> None:
        """Returns when the server has confirmed it; a short loss of the line is waited out."""
        self._wanted.add(channel)
        if self._commands is not None:
            self._commands.put_nowait(("SUBSCRIBE", channel))
        try:
            await self._confirmation(channel)
        except BaseException:
            self.unsubscribe(channel)
            raise

    def unsubscribe(self, channel: str) -> None:
        self._wanted.discard(channel)
        if self._commands is not None:
            self._commands.put_nowait(("UNSUBSCRIBE", channel))

    async def _confirmation(self, channel: str) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(channel, set()).add(waiter)
        try:
            async with asyncio.timeout(self._patience.answer_s):
                await waiter
        except TimeoutError:
            raise Unavailable("Redis does not confirm the subscription") from None
        finally:
            waiters = self._waiters.get(channel, set())
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(channel, None)

    async def _supervise(self) -> None:
        while True:
            try:
                await self._session()
            except* (RedisError, OSError) as lost:
                log.warning("redis line lost", reason=str(lost.exceptions[0]), failures=self._failures)
            except* Exception:
                log.exception("redis line broke", failures=self._failures)
            ceiling_s = self._patience.backoff_min_s * 2 ** min(self._failures, 16)
            self._failures += 1
            await asyncio.sleep(random.uniform(0, min(ceiling_s, self._patience.backoff_max_s)))

    async def _session(self) -> None:
        """One connection's life. Ends by raising."""
        connection: Any = self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(self._patience.connect_s):
                await connection.connect()
            commands = self._commands = asyncio.Queue()
            wanted = sorted(self._wanted)
            self._owed = set(wanted)
            for part in in_parts(wanted, SUBSCRIBE_AT_ONCE):
                commands.put_nowait(("SUBSCRIBE", *part))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(connection))
                tasks.create_task(self._write(connection, commands))
                tasks.create_task(self._watch(commands))
        finally:
            self._commands = None
            if self._whole:
                self._whole = False
                self._gap_pending = True
                self._on_loss()
            await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            self._reading = True
            frame = await connection.read_response(timeout=math.inf, disconnect_on_error=False, push_request=True)
            self._reading = False
            self._frames += 1
            if not isinstance(frame, list):
                continue  # PONG outside of pub/sub mode
            if frame[0] == b"message":
                await self._on_message(frame[1].decode(), frame[2])
            elif frame[0] == b"subscribe":
                self._confirmed(frame[1].decode())

    def _confirmed(self, channel: str) -> None:
        self._owed.discard(channel)
        for waiter in self._waiters.get(channel, ()):
            if not waiter.done():
                waiter.set_result(None)
        if not self._owed and not self._whole:
            self._became_whole()

    def _became_whole(self) -> None:
        self._whole = True
        self._failures = 0
        if self._gap_pending:
            self._gap_pending = False
            log.info("redis line restored", channels=len(self._wanted))
            self._on_gap()

    async def _write(self, connection: AbstractConnection, commands: asyncio.Queue[tuple[str, ...]]) -> None:
        """Alone at writing, so that a cancelled subscriber cannot cut a command in half."""
        while True:
            command = await commands.get()
            await connection.send_command(*command, check_health=False)

    async def _watch(self, commands: asyncio.Queue[tuple[str, ...]]) -> None:
        """Ends the session when the server is silent; our own back-pressure is not its silence."""
        while True:
            frames = self._frames
            await asyncio.sleep(self._patience.silence_s)
            if self._frames != frames or not self._reading:
                continue
            commands.put_nowait(("PING",))
            await asyncio.sleep(self._patience.silence_s)
            if self._frames == frames and self._reading:
                raise RedisConnectionError("the server is silent")


Command = tuple[str | bytes | int, ...]
News = tuple[str, bytes]  # channel, frame


class Publisher:
    """Publishes in the order of the calls, all that waits in one round trip, on a connection of its own."""

    def __init__(self, url: str, *, patience: Patience = PATIENCE) -> None:
        self._client = connect(url, patience=patience, max_connections=1)
        self._answer_s = patience.answer_s
        self._waiting: deque[tuple[Sequence[Command], asyncio.Future[list[Any]]]] = deque()
        self._waiting_count = 0
        self._sender: asyncio.Task[None] | None = None

    async def send(self, news: Sequence[News]) -> list[int]:
        """How many connections heard each. Raises `Unavailable`; then each was heard or not, but never twice."""
        return await self.run([("PUBLISH", channel, frame) for channel, frame in news])

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """What Redis answers to each. Raises `Unavailable`; then each was run or not, but never twice."""
        if self._waiting_count + len(commands) > PUBLISH_WAITING:
            raise Unavailable("too much news is waiting for Redis")
        receipt: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((commands, receipt))
        self._waiting_count += len(commands)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_waiting(), name="redis publisher")
        return await receipt

    async def stop(self) -> None:
        """What was handed over is sent first."""
        if self._sender is not None:
            await self._sender
        await self._client.aclose()

    async def _send_waiting(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            try:
                answers = await self._answers([command for part, _ in batch for command in part])
            except Unavailable as error:
                for _, receipt in batch:
                    if not receipt.done():
                        receipt.set_exception(Unavailable(error.message))
                continue
            except Exception as error:  # whatever it is, the callers get it
                for _, receipt in batch:
                    if not receipt.done():
                        receipt.set_exception(error)
                continue
            for part, receipt in batch:
                mine, answers = answers[: len(part)], answers[len(part) :]
                if not receipt.done():
                    _settle(receipt, mine)

    def _next_batch(self) -> list[tuple[Sequence[Command], asyncio.Future[list[Any]]]]:
        batch = []
        count = 0
        while self._waiting and count < PUBLISH_AT_ONCE:
            part = self._waiting.popleft()
            batch.append(part)
            count += len(part[0])
        self._waiting_count -= count
        return batch

    async def _answers(self, commands: list[Command]) -> list[Any]:
        async with reachable(within_s=self._answer_s), self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            return answers


def _settle(receipt: asyncio.Future[list[Any]], answers: list[Any]) -> None:
    """Redis may be there and not do it: loading, out of memory, read-only."""
    refusal = next((answer for answer in answers if isinstance(answer, Exception)), None)
    if refusal is None:
        receipt.set_result(answers)
    else:
        receipt.set_exception(Unavailable(f"Redis does not take it: {refusal}"))

"""The bus on Redis: one subscription per channel and process, fanned out to bounded ears.

Cures what sits in `Broadcast` itself: its race of two first subscribers (a lock per channel) and its unbounded queues.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from types import TracebackType
from typing import Any, Self

import orjson
import structlog
from broadcaster import Broadcast
from prometheus_client import Counter, Gauge

from domain.bus import Bus, Ear, Gap, Message, Overflowed, Topic
from domain.errors import Unavailable
from gateways.redis.broadcast import RedisBroadcast
from gateways.redis.line import PATIENCE, PUBLISH_AT_ONCE, Patience

log = structlog.get_logger()

PUBLISHED = Counter("voltgraph_bus_published", "Messages that Redis took from this process")
DELIVERIES = Counter("voltgraph_bus_deliveries", "Messages put before a listener of this process")
DROPS = Counter("voltgraph_bus_drops", "Messages that a listener was too slow for")
RECONNECTS = Counter("voltgraph_bus_reconnects", "Times the line to Redis was lost and came back")
EARS = Gauge("voltgraph_bus_ears", "Listeners of this process", multiprocess_mode="livesum")

LINGER_S = 5.0  # a page that reloads finds its subscriptions still there
WAITING_MAX_BYTES = 16 * 1024 * 1024  # for one listener; a batch of readings may have a megabyte
GAP_FRAME = b""  # tells the listeners of a channel that a publisher could not reach Redis for a while
APOLOGY_PAUSE_S = 1.0


class Waiting:
    """What waits for one listener: in order, at most `limit` messages and one gap, the latest value of each.

    Nor more than `limit_bytes`, unless that is a single message.
    """

    def __init__(self, limit: int, limit_bytes: int = WAITING_MAX_BYTES) -> None:
        self.limit = limit
        self.limit_bytes = limit_bytes
        self.overflowed = False
        self._bytes = 0
        self._items: OrderedDict[object, Message | Gap] = OrderedDict()
        self._sequence = count()

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, message: Message) -> bool:
        """In the place of the waiting older value, else at the end; with no room left, everything goes."""
        if self.overflowed:
            DROPS.inc()
            return False
        key = next(self._sequence) if message.conflate is None else (message.topic, message.conflate)
        older = self._items.get(key)
        size_bytes = self._bytes - _size_bytes(older) + _size_bytes(message)
        full = older is None and len(self._items) - (Gap in self._items) >= self.limit
        if full or (self._bytes and size_bytes > self.limit_bytes):
            DROPS.inc(len(self._items) + 1)
            self._items.clear()
            self.overflowed = True
            return False
        self._bytes = size_bytes
        self._items[key] = message
        return True

    def gap(self) -> None:
        """A gap that still waits covers this one too: whoever takes it looks again after both."""
        if not self.overflowed:
            self._items.setdefault(Gap, Gap())

    def take(self) -> Message | Gap:
        item = self._items.popitem(last=False)[1]
        self._bytes -= _size_bytes(item)
        return item


def _size_bytes(item: Message | Gap | None) -> int:
    return len(item.payload) if isinstance(item, Message) else 0


class BoundedEar(Ear):
    """One listener's end. Iterating ends when the bus stops, and with `Overflowed` when it was too slow."""

    def __init__(self, limit: int) -> None:
        self._waiting = Waiting(limit)
        self._stirred = asyncio.Event()
        self._closed = False

    def __aiter__(self) -> AsyncIterator[Message | Gap]:
        return self

    async def __anext__(self) -> Message | Gap:
        while not self._waiting:
            if self._waiting.overflowed:
                raise Overflowed
            if self._closed:
                raise StopAsyncIteration
            self._stirred.clear()
            await self._stirred.wait()
        return self._waiting.take()

    def hear(self, message: Message) -> bool:
        self._stirred.set()
        return self._waiting.offer(message)

    def hear_gap(self) -> None:
        self._waiting.gap()
        self._stirred.set()

    def close(self) -> None:
        self._closed = True
        self._stirred.set()


@dataclass(eq=False, slots=True)
class _Channel:
    """One topic as this process hears it. `pump` is the task that holds the one subscription."""

    topic: Topic
    ears: set[BoundedEar] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pump: asyncio.Task[None] | None = None
    opened: asyncio.Future[None] = field(default_factory=asyncio.Future)
    linger: asyncio.TimerHandle | None = None


class RedisBus(Bus):
    """`async with RedisBus(url) as bus`, or `start` and `stop`."""

    def __init__(self, url: str, *, linger_s: float = LINGER_S, patience: Patience = PATIENCE) -> None:
        self._backend = RedisBroadcast(url, on_gap=self._note_gap, patience=patience)
        self._broadcast = Broadcast(backend=self._backend)
        self._linger_s = linger_s
        self._channels: dict[str, _Channel] = {}
        self._ears: set[BoundedEar] = set()
        self._untold: set[str] = set()  # channels whose listeners elsewhere missed something of ours
        self._apology: asyncio.Task[None] | None = None
        self._closings: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def up(self) -> bool:
        return self._backend.up

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Raises `Unavailable` when Redis is not there."""
        await self._broadcast.connect()

    async def stop(self) -> None:
        """Every ear's iteration ends."""
        self._stopped = True
        for ear in self._ears:
            ear.close()
        tasks = [channel.pump for channel in self._channels.values() if channel.pump is not None]
        tasks += [*self._closings, *([self._apology] if self._apology else [])]
        for channel in self._channels.values():
            if channel.linger is not None:
                channel.linger.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._broadcast.disconnect()

    async def publish(self, messages: list[Message]) -> None:
        frames = [(_name(topic), encode(message)) for message in messages for topic in _heard_on(message.topic)]
        try:
            await self._backend.publish_all(frames)
        except Unavailable:
            self._apologize_later(name for name, _ in frames)
            raise
        PUBLISHED.inc(len(messages))

    @asynccontextmanager
    async def listen(self, *topics: Topic, limit: int = 256) -> AsyncIterator[BoundedEar]:
        ear = BoundedEar(limit)
        channels = [self._channel(topic) for topic in _widest(topics)]
        self._ears.add(ear)
        EARS.inc()
        for channel in channels:
            channel.ears.add(ear)
        try:
            await asyncio.gather(*(self._open(channel) for channel in channels))
            yield ear
        finally:
            for channel in channels:
                self._leave(channel, ear)
            self._ears.discard(ear)
            EARS.dec()

    def _channel(self, topic: Topic) -> _Channel:
        return self._channels.setdefault(_name(topic), _Channel(topic))

    async def _open(self, channel: _Channel) -> None:
        """The subscription exists when this returns, whoever asked for it first."""
        async with channel.lock:
            if channel.pump is None or channel.pump.done():
                channel.opened = asyncio.get_running_loop().create_future()
                channel.pump = asyncio.create_task(self._pump(channel), name="bus pump")
            await asyncio.shield(channel.opened)

    async def _pump(self, channel: _Channel) -> None:
        """A task of its own: a listener that leaves half way cannot take the subscription with it."""
        try:
            async with self._broadcast.subscribe(_name(channel.topic)) as subscriber:
                channel.opened.set_result(None)
                while True:
                    event = await subscriber.get()
                    self._deliver(channel, event.message)  # type: ignore[arg-type]  # bytes, see RedisBroadcast
        except KeyError:
            # Where the backend refuses, `Broadcast.subscribe` trips over its own clean-up, which hides the refusal.
            if channel.opened.done():
                raise
            channel.opened.set_exception(Unavailable("Redis does not confirm the subscription"))

    def _deliver(self, channel: _Channel, frame: bytes) -> None:
        if frame == GAP_FRAME:
            for ear in channel.ears:
                ear.hear_gap()
            return
        try:
            message = decode(channel.topic, frame)
        except (ValueError, TypeError):
            log.warning("bus frame not understood", tenant=str(channel.topic.tenant_id), kind=channel.topic.kind)
            return
        DELIVERIES.inc(sum(ear.hear(message) for ear in channel.ears))

    def _leave(self, channel: _Channel, ear: BoundedEar) -> None:
        channel.ears.discard(ear)
        if channel.ears or self._stopped:
            return
        if channel.linger is not None:
            channel.linger.cancel()
        channel.linger = asyncio.get_running_loop().call_later(self._linger_s, self._close_later, channel)

    def _close_later(self, channel: _Channel) -> None:
        closing = asyncio.create_task(self._close(channel), name="bus unsubscribe")
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)

    async def _close(self, channel: _Channel) -> None:
        """Gives the subscription up if still nobody listens. Who comes meanwhile waits for the lock, then reopens."""
        async with channel.lock:
            if channel.ears:
                return
            if channel.pump is not None:
                channel.pump.cancel()
                await asyncio.wait([channel.pump])
                channel.pump = None
            if not channel.ears:
                self._channels.pop(_name(channel.topic), None)

    def _note_gap(self) -> None:
        RECONNECTS.inc()
        for ear in self._ears:
            ear.hear_gap()

    def _apologize_later(self, names: Iterable[str]) -> None:
        self._untold.update(names)
        if self._apology is None or self._apology.done():
            self._apology = asyncio.create_task(self._apologize(), name="bus gap")

    async def _apologize(self) -> None:
        """Others may have kept their line while ours was down, so they would never know that they missed something."""
        while self._untold:
            names = set(islice(self._untold, PUBLISH_AT_ONCE))
            self._untold -= names  # before, since what fails meanwhile needs an apology of its own
            try:
                await self._backend.publish_all([(name, GAP_FRAME) for name in names])
            except Unavailable:
                self._untold |= names
                await asyncio.sleep(APOLOGY_PAUSE_S)


def encode(message: Message) -> bytes:
    """A JSON header of key and conflation, a line feed, and the payload as it is. The channel says the rest."""
    return orjson.dumps([message.topic.key, message.conflate]) + b"\n" + message.payload


def decode(heard_on: Topic, frame: bytes) -> Message:
    header, _, payload = frame.partition(b"\n")
    fields: Any = orjson.loads(header)
    key, conflate = fields
    return Message(Topic(heard_on.tenant_id, heard_on.kind, key), payload, conflate)


def _name(topic: Topic) -> str:
    return f"voltgraph:news:{topic.channel}"


def _heard_on(topic: Topic) -> Iterable[Topic]:
    return (topic,) if topic.key is None else (Topic(topic.tenant_id, topic.kind), topic)


def _widest(topics: Iterable[Topic]) -> list[Topic]:
    """Without the narrow topics that a wide one among them covers: else their news would be heard twice."""
    asked = dict.fromkeys(topics)
    return [topic for topic in asked if topic.key is None or Topic(topic.tenant_id, topic.kind) not in asked]

"""The bus on Redis: one subscription per channel and process, fanned out to bounded ears.

It stands where `Broadcast` would, on the same backend: that has a race of two first subscribers, and unbounded queues,
one per subscriber and channel, so that facts would overtake each other on their way to who listens to several keys.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import structlog
from prometheus_client import Counter, Gauge

from domain.bus import Bus, Gap, Message, Topic, place
from domain.errors import Unavailable
from domain.events import is_kind_of_facts
from gateways.redis import streams
from gateways.redis.broadcast import RedisBroadcast
from gateways.redis.ears import REPLAYED, BoundedEar
from gateways.redis.line import PATIENCE, PUBLISH_AT_ONCE, Patience, in_parts
from gateways.redis.streams import KEEPING, NOWHERE, Beginning, Keeping, Position, Replay, Streams

log = structlog.get_logger()

PUBLISHED = Counter("voltgraph_bus_published", "Messages that Redis took from this process")
DELIVERIES = Counter("voltgraph_bus_deliveries", "Messages put before a listener of this process")
RECONNECTS = Counter("voltgraph_bus_reconnects", "Times the line to Redis was lost and came back")
EARS = Gauge("voltgraph_bus_ears", "Listeners of this process", multiprocess_mode="livesum")

LINGER_S = 5.0  # a page that reloads finds its subscriptions still there
APOLOGY_PAUSE_S = 1.0
HELD_MAX = 10_000
PROBE_WITHIN_S = 1.0


@dataclass(eq=False, slots=True)
class _Channel:
    """One topic as this process hears it. No fact up to `since` is for its ears (any more).

    After a loss, some that were read from the stream may still be on their way here: `is_ahead`.
    """

    topic: Topic
    stream: "_Stream | None"
    ears: set[BoundedEar] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    opening: "asyncio.Task[None] | None" = None
    since: str | None = None
    is_ahead: bool = False
    linger: asyncio.TimerHandle | None = None

    def lacks(self, fact_id: str) -> bool:
        return self.since is None or place(fact_id) > place(self.since)


Held = tuple[_Channel, str, Message | Gap]


@dataclass(eq=False, slots=True)
class _Stream:
    """The facts of a tenant and kind, as this process hears them.

    All its channels have heard theirs up to `heard`, and some up to `newest`. While the line is down, and until what
    was missed is told, what comes is `held` back; `late` are those who have begun to listen meanwhile.
    """

    topic: Topic
    channels: dict[str | None, _Channel] = field(default_factory=dict)
    heard: Position | None = None
    newest: str | None = None
    held: list[Held] | None = None
    late: set[BoundedEar] = field(default_factory=set)

    def reach(self, fact_id: str) -> None:
        """A fact is told on two channels, and the line may be lost in between."""
        if fact_id != self.newest:
            self.heard, self.newest = self.newest or self.heard, fact_id

    def stand_at(self, position: Position, *, is_told: bool) -> None:
        """Nothing up to there is missing any more; `is_told`: since all of it was told, and not only of a gap."""
        self.heard = position
        self.newest = position if isinstance(position, str) else None
        for channel in self.channels.values():
            channel.since = self.newest
            channel.is_ahead = is_told and self.newest is not None

    def heard_by(self, key: str | None) -> list[_Channel]:
        keys = {None, key}
        return [channel for each in keys if (channel := self.channels.get(each)) is not None]

    def ears(self) -> set[BoundedEar]:
        return {ear for channel in self.channels.values() for ear in channel.ears}


class RedisBus(Bus):
    """`async with RedisBus(url) as bus`, or `start` and `stop`.

    `resumes`: whether a topic of that kind tells nothing but facts, so that a lost line can be made up for.
    """

    def __init__(
        self,
        url: str,
        *,
        keeping: Keeping = KEEPING,
        linger_s: float = LINGER_S,
        patience: Patience = PATIENCE,
        resumes: Callable[[str], bool] = is_kind_of_facts,
    ) -> None:
        self._backend = RedisBroadcast(url, on_gap=self._come_back, on_loss=self._hold, patience=patience)
        self._kept = Streams(url, patience=patience)
        self._keeping = keeping
        self._resumes = resumes
        self._linger_s = linger_s
        self._channels: dict[str, _Channel] = {}
        self._streams: dict[Topic, _Stream] = {}
        self._ears: set[BoundedEar] = set()
        self._untold: dict[tuple[Topic, bool], set[Topic]] = {}  # where listeners elsewhere missed something of ours
        self._hearing: asyncio.Task[None] | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._apology: asyncio.Task[None] | None = None
        self._closings: set[asyncio.Task[None]] = set()
        self._is_behind = False
        self._stopped = False

    @property
    def up(self) -> bool:
        """Whatever was published before is heard, or on its way here."""
        return self._backend.up and not self._is_behind

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Raises `Unavailable` when Redis is not there."""
        await self._backend.connect()
        self._hearing = asyncio.create_task(self._hear(), name="bus")

    async def stop(self) -> None:
        """Every ear's iteration ends."""
        self._stopped = True
        for ear in self._ears:
            ear.close()
        openings = [channel.opening for channel in self._channels.values()]
        tasks = [task for task in (self._hearing, self._resuming, self._apology, *openings) if task is not None]
        tasks += self._closings
        for channel in self._channels.values():
            if channel.linger is not None:
                channel.linger.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._backend.disconnect()
        await self._kept.stop()

    # --- publishing ----------------------------------------------------------------------------------------------

    async def publish(self, messages: list[Message]) -> None:
        commands = [command for message in messages for command in streams.telling(message, self._keeping)]
        try:
            await self._backend.run(commands)
        except Unavailable:
            self._apologize_later(messages)
            raise
        PUBLISHED.inc(len(messages))

    async def listened_to(self, topics: Sequence[Topic]) -> set[Topic]:
        """Redis counts those who are subscribed to the very channel."""
        if not topics:
            return set()
        (counts,) = await self._backend.run([("PUBSUB", "NUMSUB", *(streams.channel(topic) for topic in topics))])
        return {topic for topic, count in zip(topics, counts[1::2], strict=True) if count}

    def _apologize_later(self, messages: Iterable[Message]) -> None:
        for message in messages:
            kind = streams.whole_kind(message.topic)
            self._untold.setdefault((kind, message.conflate is None), set()).update((kind, message.topic))
        if self._apology is None or self._apology.done():
            self._apology = asyncio.create_task(self._apologize(), name="bus gap")

    async def _apologize(self) -> None:
        """Others may have kept their line while ours was down, so they would never know that they missed something."""
        while self._untold:
            (kind, kept), topics = self._untold.popitem()  # before, since what fails meanwhile needs its own apology
            try:
                for part in in_parts(list(topics), PUBLISH_AT_ONCE):
                    await self._backend.run(streams.telling_gap(part, self._keeping, kept=kept))
            except Unavailable:
                self._untold.setdefault((kind, kept), set()).update(topics)
                await asyncio.sleep(APOLOGY_PAUSE_S)

    # --- listening -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def listen(self, *topics: Topic, limit: int = 256, after: str | None = None) -> AsyncIterator[BoundedEar]:
        ear = BoundedEar(limit, None if after is None else self._replay(topics, after))
        channels = [self._channel(topic) for topic in _widest(topics)]
        self._ears.add(ear)
        EARS.inc()
        for channel in channels:
            channel.ears.add(ear)
        try:
            await asyncio.gather(*(self._open(channel) for channel in channels))
            self._begin(ear, channels)
            yield ear
        finally:
            for channel in channels:
                self._leave(channel, ear)
            self._ears.discard(ear)
            EARS.dec()

    def replay(self, *topics: Topic, after: str) -> AsyncIterator[Message | Gap]:
        return self._replayed(self._replay(topics, after))

    async def _replayed(self, replay: Replay) -> AsyncIterator[Message | Gap]:
        while not (replay.is_at_end or replay.has_gap):
            told = await replay.more()
            REPLAYED.inc(len(told) - replay.has_gap)
            for item in told:
                yield item

    def _replay(self, topics: Sequence[Topic], after: str) -> Replay:
        kind = streams.whole_kind(topics[0])
        keys = frozenset(topic.key for topic in topics if streams.whole_kind(topic) == kind)
        milliseconds, number = place(after)
        return Replay(self._kept, kind, f"{milliseconds}-{number}", None if None in keys else keys)

    def _begin(self, ear: BoundedEar, channels: Iterable[_Channel]) -> None:
        ear.begin()
        if self._stopped:
            ear.close()
        for channel in channels:
            if channel.stream is not None and channel.stream.held is not None:
                channel.stream.late.add(ear)

    def _channel(self, topic: Topic) -> _Channel:
        name = streams.channel(topic)
        if name not in self._channels:
            channel = self._channels[name] = _Channel(topic, self._stream(topic))
            if channel.stream is not None:
                channel.stream.channels[topic.key] = channel
        return self._channels[name]

    def _stream(self, topic: Topic) -> _Stream | None:
        if not self._resumes(topic.kind):
            return None
        kind = streams.whole_kind(topic)
        if kind not in self._streams:
            self._streams[kind] = _Stream(kind, held=[] if self._is_behind else None)
        return self._streams[kind]

    async def _open(self, channel: _Channel) -> None:
        """The subscription exists when this returns, whoever asked for it first.

        In a task of its own: a listener that leaves half way cannot take it with it.
        """
        async with channel.lock:
            if channel.opening is None or _has_failed(channel.opening):
                channel.opening = asyncio.create_task(self._subscribe(channel), name="bus subscribe")
                channel.opening.add_done_callback(_has_failed)
            await asyncio.shield(channel.opening)

    async def _subscribe(self, channel: _Channel) -> None:
        if channel.stream is not None:
            await self._find_end(channel, channel.stream)
        await self._backend.subscribe(streams.channel(channel.topic))

    async def _find_end(self, channel: _Channel, stream: _Stream) -> None:
        """What is there already is not news to it. Before it subscribes: afterwards, the line might be lost between."""
        try:
            end = await self._kept.end(stream.topic, within_s=PROBE_WITHIN_S)
        except Unavailable:
            end = NOWHERE
        channel.since = end if isinstance(end, str) else None
        if stream.heard is None:
            stream.heard = end

    def _leave(self, channel: _Channel, ear: BoundedEar) -> None:
        channel.ears.discard(ear)
        if channel.stream is not None:
            channel.stream.late.discard(ear)
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
            if channel.opening is not None:
                channel.opening.cancel()
                await asyncio.wait([channel.opening])
                channel.opening = None
                await self._backend.unsubscribe(streams.channel(channel.topic))
            if not channel.ears:
                self._forget(channel)

    def _forget(self, channel: _Channel) -> None:
        self._channels.pop(streams.channel(channel.topic), None)
        stream = channel.stream
        if stream is not None:
            stream.channels.pop(channel.topic.key, None)
            if not stream.channels:
                self._streams.pop(stream.topic, None)

    # --- hearing -------------------------------------------------------------------------------------------------

    async def _hear(self) -> None:
        """All channels' in one order."""
        while True:
            event: Any = await self._backend.next_published()
            channel = self._channels.get(event.channel)
            if channel is not None:
                self._take(channel, event.message)

    def _take(self, channel: _Channel, told: bytes) -> None:
        try:
            fact_id, item = streams.heard(channel.topic, told)
        except (ValueError, TypeError):
            log.warning("bus frame not understood", tenant=str(channel.topic.tenant_id), kind=channel.topic.kind)
            return
        if fact_id is not None and channel.stream is not None and channel.stream.held is not None:
            self._hold_back(channel.stream, channel.stream.held, (channel, fact_id, item))
        else:
            self._pass_on(channel, fact_id, item)

    def _pass_on(self, channel: _Channel, fact_id: str | None, item: Message | Gap) -> None:
        if fact_id is not None and channel.stream is not None:
            if channel.is_ahead and not channel.lacks(fact_id):
                return
            channel.stream.reach(fact_id)
            channel.since, channel.is_ahead = fact_id, False
        if isinstance(item, Gap):
            _tell_gap(channel.ears)
        else:
            DELIVERIES.inc(sum([ear.hear(item) for ear in channel.ears]))

    # --- a line that was lost ------------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._is_behind = True
        if self._resuming is not None:
            self._resuming.cancel()
        for stream in self._streams.values():
            if stream.held is None:
                stream.held = []

    def _hold_back(self, stream: _Stream, held: list[Held], item: Held) -> None:
        if len(held) >= HELD_MAX:
            held.clear()
            stream.heard = NOWHERE
        held.append(item)

    def _come_back(self) -> None:
        """Facts are made up for; of all else nobody knows what was missed."""
        RECONNECTS.inc()
        for channel in self._channels.values():
            if channel.stream is None:
                _tell_gap(channel.ears)
        self._resuming = asyncio.create_task(self._resume(), name="bus resume")

    async def _resume(self) -> None:
        while behind := [stream for stream in self._streams.values() if stream.held is not None]:
            await asyncio.gather(*(self._catch_up(stream) for stream in behind))
        self._is_behind = False

    async def _catch_up(self, stream: _Stream) -> None:
        missed: list[Message] = []
        try:
            end = await self._read_missed(stream, missed)
            made_up = end is not None and stream.heard is not NOWHERE
            end = end if made_up and end is not None else await self._kept.end(stream.topic)
        except Unavailable:
            made_up, end = False, NOWHERE
        late, stream.late = stream.late, set()
        if made_up:
            self._tell_missed(stream, missed, late)
        else:
            self._give_up(stream, end)
        stream.stand_at(end, is_told=made_up)
        held, stream.held = stream.held or [], None
        for item in held:
            self._pass_on(*item)

    async def _read_missed(self, stream: _Stream, missed: list[Message]) -> Position | None:
        """Where it ends; None where it is not all kept any more."""
        keys = frozenset(stream.channels)
        replay = Replay(self._kept, stream.topic, stream.heard or NOWHERE, None if None in keys else keys)
        while not (replay.is_at_end or replay.has_gap):
            missed += [item for item in await replay.more() if isinstance(item, Message)]
        return None if replay.has_gap else replay.after

    def _tell_missed(self, stream: _Stream, missed: Iterable[Message], late: set[BoundedEar]) -> None:
        """Whoever has no room for all of it looks again, as do those who came late: some of it was before them."""
        lacking: dict[BoundedEar, list[Message]] = defaultdict(list)
        for message in missed:
            for channel in stream.heard_by(message.topic.key):
                if message.id is not None and channel.lacks(message.id):
                    for ear in channel.ears - late:
                        lacking[ear].append(message)
        for ear, messages in lacking.items():
            if len(messages) > ear.room:
                late.add(ear)
            else:
                told = sum(ear.hear(message) for message in messages)
                DELIVERIES.inc(told)
                REPLAYED.inc(told)
        _tell_gap(late)

    def _give_up(self, stream: _Stream, end: Position) -> None:
        ears = stream.ears()
        _tell_gap(ears)
        if end is NOWHERE or stream.newest is None:
            return
        if isinstance(end, Beginning) or place(end) < place(stream.newest):
            for ear in ears:
                ear.forget_ids()


def _tell_gap(ears: Iterable[BoundedEar]) -> None:
    for ear in ears:
        ear.hear_gap()


def _has_failed(opening: "asyncio.Task[None]") -> bool:
    return opening.done() and (opening.cancelled() or opening.exception() is not None)


def _widest(topics: Iterable[Topic]) -> list[Topic]:
    """Without the narrow topics that a wide one among them covers: else their news would be heard twice."""
    asked = dict.fromkeys(topics)
    return [topic for topic in asked if topic.key is None or Topic(topic.tenant_id, topic.kind) not in asked]

"""Facts are kept for a while: a Redis stream per tenant and kind, from which whoever missed some is told them again.

A frame is a JSON header of key and conflation, a line feed, and the payload as it is; the channel or stream says the
rest. An empty frame is a gap: a publisher could not reach Redis for a while. On a channel the frame comes after a line
with the id that it has in the stream, which is empty for what is not kept.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
import structlog
from redis.exceptions import RedisError, ResponseError

from domain.bus import Gap, Message, Topic
from domain.errors import Unavailable
from gateways.redis.line import PATIENCE, Command, Patience, connect, reachable

log = structlog.get_logger()

GAP = b""
AT_ONCE = 500  # entries in one answer
CONNECTIONS = 4
_ERA = "voltgraph:streams:era"  # a word that Redis has as long as it has its memory

# One script, so that a stream has its facts in the order in which listeners heard them.
_TELL = """
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'f', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[2])
local told = id .. '\\n' .. ARGV[3]
for n = 4, #ARGV do redis.call('PUBLISH', ARGV[n], told) end
return id
"""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How many facts of a tenant and kind are kept (about; some 300 bytes each), and how long where none is added."""

    length: int = 10_000
    quiet_s: int = 86_400


KEEPING = Keeping()


@dataclass(frozen=True, slots=True)
class Beginning:
    """Of a stream that is empty, as long as Redis remembers that it was."""

    era: str


NOWHERE = Beginning("")  # whatever comes after that, some of it may be missing
Position = str | Beginning  # after the fact with that id
Entry = tuple[str, bytes]  # id, frame


def channel(topic: Topic) -> str:
    return f"voltgraph:news:{topic.channel}"


def stream(topic: Topic) -> str:
    return f"voltgraph:stream:{topic.tenant_id}:{topic.kind}"


def whole_kind(topic: Topic) -> Topic:
    return Topic(topic.tenant_id, topic.kind)


def encode(message: Message) -> bytes:
    return orjson.dumps([message.topic.key, message.conflate]) + b"\n" + message.payload


def decode(heard_on: Topic, frame: bytes, fact_id: str | None = None) -> Message | Gap:
    """Raises ValueError or TypeError for what is no frame of ours."""
    if frame == GAP:
        return Gap()
    header, _, payload = frame.partition(b"\n")
    fields: Any = orjson.loads(header)
    key, conflate = fields
    topic = heard_on if key == heard_on.key else Topic(heard_on.tenant_id, heard_on.kind, key)
    return Message(topic, payload, conflate, fact_id)


def heard(channel_topic: Topic, told: bytes) -> tuple[str | None, Message | Gap]:
    """What came on a channel, and the id that it has in the stream. Raises as `decode`."""
    fact_id, line_feed, frame = told.partition(b"\n")
    if not line_feed or (fact_id and b"-" not in fact_id):
        raise ValueError("no frame of ours")
    known = fact_id.decode("ascii") or None
    return known, decode(channel_topic, frame, known)


def telling(message: Message, keeping: Keeping) -> list[Command]:
    """The commands that publish it."""
    topic, frame = message.topic, encode(message)
    channels = [channel(topic)] if topic.key is None else [channel(whole_kind(topic)), channel(topic)]
    if message.conflate is not None:
        return [("PUBLISH", name, b"\n" + frame) for name in channels]
    return [_kept(topic, frame, channels, keeping)]


def telling_gap(topics: Sequence[Topic], keeping: Keeping, *, kept: bool) -> list[Command]:
    """To the listeners of these topics, all of one kind, that something was lost; `kept`: also to those who come."""
    channels = [channel(topic) for topic in topics]
    if kept:
        return [_kept(topics[0], GAP, channels, keeping)]
    return [("PUBLISH", name, b"\n" + GAP) for name in channels]


def _kept(topic: Topic, frame: bytes, channels: Iterable[str], keeping: Keeping) -> Command:
    """By its text and not its digest: a restarted Redis has forgotten every script."""
    return ("EVAL", _TELL, 1, stream(topic), keeping.length, keeping.quiet_s, frame, *channels)


class Streams:
    """What is kept, as it is read. Raises `Unavailable`."""

    def __init__(self, url: str, *, patience: Patience = PATIENCE) -> None:
        self._client = connect(url, patience=patience, max_connections=CONNECTIONS)
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._within_s = patience.answer_s

    async def stop(self) -> None:
        await self._client.aclose()

    async def end(self, topic: Topic, *, within_s: float | None = None) -> Position:
        """Where the stream ends now."""
        async with self._asking(within_s), self._client.pipeline(transaction=False) as asking:
            asking.xrevrange(stream(topic), count=1)
            asking.set(_ERA, uuid4().hex, nx=True, get=True)
            asking.get(_ERA)
            newest, _, era = await asking.execute()
        return _entry(newest[0])[0] if newest else Beginning(era.decode())

    async def following(self, topic: Topic, after: Position) -> list[Entry] | None:
        """The next entries; None where it cannot be told which they are, since not all of them are kept any more."""
        if isinstance(after, Beginning):
            return await self._from_the_beginning(topic, after)
        async with self._asking():
            found = await self._client.xrange(stream(topic), min=after, count=AT_ONCE + 1)
        entries = [_entry(one) for one in found or ()]
        return entries[1:] if entries and entries[0][0] == after else None

    @asynccontextmanager
    async def _asking(self, within_s: float | None = None) -> AsyncIterator[None]:
        within_s = self._within_s if within_s is None else min(within_s, self._within_s)
        try:
            async with self._turns, reachable(within_s=within_s):
                yield
        except RedisError as error:
            raise Unavailable("Redis does not tell what it has kept") from error

    async def _from_the_beginning(self, topic: Topic, after: Beginning) -> list[Entry] | None:
        async with self._asking(), self._client.pipeline(transaction=False) as asking:
            asking.xrange(stream(topic), count=AT_ONCE)
            asking.xinfo_stream(stream(topic))
            asking.get(_ERA)
            found, info, era = await asking.execute(raise_on_error=False)
        if era is None or era.decode() != after.era:
            return None
        if not found:
            return []
        trimmed = isinstance(info, ResponseError) or info["entries-added"] != info["length"]
        return None if trimmed else [_entry(one) for one in found]


class Replay:
    """What came after a position in a stream, page by page as its reader asks for it, until nothing is left.

    `keys`: of these alone; None: of all. A lost answer loses nothing: who is cancelled asks again.
    """

    def __init__(self, streams: Streams, topic: Topic, after: Position, keys: frozenset[str | None] | None) -> None:
        self.topic = whole_kind(topic)
        self.after = after
        self.has_gap = False
        self.is_at_end = False  # when it was last asked
        self._streams = streams
        self._keys = keys

    def tells(self, message: Message) -> bool:
        """Whether it may tell it too."""
        topic = message.topic
        return message.id is not None and (topic.tenant_id, topic.kind) == (self.topic.tenant_id, self.topic.kind)

    async def more(self) -> list[Message | Gap]:
        """A `Gap` is the last."""
        entries = await self._streams.following(self.topic, self.after)
        if entries is None:
            self.has_gap = True
            return [Gap()]
        told: list[Message | Gap] = []
        for fact_id, frame in entries:
            self.after = fact_id
            item = self._read(fact_id, frame)
            if isinstance(item, Gap):
                self.has_gap = True
                return [*told, item]
            if item is not None and (self._keys is None or item.topic.key in self._keys):
                told.append(item)
        self.is_at_end = len(entries) < AT_ONCE
        return told

    def _read(self, fact_id: str, frame: bytes) -> Message | Gap | None:
        try:
            return decode(self.topic, frame, fact_id)
        except (ValueError, TypeError):
            log.warning("kept frame not understood", tenant=str(self.topic.tenant_id), kind=self.topic.kind)
            return None


def _entry(found: Any) -> Entry:
    fact_id, fields = found
    return fact_id.decode("ascii"), fields.get(b"f", GAP)

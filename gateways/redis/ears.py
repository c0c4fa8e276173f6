"""One listener's end of the bus: a bounded queue, with what it had missed before it."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from itertools import count

from prometheus_client import Counter

from domain.bus import Ear, Gap, Message, Overflowed, place
from gateways.redis.streams import Replay

DROPS = Counter("voltgraph_bus_drops", "Messages that a listener was too slow for")
REPLAYED = Counter("voltgraph_bus_replayed", "Facts told to a listener who had missed them, from what is kept")
GAPS = Counter("voltgraph_bus_gaps", "Times that a listener was told to look again")

WAITING_MAX_BYTES = 16 * 1024 * 1024  # for one listener; a batch of readings may have a megabyte


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

    @property
    def room(self) -> int:
        return self.limit - len(self._items) + (Gap in self._items)

    def offer(self, message: Message) -> bool:
        """In the place of the waiting older value, else at the end; with no room left, everything goes."""
        if self.overflowed:
            DROPS.inc()
            return False
        key = next(self._sequence) if message.conflate is None else (message.topic, message.conflate)
        older = self._items.get(key) if self._items else None
        size_bytes = self._bytes + len(message.payload)
        if older is not None:
            size_bytes -= _size_bytes(older)
        full = older is None and len(self._items) >= self.limit and self.room <= 0
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


def _size_bytes(item: Message | Gap) -> int:
    return len(item.payload) if isinstance(item, Message) else 0


class BoundedEar(Ear):
    """Iterating ends when the bus stops, and with `Overflowed` when its reader was too slow.

    What is replayed is read at the reader's pace. Until that has come to the end of the stream, live facts of it need
    not wait here: they will be read there too. From then on they wait, and what was replayed meanwhile is not told
    again.
    """

    def __init__(self, limit: int, replay: Replay | None = None) -> None:
        self._waiting = Waiting(limit)
        self._loop = asyncio.get_running_loop()
        self._stirred: asyncio.Future[None] | None = None  # while its reader waits; an `Event` costs twice as much
        self._begun = False
        self._closed = False
        self._replay = replay
        self._replayed: deque[Message | Gap] = deque()
        self._is_behind = replay is not None
        self._told: Replay | None = None  # whose facts may still come a second time

    def __aiter__(self) -> AsyncIterator[Message | Gap]:
        return self

    async def __anext__(self) -> Message | Gap:
        while True:
            if self._replayed:
                return self._replayed.popleft()
            if self._replay is not None:
                await self._read_on(self._replay)
            elif self._waiting:
                item = self._waiting.take()
                if not self._is_told(item):
                    return item
            elif self._waiting.overflowed:
                raise Overflowed
            elif self._closed:
                raise StopAsyncIteration
            else:
                self._stirred = self._loop.create_future()
                await self._stirred

    @property
    def room(self) -> int:
        return self._waiting.room

    def begin(self) -> None:
        """What comes from now on is heard."""
        self._begun = True

    def hear(self, message: Message) -> bool:
        """Whether it is put before the reader."""
        if not self._begun or (self._replay is not None and self._is_behind and self._replay.tells(message)):
            return False
        self._stir()
        return self._waiting.offer(message)

    def hear_gap(self) -> None:
        if self._begun:
            GAPS.inc()
            self._waiting.gap()
            self._stir()

    def forget_ids(self) -> None:
        """Redis has lost its memory, and its clock was set back: a lower id is no sign of having been told any more."""
        self._told = None

    def close(self) -> None:
        self._closed = True
        self._stir()

    def _stir(self) -> None:
        if self._stirred is not None:
            if not self._stirred.done():
                self._stirred.set_result(None)
            self._stirred = None

    async def _read_on(self, replay: Replay) -> None:
        self._is_behind = not replay.is_at_end
        told = await replay.more()
        self._replayed.extend(told)
        REPLAYED.inc(len(told) - replay.has_gap)
        if replay.has_gap:
            GAPS.inc()
            self._replay = None
        elif replay.is_at_end and not self._is_behind:
            self._replay, self._told = None, replay

    def _is_told(self, item: Message | Gap) -> bool:
        if self._told is None or isinstance(item, Gap) or item.id is None or not self._told.tells(item):
            return False
        after = self._told.after
        return isinstance(after, str) and place(item.id) <= place(after)

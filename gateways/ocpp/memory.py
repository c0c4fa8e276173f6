"""What was answered to which message, so that a repeat gets the same answer and happens once.

Two memories, for two questions. `Recent` is of one socket: a message id used again within moments is a repeat, or, with
another payload, a mistake. `AnswerMemory` is of a station and outlives its sockets: transaction messages that were
answered into a broken connection come again on the next one. It keeps nothing else, because chargers exist that number
their messages from 1 after every boot or reconnect: there the same id and payload of a Heartbeat are a new question,
while those of a transaction message, which carry their own time and meter, are the same fact.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import orjson

from gateways.ocpp.frames import CallFrame, MessageId

StationKey = tuple[UUID, UUID]
"""Tenant and station."""

_ID_CHARS: Final = 255  # longer ids are answered, but not remembered
_MINUTES: Final = 60.0


@dataclass(frozen=True, slots=True)
class Remembered:
    digest: bytes
    answer: str


class AnswerMemory(Protocol):
    """A port, since a cluster remembers in Redis. May raise `domain.errors.Unavailable`."""

    age_s: float
    """For how long. Who has been connected here for longer was answered nowhere else."""

    async def recall(self, station: StationKey, message_id: MessageId, *, elsewhere: bool) -> Remembered | None:
        """`elsewhere`: another process may have answered it."""
        ...

    async def remember(self, station: StationKey, message_id: MessageId, remembered: Remembered) -> None: ...


class ProcessMemory(AnswerMemory):
    """Within one process; bounded by stations, by answers per station and by age."""

    def __init__(
        self,
        *,
        stations: int = 20_000,
        answers: int = 32,
        age_s: float = 15 * _MINUTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stations = stations
        self._answers = answers
        self.age_s = age_s
        self._clock = clock
        self._kept: OrderedDict[StationKey, Recent] = OrderedDict()

    async def recall(self, station: StationKey, message_id: MessageId, *, elsewhere: bool) -> Remembered | None:
        kept = self._kept.get(station)
        return None if kept is None else kept.recall(message_id)

    async def remember(self, station: StationKey, message_id: MessageId, remembered: Remembered) -> None:
        kept = self._kept.get(station)
        if kept is None:
            kept = self._kept[station] = Recent(answers=self._answers, age_s=self.age_s, clock=self._clock)
            if len(self._kept) > self._stations:
                self._kept.popitem(last=False)
        self._kept.move_to_end(station)
        kept.remember(message_id, remembered)


class Recent:
    """The latest answers by message id."""

    __slots__ = ("_age_s", "_answers", "_clock", "_kept")

    def __init__(self, *, answers: int = 8, age_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers = answers
        self._age_s = age_s
        self._clock = clock
        self._kept: OrderedDict[MessageId, tuple[float, Remembered]] = OrderedDict()

    def recall(self, message_id: MessageId, *, age_s: float | None = None) -> Remembered | None:
        at, remembered = self._kept.get(message_id, (0.0, None))
        return remembered if self._clock() - at <= (self._age_s if age_s is None else age_s) else None

    def remember(self, message_id: MessageId, remembered: Remembered) -> None:
        if not memorable(message_id):
            return
        self._kept[message_id] = (self._clock(), remembered)
        self._kept.move_to_end(message_id)
        if len(self._kept) > self._answers:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        self._kept.clear()


def memorable(message_id: MessageId) -> bool:
    return not isinstance(message_id, str) or len(message_id) <= _ID_CHARS


def digest(frame: CallFrame) -> bytes:
    """Of action and payload, however the keys are ordered."""
    try:
        text = orjson.dumps([frame.action, frame.payload], option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        text = repr([frame.action, frame.payload]).encode()
    return hashlib.blake2b(text, digest_size=16).digest()

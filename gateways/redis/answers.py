"""What stations were answered, for all processes: the `AnswerMemory` of a cluster.

A process remembers by itself first and tells Redis behind the answer, all that waits in one round trip. It asks Redis
only for stations that may have been answered elsewhere, all that ask at once in one round trip too. While Redis is away
the process goes on by its own memory, and tells Redis of it when it is back.
"""

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from itertools import islice
from typing import Any, Self

import orjson
import structlog

from domain.errors import Unavailable
from domain.outage import Outage
from gateways.ocpp.frames import MessageId
from gateways.ocpp.memory import AnswerMemory, ProcessMemory, Remembered, StationKey, memorable
from gateways.redis.line import Patience, Publisher

log = structlog.get_logger()

AT_ONCE = 500
OWED_AT_MOST = 20_000
AGAIN_S = 1.0  # until Redis is asked again after it was away
LAST_WORDS_S = 2.0
PATIENCE = Patience(connect_s=1.0, answer_s=0.5)  # a station waits, and can do without
_DIGEST_BYTES = 16

_Owed = tuple[float, bytes]  # until when it is worth anything, by our clock; the value


class RedisAnswers(AnswerMemory):
    def __init__(self, url: str, *, age_s: float, patience: Patience = PATIENCE) -> None:
        self.age_s = age_s
        self._line = Publisher(url, patience=patience)
        self._own = ProcessMemory(age_s=age_s)
        self._owed: OrderedDict[str, _Owed] = OrderedDict()
        self._paying: asyncio.Task[None] | None = None
        self._away_until = 0.0
        self._outage = Outage()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._paying is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._paying), LAST_WORDS_S)
            self._paying.cancel()
        await self._line.stop()

    async def recall(self, station: StationKey, message_id: MessageId, *, elsewhere: bool) -> Remembered | None:
        own = await self._own.recall(station, message_id, elsewhere=False)
        key = _key(station, message_id)
        if not elsewhere or key in self._owed or time.monotonic() < self._away_until:
            return own
        try:
            (value,) = await self._line.run([("GET", key)])
        except Unavailable as error:
            self._lost(error)
            return own
        self._found()
        return own if value is None else _unpacked(value)

    async def remember(self, station: StationKey, message_id: MessageId, remembered: Remembered) -> None:
        if not memorable(message_id):
            return
        await self._own.remember(station, message_id, remembered)
        key = _key(station, message_id)
        self._owed.pop(key, None)
        self._owed[key] = (time.monotonic() + self.age_s, remembered.digest + remembered.answer.encode())
        if len(self._owed) > OWED_AT_MOST:
            self._owed.popitem(last=False)
        if self._paying is None or self._paying.done():
            self._paying = asyncio.create_task(self._pay(), name="remembering answers")

    async def _pay(self) -> None:
        while self._owed:
            batch = list(islice(self._owed.items(), AT_ONCE))
            try:
                await self._line.run([_set(key, owed) for key, owed in batch])
            except Unavailable as error:
                self._lost(error)
                await asyncio.sleep(AGAIN_S)
                continue
            self._found()
            for key, owed in batch:
                if self._owed.get(key) is owed:
                    del self._owed[key]

    def _lost(self, error: Unavailable) -> None:
        self._away_until = time.monotonic() + AGAIN_S
        if self._outage.failed():
            log.warning("answers are remembered by this process alone", reason=error.message)

    def _found(self) -> None:
        self._away_until = 0.0
        if self._outage.worked():
            log.info("answers are remembered by all processes again", owed=len(self._owed))


def _set(key: str, owed: _Owed) -> tuple[Any, ...]:
    """What has grown too old meanwhile is gone in a moment."""
    until, value = owed
    return "SET", key, value, "PX", max(1, round((until - time.monotonic()) * 1000))


def _unpacked(value: bytes) -> Remembered:
    return Remembered(value[:_DIGEST_BYTES], value[_DIGEST_BYTES:].decode())


def _key(station: StationKey, message_id: MessageId) -> str:
    """A number is another id than its text. The braces keep a tenant's keys on one node of a cluster."""
    tenant_id, station_id = station
    return f"voltgraph:{{{tenant_id}}}:answer:{station_id}:{orjson.dumps(message_id).decode()}"

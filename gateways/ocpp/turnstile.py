"""A few at a time: after a restart thousands of stations come at once, while others charge.

Handshakes and errands (what no charge depends on: boots, statuses, reports) share the places. Errands go first and are
never refused; a handshake is, when too many wait already or it has waited too long: the station comes back later.
Messages of a charge, cards and heartbeats pass beside it: nobody who charges waits for those who come.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from domain.errors import Unavailable
from gateways.ocpp.frames import TRANSACTION_ACTIONS

WAITING = Gauge("voltgraph_ocpp_handshakes_waiting", "Handshakes that wait to be let in", multiprocess_mode="livesum")
WAITED_SECONDS = Histogram("voltgraph_ocpp_handshake_wait_seconds", "How long handshakes waited that were let in")
TURNED_AWAY = Counter("voltgraph_ocpp_handshakes_turned_away", "Handshakes that were too many", ["reason"])

# Heartbeats cost no database, and somebody stands before the station with a card.
_BESIDE: Final = TRANSACTION_ACTIONS | {"Heartbeat", "Authorize"}


class Turnstile:
    def __init__(self, *, at_once: int, waiting: int, patience_s: float = 20.0) -> None:
        """`patience_s` is below what stations give a handshake."""
        self._free = at_once
        self._waiting_max = waiting
        self._patience_s = patience_s
        self._errands: deque[asyncio.Future[None]] = deque()
        self._handshakes: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def handshake(self) -> AsyncIterator[None]:
        """Raises `Unavailable` for one that is too many."""
        if self._free == 0 and len(self._handshakes) >= self._waiting_max:
            TURNED_AWAY.labels("full").inc()
            raise Unavailable("too many stations come at once")
        begun_s = time.perf_counter()
        WAITING.inc()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._place(self._handshakes)
        except TimeoutError:
            TURNED_AWAY.labels("late").inc()
            raise Unavailable("too many stations come at once") from None
        finally:
            WAITING.dec()
        WAITED_SECONDS.observe(time.perf_counter() - begun_s)
        try:
            yield
        finally:
            self._leave()

    @asynccontextmanager
    async def message(self, action: str) -> AsyncIterator[None]:
        if action in _BESIDE:
            yield
            return
        await self._place(self._errands)
        try:
            yield
        finally:
            self._leave()

    async def _place(self, queue: deque[asyncio.Future[None]]) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    queue.remove(turn)
            else:  # its turn came just then
                self._leave()
            raise

    def _leave(self) -> None:
        for queue in (self._errands, self._handshakes):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1

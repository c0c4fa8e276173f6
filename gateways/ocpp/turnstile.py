"""A few at a time: after a restart thousands of stations come at once, while others charge.

Handshakes and errands (what no charge depends on: boots, statuses, reports) share the places and take turns: neither
does a flood of boots keep everybody else outside, nor a flood of handshakes those inside from booting. Errands are
never refused; a handshake is, when too many wait already or it has waited too long: the station comes back later.
Messages of a charge, cards and heartbeats pass beside it: nobody who charges waits for those who come.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

from prometheus_client import Counter, Gauge, Histogram

from domain.errors import Unavailable
from gateways.ocpp.frames import TRANSACTION_ACTIONS

WAITING = Gauge("voltgraph_ocpp_handshakes_waiting", "Handshakes that wait to be let in", multiprocess_mode="livesum")
WAITED_SECONDS = Histogram("voltgraph_ocpp_handshake_wait_seconds", "How long handshakes waited that were let in")
TURNED_AWAY = Counter("voltgraph_ocpp_handshakes_turned_away", "Handshakes that were too many", ["reason"])

# Heartbeats cost no database, and somebody stands before the station with a card.
_BESIDE: Final = TRANSACTION_ACTIONS | {"Heartbeat", "Authorize"}


class Gone(Exception):
    """The station has given up before its turn came: nobody is left to answer."""


class Turnstile:
    def __init__(self, *, at_once: int, waiting: int, patience_s: float = 55.0) -> None:
        """`patience_s`: of ours; a station that has less gives up by itself."""
        self._free = at_once
        self._waiting_max = waiting
        self._patience_s = patience_s
        self._errands: deque[asyncio.Future[None]] = deque()
        self._handshakes: deque[asyncio.Future[None]] = deque()
        self._next = (self._errands, self._handshakes)

    @asynccontextmanager
    async def handshake(self, gone: Callable[[], Coroutine[Any, Any, object]] | None = None) -> AsyncIterator[None]:
        """Raises `Unavailable` for one that is too many, `Gone` if `gone` has ended before its turn came."""
        if self._free == 0 and len(self._handshakes) >= self._waiting_max:
            TURNED_AWAY.labels("full").inc()
            raise Unavailable("too many stations come at once")
        begun_s = time.perf_counter()
        leaving = None if gone is None or self._free > 0 else asyncio.create_task(gone())
        WAITING.inc()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._place(self._handshakes, leaving)
        except TimeoutError:
            TURNED_AWAY.labels("late").inc()
            raise Unavailable("too many stations come at once") from None
        except Gone:
            TURNED_AWAY.labels("gone").inc()
            raise
        finally:
            WAITING.dec()
            if leaving is not None:
                leaving.cancel()
                await asyncio.wait({leaving})
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

    async def _place(self, queue: deque[asyncio.Future[None]], leaving: "asyncio.Task[object] | None" = None) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        if leaving is not None:
            leaving.add_done_callback(partial(_give_up, turn))
        try:
            await turn
        except Gone:
            with suppress(ValueError):
                queue.remove(turn)
            raise
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    queue.remove(turn)
            else:  # its turn came just then
                self._leave()
            raise

    def _leave(self) -> None:
        for queue, other in (self._next, self._next[::-1]):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    self._next = other, queue
                    return
        self._free += 1


def _give_up(turn: asyncio.Future[None], leaving: "asyncio.Task[object]") -> None:
    """Whether it ended well or not, nobody is there any more."""
    if not leaving.cancelled():
        leaving.exception()
        if not turn.done():
            turn.set_exception(Gone())

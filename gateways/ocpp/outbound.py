"""Calls to a station: one outstanding, the others by priority, each until its deadline."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import structlog

from domain.errors import LimitExceeded, TimedOut, Unavailable
from gateways.ocpp import frames
from gateways.ocpp.frames import ErrorFrame, Payload, ResultFrame
from gateways.ocpp.link import Priority

log = structlog.get_logger()

Answer = ResultFrame | ErrorFrame

# Ending a charge comes before starting one, and both before everything else.
PRIORITIES: Final = {
    "RemoteStopTransaction": Priority.STOP,
    "RequestStopTransaction": Priority.STOP,
    "RemoteStartTransaction": Priority.START,
    "RequestStartTransaction": Priority.START,
    "UnlockConnector": Priority.START,
    "GetDiagnostics": Priority.DIAGNOSTICS,
    "GetLog": Priority.DIAGNOSTICS,
    "GetBaseReport": Priority.DIAGNOSTICS,
    "GetReport": Priority.DIAGNOSTICS,
    "GetMonitoringReport": Priority.DIAGNOSTICS,
}


@dataclass(order=True, slots=True)
class _Waiting:
    priority: int
    number: int
    action: str = field(compare=False)
    payload: Payload = field(compare=False)
    deadline: float = field(compare=False)  # of the loop's clock
    on_sent: Callable[[], None] | None = field(compare=False)
    answer: "asyncio.Future[Answer | None]" = field(compare=False)  # None: the socket is gone
    message_id: str = field(compare=False, default_factory=lambda: str(uuid4()))
    given_up: bool = field(compare=False, default=False)


class Outbound:
    def __init__(self, send: Callable[[str], Awaitable[bool]], *, waiting: int) -> None:
        self._send = send
        self._queue: asyncio.PriorityQueue[_Waiting] = asyncio.PriorityQueue(waiting)
        self._numbers = itertools.count()
        self._outstanding: _Waiting | None = None
        self._closed = False

    async def call(
        self,
        action: str,
        payload: Payload,
        *,
        deadline_s: float,
        priority: Priority | None,
        on_sent: Callable[[], None] | None,
    ) -> Answer:
        if self._closed:
            raise Unavailable("the station is not connected")
        loop = asyncio.get_running_loop()
        rank = PRIORITIES.get(action, Priority.ROUTINE) if priority is None else priority
        waiting = _Waiting(
            rank, next(self._numbers), action, payload, loop.time() + deadline_s, on_sent, loop.create_future()
        )
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise LimitExceeded("too many calls wait for this station") from None
        return await self._answer(waiting)

    async def run(self) -> None:
        """Sends one call after the other, for as long as the socket lives."""
        while True:
            waiting = await self._queue.get()
            if not waiting.given_up:
                await self._send_and_wait(waiting)

    def settle(self, answer: Answer) -> bool:
        """Hands an answer to the call it belongs to; False when nobody waits for it any more."""
        waiting = self._outstanding
        if waiting is None or waiting.message_id != answer.message_id or waiting.answer.done():
            return False
        waiting.answer.set_result(answer)
        return True

    def close(self) -> None:
        """Nobody waits any longer: neither the outstanding call nor those behind it."""
        self._closed = True
        pending = [self._outstanding] if self._outstanding else []
        while not self._queue.empty():
            pending.append(self._queue.get_nowait())
        for waiting in pending:
            if not waiting.answer.done():
                waiting.answer.set_result(None)

    async def _answer(self, waiting: _Waiting) -> Answer:
        try:
            async with asyncio.timeout_at(waiting.deadline):
                answer = await asyncio.shield(waiting.answer)
        except TimeoutError:
            raise TimedOut(f"the station did not answer {waiting.action} in time") from None
        finally:
            waiting.given_up = True
        if answer is None:
            raise Unavailable("the station's connection was lost")
        return answer

    async def _send_and_wait(self, waiting: _Waiting) -> None:
        """A call that was sent keeps its place until it is answered or its deadline, whoever still waits for it."""
        self._outstanding = waiting
        try:
            if not await self._send(frames.call(waiting.message_id, waiting.action, waiting.payload)):
                waiting.answer.set_result(None)
                return
            if waiting.on_sent is not None:
                waiting.on_sent()
            patience_s = waiting.deadline - asyncio.get_running_loop().time()
            await asyncio.wait({waiting.answer}, timeout=patience_s)
        finally:
            self._outstanding = None

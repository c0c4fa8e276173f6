"""Calls to a station: one outstanding, the others by priority, each until its deadline."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import structlog

from domain.commands import Priority
from domain.errors import LimitExceeded, TimedOut, Unavailable
from gateways.ocpp import frames
from gateways.ocpp.frames import ErrorFrame, Payload, ResultFrame

log = structlog.get_logger()

Answer = ResultFrame | ErrorFrame

# Ending a charge comes before starting one, and both before everything else; what does not stand here is ROUTINE.
PRIORITIES: Final = {
    "RemoteStopTransaction": Priority.STOP,
    "RequestStopTransaction": Priority.STOP,
    "RemoteStartTransaction": Priority.START,
    "RequestStartTransaction": Priority.START,
    "UnlockConnector": Priority.START,
    "CancelReservation": Priority.START,
    "ReserveNow": Priority.START,
    "CustomerInformation": Priority.DIAGNOSTICS,
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
    send_by: float = field(compare=False)
    on_sent: Callable[[], None] | None = field(compare=False)
    answer: "asyncio.Future[Answer | None]" = field(compare=False)  # None: there will be none
    message_id: str = field(compare=False, default_factory=lambda: str(uuid4()))
    on_wire: bool = field(compare=False, default=False)
    is_late: bool = field(compare=False, default=False)


class Outbound:
    def __init__(self, send: Callable[[str], Awaitable[bool]], *, waiting: int) -> None:
        self._send = send
        self._at_most = waiting
        self._waiting: list[_Waiting] = []  # a heap of those that somebody waits for
        self._called = asyncio.Event()
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
        send_within_s: float | None,
        on_sent: Callable[[], None] | None,
    ) -> Answer:
        """Errors of a call that was not on the wire say so: `details["on_wire"]`."""
        if self._closed:
            raise Unavailable("the station is not connected", on_wire=False)
        if len(self._waiting) >= self._at_most:
            raise LimitExceeded("too many calls wait for this station", on_wire=False)
        loop = asyncio.get_running_loop()
        rank = PRIORITIES.get(action, Priority.ROUTINE) if priority is None else priority
        deadline = loop.time() + deadline_s
        send_by = deadline if send_within_s is None else min(deadline, loop.time() + send_within_s)
        waiting = _Waiting(rank, next(self._numbers), action, payload, deadline, send_by, on_sent, loop.create_future())
        heapq.heappush(self._waiting, waiting)
        self._called.set()
        return await self._answer(waiting)

    async def run(self) -> None:
        """Sends one call after the other, for as long as the socket lives."""
        while True:
            while not self._waiting:
                self._called.clear()
                await self._called.wait()
            await self._send_and_wait(heapq.heappop(self._waiting))

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
        pending = [*self._waiting, *([self._outstanding] if self._outstanding else [])]
        self._waiting.clear()
        for waiting in pending:
            if not waiting.answer.done():
                waiting.answer.set_result(None)

    async def _answer(self, waiting: _Waiting) -> Answer:
        try:
            async with asyncio.timeout_at(waiting.deadline):
                answer = await asyncio.shield(waiting.answer)
        except TimeoutError:
            raise _timed_out(waiting) from None
        finally:
            self._give_up(waiting)
        if answer is None:
            raise _timed_out(waiting) if waiting.is_late else _lost(waiting)
        return answer

    def _give_up(self, waiting: _Waiting) -> None:
        """Whoever waited for it has gone: it keeps no place, unless it is on the wire."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            heapq.heapify(self._waiting)

    async def _send_and_wait(self, waiting: _Waiting) -> None:
        """A call that was sent keeps its place until it is answered or its deadline, whoever still waits for it."""
        now = asyncio.get_running_loop().time
        if now() >= waiting.send_by:
            waiting.is_late = True
            waiting.answer.set_result(None)
            return
        self._outstanding = waiting
        waiting.on_wire = True
        try:
            if waiting.on_sent is not None:
                waiting.on_sent()
            if not await self._send(frames.call(waiting.message_id, waiting.action, waiting.payload)):
                waiting.on_wire = False
                if not waiting.answer.done():
                    waiting.answer.set_result(None)
                return
            await asyncio.wait({waiting.answer}, timeout=waiting.deadline - now())
        finally:
            self._outstanding = None


def _timed_out(waiting: _Waiting) -> TimedOut:
    if waiting.on_wire:
        return TimedOut(f"the station did not answer {waiting.action} in time", on_wire=True)
    return TimedOut(f"{waiting.action} could not be sent to the station in time", on_wire=False)


def _lost(waiting: _Waiting) -> Unavailable:
    return Unavailable("the station's connection was lost", on_wire=waiting.on_wire)

"""Questions and notes to the one process that holds something, over Redis: delivered at most once, with a deadline.

A frame is a JSON header, a line feed, and the body as it is. A question's header is
`[id, reply channel, seconds left]`, a note's is `[]`, an answer's `[id]`, a refusal's `[id, code, message]`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self
from uuid import uuid4

import orjson
import structlog

from domain import errors
from domain.errors import DomainError, TimedOut, Unavailable
from gateways.redis.line import PATIENCE, Listener, Patience, Publisher

log = structlog.get_logger()

Handler = Callable[[bytes], Awaitable[bytes]]

AT_ONCE = 1_000  # handlers of one process; most of them wait for a station
REPLY_PAUSE_MIN_S = 0.02
REPLY_PAUSE_MAX_S = 1.0

REFUSALS: dict[str, type[DomainError]] = {
    family.code: family
    for family in (
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.Invalid,
        errors.Unavailable,
        errors.TimedOut,
        errors.LimitExceeded,
    )
}


class Gone(Unavailable):
    """It is certain that nobody heard it: the process is not there any more."""


class Router:
    """`async with Router(url) as router`, or `start` and `stop`. Survives the loss of its line to Redis."""

    def __init__(self, url: str, *, at_once: int = AT_ONCE, patience: Patience = PATIENCE) -> None:
        self._listener = Listener(url, on_message=self._hear, on_gap=lambda: None, patience=patience)
        self._publisher = Publisher(url, patience=patience)
        self._reply_channel = f"voltgraph:reply:{uuid4()}"
        self._asked: dict[str, asyncio.Future[bytes]] = {}
        self._handlers: dict[str, Handler] = {}
        self._handling: set[asyncio.Task[None]] = set()
        self._at_once = at_once

    @property
    def up(self) -> bool:
        return self._listener.up

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Raises `Unavailable` when Redis is not there."""
        await self._listener.start()
        try:
            await self._listener.subscribe(self._reply_channel)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Unavailable("this process is stopping"))
        for task in self._handling:
            task.cancel()
        await asyncio.gather(*self._handling, return_exceptions=True)
        await self._listener.stop()
        await self._publisher.stop()

    async def serve(self, process_id: str, handler: Handler) -> None:
        """From its return on, what is asked of or told to `process_id` goes to `handler`, many at a time.

        A `DomainError` that it raises is raised again in the asker. What it answers to a note is dropped.
        """
        channel = _channel(process_id)
        self._handlers[channel] = handler
        await self._listener.subscribe(channel)

    async def ask(self, holder_process: str, request: bytes, timeout_s: float) -> bytes:
        """Raises `Gone` when nobody listens there, `TimedOut` at the deadline, the handler's refusal, or `Unavailable`
        when Redis is away: then it was heard or not."""
        request_id = uuid4().hex
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = answer
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(holder_process, _frame([request_id, self._reply_channel, timeout_s], request))
                return await answer
        except TimeoutError:
            raise TimedOut(f"no answer within {timeout_s:g} s") from None
        finally:
            del self._asked[request_id]

    async def tell(self, holder_process: str, message: bytes) -> None:
        """Raises `Gone`, or `Unavailable` when Redis is away; waits for no answer."""
        await self._send(holder_process, _frame([], message))

    async def _send(self, process_id: str, frame: bytes) -> None:
        (heard,) = await self._publisher.send([(_channel(process_id), frame)])
        if not heard:
            raise Gone("the process that held it is gone", process=process_id)

    async def _hear(self, channel: str, frame: bytes) -> None:
        head, _, body = frame.partition(b"\n")
        try:
            header = orjson.loads(head)
            if channel == self._reply_channel:
                self._take_answer(header, body)
            elif channel in self._handlers:
                self._take_request(self._handlers[channel], header, body)
        except (ValueError, TypeError):
            log.warning("routed frame not understood", channel=channel)

    def _take_answer(self, header: Any, body: bytes) -> None:
        request_id, *refusal = header
        answer = self._asked.get(request_id)
        if answer is None or answer.done():
            log.warning("late answer dropped", request=request_id)
        elif refusal:
            code, message = refusal
            answer.set_exception(REFUSALS.get(code, Unavailable)(message))
        else:
            answer.set_result(body)

    def _take_request(self, handler: Handler, header: Any, body: bytes) -> None:
        if not header:
            work = self._note(handler, body)
        else:
            request_id, reply_to, timeout_s = header
            deadline = asyncio.get_running_loop().time() + float(timeout_s)
            busy = len(self._handling) >= self._at_once
            work = self._answer(_refuse_busy if busy else handler, request_id, body, reply_to, deadline)
        task = asyncio.create_task(work, name="routed request")
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)

    async def _note(self, handler: Handler, body: bytes) -> None:
        try:
            await handler(body)
        except Exception:
            log.exception("note not handled")

    async def _answer(self, handler: Handler, request_id: str, body: bytes, reply_to: str, deadline: float) -> None:
        try:
            frame = _frame([request_id], await handler(body))
        except DomainError as refusal:
            frame = _frame([request_id, refusal.code, refusal.message])
        except Exception:
            log.exception("request not handled", request=request_id)
            frame = _frame([request_id, "INTERNAL", "the process that holds it failed"])
        await self._reply(reply_to, frame, request_id, deadline)

    async def _reply(self, channel: str, frame: bytes, request_id: str, deadline: float) -> None:
        """Until the asker hears it or has given up: its line may just be coming back."""
        now = asyncio.get_running_loop().time
        pause_s = REPLY_PAUSE_MIN_S
        while not await self._heard(channel, frame):
            if now() + pause_s >= deadline:
                log.warning("nobody took the answer", request=request_id)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, REPLY_PAUSE_MAX_S)

    async def _heard(self, channel: str, frame: bytes) -> bool:
        try:
            (heard,) = await self._publisher.send([(channel, frame)])
        except Unavailable:
            return False
        return heard > 0


async def _refuse_busy(_request: bytes) -> bytes:
    raise Unavailable("the process that holds it is busy")


def _frame(header: list[Any], body: bytes = b"") -> bytes:
    return orjson.dumps(header) + b"\n" + body


def _channel(process_id: str) -> str:
    return f"voltgraph:process:{process_id}"

"""Server-sent events: one operation per response, as graphql-sse's distinct connections mode has it.

An event that one may go on after has an `id:`; browsers that come again say the last one in `Last-Event-ID`.
"""

import asyncio
import math
import time
from contextlib import aclosing
from typing import Any

import orjson
import structlog
from starlette.types import Message, Receive, Send

from domain.actor import Actor
from domain.errors import Unauthenticated
from gateways.graphql.engine import Call, Joinable, Rights
from gateways.graphql.executor import Forkable
from gateways.graphql.groups import Seat, shares
from gateways.graphql.metrics import STREAMS
from gateways.graphql.outbox import Frame, Gone, Item, Outbox
from gateways.graphql.sockets import EXPIRED, REVOKED, Host

log = structlog.get_logger()

HEARTBEAT_S = 15.0
"""Proxies cut what is silent, most of them after 30 s or more."""

_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"vary", b"Accept"),
        (b"x-accel-buffering", b"no"),
    ],
}
_END: Message = {"type": "http.response.body", "body": b""}
_COMMENT = b":\n\n"
_COMPLETE = b"event: complete\ndata: \n\n"


class Stream:
    """Until the operation has ended, its reader has left or the server is closing.

    A reader who is told nothing of an end (`complete`) comes again. A stream has two tasks: the request's own, which
    waits for the end, and one that waits for its reader to leave.
    """

    def __init__(
        self, view: Host, actor: Actor | None, rights: Rights, send: Send, *, authorization: str | None = None
    ) -> None:
        self.actor = actor
        self.delivered: str | None = None
        self._view = view
        self._rights = rights
        self._send = send
        self._authorization = authorization
        self._outbox = Outbox(self._part)
        self._seat: Seat | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._expires = view.expires(actor)
        now = time.monotonic()
        self._beats = now + HEARTBEAT_S
        self._ends = view.sockets.terms.ends(now)

    async def run(
        self, call: Call, context: Forkable, kinds: frozenset[str], after: str | None, receive: Receive
    ) -> None:
        await self._send(_START)
        self._outbox.say(_COMMENT)  # some browsers take a stream for open only once it has said something
        telling = asyncio.create_task(self._run(call, context, kinds, after), name="event stream")
        leaving = asyncio.create_task(_left(receive), name="reader")
        try:
            with STREAMS.track_inprogress():
                await asyncio.wait({leaving, self._over}, return_when=asyncio.FIRST_COMPLETED)
                if self._over.done():
                    await self._outbox.flushed()
        finally:
            if self._seat is not None:
                self._seat.leave()
            for task in (telling, leaving):
                task.cancel()
            await asyncio.gather(telling, leaving, return_exceptions=True)
            await self._outbox.close()
        await self._send(_END)

    def frame(self, item: Item) -> bytes:
        of = b"" if item.event_id is None else b"id: " + item.event_id.encode() + b"\n"
        return of + b"event: next\ndata: " + item.payload + b"\n\n"

    def fail(self, errors: list[Any]) -> None:
        self._outbox.say(b"event: next\ndata: " + orjson.dumps({"errors": errors}) + b"\n\n")
        self.complete()

    def complete(self) -> None:
        if not self._over.done():
            self._outbox.say(_COMPLETE)
            self.stop()

    def stop(self) -> None:
        """Without a word, so that the reader comes again."""
        if not self._over.done():
            self._over.set_result(None)

    def look(self, now: float) -> float:
        if now >= self._expires:
            self._refuse(EXPIRED)
            return math.inf
        if now >= self._ends:
            self.stop()
            return math.inf
        if now >= self._beats:
            self._beats = now + HEARTBEAT_S
            if self._outbox.is_idle:
                self._outbox.say(_COMMENT)
        return min(self._beats, self._expires, self._ends)

    def revoked(self) -> None:
        self._refuse(REVOKED)

    async def ask_again(self) -> None:
        try:
            await self._view.authenticate(self._authorization)
        except Unauthenticated:
            self.revoked()

    async def _run(self, call: Call, context: Forkable, kinds: frozenset[str], after: str | None) -> None:
        try:
            await self._tell(call, context, kinds, after)
        except Gone:
            self.stop()
        except Exception as error:
            log.error("an event stream has failed", exc_info=error)
            fault = self._view.engine.fault(error, call, context)
            self.fail([error.formatted for error in fault.errors or ()])

    async def _tell(self, call: Call, context: Forkable, kinds: frozenset[str], after: str | None) -> None:
        engine, groups = self._view.engine, self._view.groups
        begun = await engine.begin(call, context, self._rights, kinds=kinds, joins=shares(context))
        if isinstance(begun, Joinable) and shares(context):
            self._seat = groups.seat(begun, context, self, self._outbox, after)
            await self._seat.join(groups.join_part(begun, context, after))
            return
        async with aclosing(engine.answers(begun, call, context)) as answers:
            async for answer in answers:
                await self._outbox.put(self, Item.of(answer))
        self.complete()

    def _refuse(self, reason: str) -> None:
        if not self._over.done():
            self.fail([{"message": reason, "extensions": {"code": Unauthenticated.code}}])

    async def _part(self, body: Frame) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


async def announce(send: Send) -> None:
    """What HEAD is told of a stream."""
    await send(_START)
    await send(_END)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

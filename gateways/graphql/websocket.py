"""graphql-transport-ws: Strawberry's handler, with strict frames, errors that end an operation and not the socket,
groups of those who ask for the same, and one outbox for all operations of a socket."""

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect
from starlette.websockets import WebSocketDisconnected as Disconnected
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
    PongMessage,
    SubscribeMessage,
)

from domain.actor import Actor
from domain.errors import LimitExceeded, Unavailable
from gateways.graphql import frames
from gateways.graphql.engine import Call, Joinable, Rights
from gateways.graphql.executor import Forkable
from gateways.graphql.groups import Seat, shares
from gateways.graphql.limits import LIMIT
from gateways.graphql.metrics import CLOSES, SOCKETS
from gateways.graphql.outbox import Gone, Item, Outbox
from gateways.graphql.sockets import EXPIRED, REVOKED, WARNED_S, Departure, Host
from gateways.graphql.trusted import document_id

FRAME_CHARACTERS_MAX = 262_144
COME_AGAIN = 1001
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SILENT = 4408
TAKEN = 4409
TOO_MUCH = 4429
PINGS_UNANSWERED = 2
WRITE = "voltgraph.write"  # a server's extension of ASGI: takes a message's bytes, False where they have to wait
PING = frames.encoded({"type": "ping"})
_CLOSES_COUNTED = frozenset({1000, 1001, 1005, 1006, 1009, 1011, 1012, 1013, *range(4400, 4430)})


@dataclass
class Connection:
    """What is known of a socket: who is behind it only once `connection_init` has been answered."""

    authorization: str | None
    host: str | None
    connection_params: dict[str, Any] | None = None
    actor: Actor | None = None
    context: Forkable | None = None
    rights: Rights | None = None
    when_let_in: Callable[[Rights], None] | None = None

    def let_in(self, actor: Actor | None, context: Forkable, rights: Rights) -> None:
        """At first, and again with each operation. Raises `LimitExceeded`."""
        self.actor, self.context, self.rights = actor, context, rights
        if self.when_let_in is not None:
            self.when_let_in(rights)

    @property
    def shown(self) -> object:
        """The credential in `connection_init`, else the one in the upgrade's headers."""
        named = {name.lower(): value for name, value in (self.connection_params or {}).items()}
        return named.get("authorization", self.authorization)


class TextAdapter(ASGIWebSocketAdapter):
    """orjson encodes to bytes, which Strawberry would send as binary frames, which clients refuse.

    `closed` is the code and reason with which the socket was closed, by whichever end.
    """

    closed: tuple[int, str] | None = None

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Ends with the socket. Binary frames and what is no JSON are the handler's to refuse."""
        while True:
            try:
                text = await self.ws.receive_text()
            except WebSocketDisconnect as end:
                self.closed = self.closed or (end.code, end.reason)
                return
            except Disconnected:
                return
            except KeyError as error:
                raise NonTextMessageReceived from error
            if text is None:
                raise NonTextMessageReceived
            if len(text) > FRAME_CHARACTERS_MAX:
                await self.close(TOO_BIG, f"a message has at most {FRAME_CHARACTERS_MAX} characters")
                return
            try:
                message = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise NonJsonMessageReceived from error
            yield message

    async def send_json(self, message: Mapping[str, object]) -> None:
        try:
            await self.send(frames.encoded(message))
        except (WebSocketDisconnect, Disconnected) as error:
            raise WebSocketDisconnected from error

    def send(self, frame: str | bytes) -> Coroutine[Any, Any, None]:
        """To be awaited."""
        return self.ws.send({"type": "websocket.send", "text": frame if isinstance(frame, str) else frame.decode()})

    @property
    def write(self) -> Callable[[bytes], bool] | None:
        """The server's own short way, where it has one."""
        found: Callable[[bytes], bool] | None = self.ws.scope.get("extensions", {}).get(WRITE)
        return found

    async def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)
        with suppress(WebSocketDisconnect, Disconnected):
            await super().close(code, reason)


class Running:
    """One operation of a socket. It has a task until it has ended or joined a group."""

    __slots__ = ("_prefix", "_socket", "delivered", "id", "principal", "seat", "task")

    def __init__(self, socket: "Socket", operation_id: str, principal: str) -> None:
        self._socket = socket
        self._prefix = frames.prefix(operation_id)
        self.id = operation_id
        self.principal = principal
        self.delivered: str | None = None
        self.seat: Seat | None = None
        self.task: asyncio.Task[None] | None = None

    def frame(self, item: Item) -> bytes:
        return self._prefix + item.payload + b"}"

    def fail(self, errors: list[Any]) -> None:
        self._socket.end(self, {"id": self.id, "type": "error", "payload": errors})

    def complete(self) -> None:
        self._socket.end(self, {"id": self.id, "type": "complete"})

    def leave(self) -> None:
        if self.seat is not None:
            self.seat.leave()
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()


class Allowance:
    """How many messages one may send: so many a second, and a burst."""

    __slots__ = ("_burst", "_left", "_per_s", "_seen")

    def __init__(self, per_s: float | None, burst: int, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = float(burst)
        self._seen = now

    def spend(self, now: float) -> bool:
        if self._per_s is None:
            return True
        self._left = min(self._burst, self._left + (now - self._seen) * self._per_s) - 1
        self._seen = now
        return self._left >= 0


class Socket(BaseGraphQLTransportWSHandler[Any, None]):
    """Runs operations on the view's engine and groups, in place of Strawberry's own execution."""

    view: Host  # type: ignore[assignment]
    context: Connection
    websocket: TextAdapter
    operations: dict[str, Running]  # type: ignore[assignment]

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        now = time.monotonic()
        terms = self.view.sockets.terms
        self.outbox = Outbox(self.websocket.send, write=self.websocket.write)
        self._allowance = Allowance(terms.messages_per_s, terms.messages_burst, now)
        self._began = self._heard = self._busy = now
        self._ping_at = math.inf if terms.ping_s is None else now + terms.ping_s * random.uniform(0.5, 1)
        self._unanswered = 0
        self._answers = False
        self._ends = terms.ends(now)
        self._expires = math.inf
        self._is_warned = False
        self._is_admitted = False
        self._closing: asyncio.Task[None] | None = None
        self.context.when_let_in = self._let_in

    @property
    def actor(self) -> Actor | None:
        return self.context.actor

    async def handle(self) -> None:
        try:
            with SOCKETS.track_inprogress():
                await super().handle()
        finally:
            self.view.sockets.dismiss(self)
            code, reason = self.websocket.closed or (1006, "")
            CLOSES.labels(str(code) if code in _CLOSES_COUNTED else "other").inc()
            rights = self.context.rights
            principal = None if rights is None else rights.principal
            lasted_s = time.monotonic() - self._began
            self.view.sockets.left(Departure(principal, self.context.host, code, reason, lasted_s))

    async def shutdown(self) -> None:
        await super().shutdown()
        await self.outbox.close()
        if self._closing is not None:
            self._closing.cancel()

    async def handle_message(self, message: Message) -> None:
        self._heard = time.monotonic()
        self._unanswered = 0
        if not self._allowance.spend(self._heard):
            await self.websocket.close(TOO_MUCH, "too many messages")
        elif problem := frames.problem(message):
            await self.handle_invalid_message(problem)
        else:
            await super().handle_message(message)
            await self.outbox.room()  # who does not read is not asked for more

    async def handle_pong(self, message: PongMessage) -> None:
        self._answers = True

    async def send_message(self, message: Message) -> None:
        self.outbox.say(frames.encoded(message))

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        if message.get("payload", {}) is None:
            message["payload"] = {}
        try:
            await super().handle_connection_init(message)
        except Unavailable:
            await self.websocket.close(TRY_AGAIN_LATER, "try again later")
        except LimitExceeded as error:
            await self.websocket.close(TOO_MUCH, error.message)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        operation_id, payload = message["id"], message["payload"]
        if not self.connection_acknowledged:
            await self.websocket.close(UNAUTHORIZED, "Unauthorized")
        elif await self._is_still_let_in():
            if operation_id in self.operations:
                await self.websocket.close(TAKEN, f"Subscriber for {operation_id} already exists")
                return
            call = Call(
                payload.get("query"),
                payload.get("variables"),
                payload.get("operationName"),
                payload.get("extensions"),
                document_id=document_id(payload),
            )
            self._begin(operation_id, call)

    def _begin(self, operation_id: str, call: Call) -> None:
        rights = self.context.rights
        if rights is None:
            raise RuntimeError("an operation before connection_init")
        try:
            if len(self.operations) >= self._operations_max:
                raise LimitExceeded(f"a socket has at most {self._operations_max} operations at once")
            self.view.sockets.begin(rights.principal)
        except LimitExceeded as error:
            errors = [GraphQLError(error.message, extensions=LIMIT).formatted]
            self.outbox.say(frames.encoded({"id": operation_id, "type": "error", "payload": errors}))
            return
        running = self.operations[operation_id] = Running(self, operation_id, rights.principal)
        running.task = asyncio.create_task(self._run(running, call, rights))

    async def _run(self, running: Running, call: Call, rights: Rights) -> None:
        """A reader who is gone ends it in silence."""
        try:
            await self._tell(running, call, self.context.context, rights)
        except Gone:
            pass
        except Exception as error:
            await self.handle_task_exception(error)
            fault = self.view.engine.fault(error, call, self.context.context)
            running.fail([error.formatted for error in fault.errors or ()])
        finally:
            running.task = None

    async def _tell(self, running: Running, call: Call, context: Forkable | None, rights: Rights) -> None:
        engine, groups = self.view.engine, self.view.groups
        begun = await engine.begin(call, context, rights, joins=shares(context))
        if isinstance(begun, Joinable) and shares(context):
            running.seat = groups.seat(begun, context, running, self.outbox)
            await running.seat.join(groups.join_part(begun, context))
            return
        async with aclosing(engine.answers(begun, call, context)) as answers:
            async for answer in answers:
                if answer.refused or answer.broken:
                    running.fail([error.formatted for error in answer.errors or ()])
                    return
                await self.outbox.put(running, Item.of(answer))
        running.complete()

    def end(self, running: Running, last: Any) -> None:
        """Its id is free before its reader is told."""
        if self._forget(running):
            self.outbox.say(frames.encoded(last))

    async def cleanup_operation(self, operation_id: str) -> None:
        """Its reader wants no more of it, or is gone."""
        running = self.operations.get(operation_id)
        if running is not None:
            self._forget(running)
            self.outbox.forget(running)

    def _forget(self, running: Running) -> bool:
        if self.operations.get(running.id) is not running:
            return False
        del self.operations[running.id]
        self.view.sockets.end(running.principal)
        self._busy = time.monotonic()
        running.leave()
        return True

    @property
    def _operations_max(self) -> float:
        return math.inf if self.max_subscriptions_per_connection is None else self.max_subscriptions_per_connection

    async def _is_still_let_in(self) -> bool:
        """A credential may have been revoked since `connection_init`: a socket lives for days."""
        try:
            await self.view.on_ws_connect(self.context)
        except ConnectionRejectionError:
            await self.websocket.close(FORBIDDEN, "Forbidden")
            return False
        except Unavailable:
            pass  # the operation itself will say so, and leaves the others on this socket alone
        return True

    async def handle_task_exception(self, error: Exception) -> None:
        """A reader who is gone is no news."""
        if not isinstance(error, WebSocketDisconnected):
            await super().handle_task_exception(error)

    def _let_in(self, rights: Rights) -> None:
        self._expires = self.view.expires(self.actor)
        if not self._is_admitted:
            self.view.sockets.admit(self, rights.principal)
            self._is_admitted = True

    def look(self, now: float) -> float:
        terms = self.view.sockets.terms
        idle = math.inf if terms.idle_s is None else (now if self.operations else self._busy) + terms.idle_s
        if now >= self._expires:
            self._close(FORBIDDEN, EXPIRED)
        elif now >= self._ends:
            self._close(COME_AGAIN, "come again")
        elif now >= idle:
            self._close(COME_AGAIN, "idle")
        elif now >= self._ping_at and self._unanswered >= PINGS_UNANSWERED and self._answers:
            self._close(SILENT, "no answer to pings")
        if self._closing is not None:
            return math.inf
        self._warn(now)
        self._ping(now)
        warned = math.inf if self._is_warned else self._expires - WARNED_S
        return min(self._expires, self._ends, idle, self._ping_at, warned)

    def _warn(self, now: float) -> None:
        """A while before the credential expires, so that its holder can come with another."""
        if not self._is_warned and now >= self._expires - WARNED_S:
            self._is_warned = True
            payload = {"credential": "expires", "inSeconds": round(self._expires - now)}
            self.outbox.say(frames.encoded({"type": "ping", "payload": payload}))

    def _ping(self, now: float) -> None:
        """Not the WebSocket's own, which proxies answer: this is for whoever reads.

        Small clients never answer, and are let be; who has answered and then says nothing any more is gone.
        """
        if self._ping_at <= now and self.view.sockets.terms.ping_s is not None:
            self._ping_at = now + self.view.sockets.terms.ping_s
            self._unanswered += 1
            self.outbox.say(PING)

    def revoked(self) -> None:
        self._close(FORBIDDEN, REVOKED)

    async def ask_again(self) -> None:
        try:
            await self.view.on_ws_connect(self.context)
        except ConnectionRejectionError:
            self.revoked()

    def _close(self, code: int, reason: str) -> None:
        """By a task, since it waits for what is being written."""
        if self._closing is None:
            self._closing = asyncio.create_task(self.websocket.close(code, reason), name="close")

"""The GraphQL endpoint: POST, GET and server-sent events here, WebSockets by Strawberry, a page for browsers by `ide`.

HTTP goes past Strawberry's view and Starlette's requests and responses, which take longer than a small query.
"""

import math
import re
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UnsetType

from domain.actor import Actor
from domain.errors import DomainError, LimitExceeded, Unauthenticated, Unavailable
from gateways.graphql import parameters, responses, sse
from gateways.graphql.engine import MUTATION, QUERY, SUBSCRIPTION, Call, Engine, Rights
from gateways.graphql.executor import Forkable
from gateways.graphql.groups import Groups
from gateways.graphql.negotiation import Medium, is_json, negotiate
from gateways.graphql.responses import Rejected
from gateways.graphql.sockets import Authenticate, Departure, Sockets, Terms
from gateways.graphql.websocket import Connection, Socket, TextAdapter

MakeContext = Callable[[Actor | None], Forkable]
RightsOf = Callable[[Actor | None, str | None], Rights]

INIT_PATIENCE = timedelta(seconds=10)
OPERATIONS_PER_SOCKET = 100
BODY_MAX_BYTES = 1_000_000

_READING = frozenset({"GET", "HEAD"})
_KINDS = {  # by whether the method only reads, and whether the answer is a stream
    (True, False): frozenset({QUERY}),
    (True, True): frozenset({QUERY, SUBSCRIPTION}),
    (False, False): frozenset({QUERY, MUTATION}),
    (False, True): frozenset({QUERY, MUTATION, SUBSCRIPTION}),
}
_ASKED = re.compile(rb"(?:query|documentId|extensions)=")
_OFFERED = ", ".join(one.value.decode() for one in (Medium.GRAPHQL_RESPONSE, Medium.JSON, Medium.EVENTS))


class _Gone(Exception):
    """Who asked does not wait for the answer."""


class _Head:
    """What of a request's headers matters here, read in one go."""

    __slots__ = ("accept", "authorization", "content_type", "last_event_id", "length_bytes")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.accept: bytes | None = None
        self.authorization: str | None = None
        self.content_type: bytes | None = None
        self.last_event_id: str | None = None
        self.length_bytes = 0
        for name, value in headers:
            if name == b"accept":
                self.accept = value if self.accept is None else self.accept + b"," + value
            elif name == b"content-type":
                self.content_type = value if self.content_type is None else self.content_type + b"," + value
            elif name == b"authorization" and self.authorization is None:
                self.authorization = value.decode("latin-1")
            elif name == b"content-length":
                self.length_bytes = int(value)
            elif name == b"last-event-id":
                self.last_event_id = value.decode("latin-1") or None


class GraphQLView(GraphQL[Any, None]):
    """`authenticate` takes the Authorization header: None without one, `Unauthenticated` for one that opens nothing.

    `rights` takes who asks, and the address they ask from. `ide` is a page for browsers that ask for nothing else.
    `terms` are those of connections that stay, whose ends `left` is told of, and `clock` is what credentials expire by.
    """

    graphql_transport_ws_handler_class = Socket
    websocket_adapter_class = TextAdapter

    def __init__(
        self,
        engine: Engine,
        *,
        authenticate: Authenticate,
        context: MakeContext,
        rights: RightsOf,
        allowed_origins: Sequence[str] = (),
        operations_per_socket: int = OPERATIONS_PER_SOCKET,
        body_max_bytes: int = BODY_MAX_BYTES,
        ide: ASGIApp | None = None,
        terms: Terms | None = None,
        left: Callable[[Departure], None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(
            engine.schema,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_PATIENCE,
            max_subscriptions_per_connection=operations_per_socket,
            allowed_origins=allowed_origins,
        )
        self.engine = engine
        self.authenticate = authenticate
        self._context = context
        self._rights = rights
        self._body_max_bytes = body_max_bytes
        self._ide = ide
        self._clock = clock
        self.sockets = Sockets(terms, left=left)
        self.groups = Groups(engine)
        self._streams: set[sse.Stream] = set()
        self._is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A credential that opens nothing is refused before all else; none at all is the fields' matter."""
        head = _Head(scope["headers"])
        try:
            actor = None if head.authorization is None else await self.authenticate(head.authorization)
        except DomainError as error:
            await _refuse(error, scope, receive, send)
            return
        if scope["type"] == "http":
            await self._http(head, actor, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def close(self) -> None:
        """End the event streams, so that a server that stops need not wait for them; their readers come again."""
        self._is_closing = True
        for stream in self._streams:
            stream.stop()

    def expires(self, actor: Actor | None) -> float:
        """When a credential opens nothing any more, by `time.monotonic`."""
        if actor is None or actor.expires_at is None:
            return math.inf
        return time.monotonic() + (actor.expires_at - self._clock()).total_seconds()

    async def _http(self, head: _Head, actor: Actor | None, scope: Scope, receive: Receive, send: Send) -> None:
        page = self._ide if scope["method"] in _READING and not _ASKED.search(scope["query_string"]) else None
        medium = negotiate(head.accept, page=page is not None)
        if scope["method"] == "OPTIONS":
            await responses.send_methods(send)
        elif page is not None and medium is Medium.HTML:
            await page(scope, receive, send)
        else:
            await self._operation(head, medium, actor, scope, receive, send)

    async def _operation(
        self, head: _Head, medium: Medium | None, actor: Actor | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            call = await self._call(head, medium, scope, receive)
        except _Gone:
            return
        except Rejected as rejected:
            await responses.send_rejection(rejected, medium, send)
            return
        if self.engine.tracing is not None:
            call = replace(call, carrier=self.engine.tracing.carrier(scope["headers"]))
        reads = scope["method"] in _READING
        context, rights = self._context(actor), self._rights(actor, _host(scope))
        if medium is not Medium.EVENTS:
            answer = await self.engine.execute(call, context, rights, kinds=_KINDS[reads, False])
            await responses.send_answer(answer, medium, send, reads=reads)
        elif scope["method"] == "HEAD":
            await sse.announce(send)
        else:
            stream = sse.Stream(self, actor, rights, send, authorization=head.authorization)
            running = stream.run(call, context, _KINDS[reads, True], head.last_event_id, receive)
            await self._streaming(stream, running, rights.principal, send)

    async def _streaming(
        self, stream: sse.Stream, running: Coroutine[Any, Any, None], principal: str, send: Send
    ) -> None:
        try:
            self.sockets.admit(stream, principal)
        except LimitExceeded as error:
            running.close()
            rejected = Rejected(error.message, status=HTTPStatus.TOO_MANY_REQUESTS, code=error.code)
            await responses.send_rejection(rejected, None, send)
            return
        self.sockets.doubt([stream])  # its body may have come long after its head
        self._streams.add(stream)
        if self._is_closing:
            stream.stop()
        try:
            await running
        finally:
            self._streams.discard(stream)
            self.sockets.dismiss(stream)

    async def _call(self, head: _Head, medium: Medium | None, scope: Scope, receive: Receive) -> Call:
        reads = scope["method"] in _READING
        if not reads and scope["method"] != "POST":
            raise Rejected(f"{scope['method']} is no way to ask", status=HTTPStatus.METHOD_NOT_ALLOWED)
        if medium is None:
            raise Rejected(f"answers are to be had as {_OFFERED}", status=HTTPStatus.NOT_ACCEPTABLE)
        if reads:
            return parameters.in_url(scope["query_string"])
        if not is_json(head.content_type):
            message = "the Content-Type of a request is application/json, in UTF-8"
            raise Rejected(message, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if head.length_bytes > self._body_max_bytes:
            raise self._too_big()
        return parameters.in_body(await self._body(receive))

    async def _body(self, receive: Receive) -> bytes | bytearray:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part: bytes = message.get("body", b"")
            if len(body) + len(part) > self._body_max_bytes:
                raise self._too_big()
            more = message.get("more_body", False)
            if not body and not more:
                return part
            body += part
            if not more:
                return body

    def _too_big(self) -> Rejected:
        message = f"the body of a request has at most {self._body_max_bytes} bytes"
        return Rejected(message, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code="LIMIT")

    async def get_context(self, request: Any, response: Any) -> Connection:
        return Connection(request.headers.get("authorization"), _host(request.scope))

    async def on_ws_connect(self, context: Connection) -> UnsetType | dict[str, object] | None:
        """A refusal closes with 4403, after which a client may come again with another credential."""
        shown = context.shown
        if not isinstance(shown, str | None):
            raise ConnectionRejectionError
        try:
            actor = await self.authenticate(shown)
        except Unauthenticated:
            raise ConnectionRejectionError from None
        context.let_in(actor, self._context(actor), self._rights(actor, context.host))
        return UnsetType()


def _host(scope: Scope) -> str | None:
    client: tuple[str, int] | None = scope.get("client")
    return None if client is None else client[0]


async def _refuse(error: DomainError, scope: Scope, receive: Receive, send: Send) -> None:
    status = HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, Unavailable) else HTTPStatus.UNAUTHORIZED
    rejected = Rejected(error.message, status=status, code=error.code)
    if scope["type"] == "http":
        await responses.send_rejection(rejected, None, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        await WebSocket(scope, receive, send).send_denial_response(responses.denial(rejected))
    else:
        await WebSocket(scope, receive, send).close()

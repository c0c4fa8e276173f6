"""The GraphQL endpoint: POST, GET, SSE, WebSocket, and GraphiQL for browsers."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from importlib.resources import files
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.base import BaseRequestProtocol
from strawberry.schema.base import BaseSchema
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UnsetType

from domain.actor import Actor
from domain.errors import DomainError, Unauthenticated, Unavailable
from gateways.graphql.executor import Forkable
from gateways.graphql.websocket import Connection, Socket, TextAdapter

Authenticate = Callable[[str | None], Awaitable[Actor | None]]
MakeContext = Callable[[Actor | None], Forkable]

INIT_PATIENCE = timedelta(seconds=10)
OPERATIONS_PER_SOCKET = 100


class GraphQLView(GraphQL[Any, None]):
    """`authenticate` takes the Authorization header: None without one, `Unauthenticated` for one that opens nothing."""

    graphql_transport_ws_handler_class = Socket
    websocket_adapter_class = TextAdapter

    def __init__(
        self,
        schema: BaseSchema,
        *,
        authenticate: Authenticate,
        context: MakeContext,
        allowed_origins: Sequence[str] = (),
        operations_per_socket: int = OPERATIONS_PER_SOCKET,
    ) -> None:
        super().__init__(
            schema,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            connection_init_wait_timeout=INIT_PATIENCE,
            max_subscriptions_per_connection=operations_per_socket,
            allowed_origins=allowed_origins,
        )
        self._authenticate = authenticate
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A credential that opens nothing is refused before all else; none at all is the fields' matter."""
        try:
            authorization = _header(scope, b"authorization")
            actor = None if authorization is None else await self._authenticate(authorization)
        except DomainError as error:
            await _refuse(error, scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = actor
        await super().__call__(scope, receive, send)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Any:
        if isinstance(request, WebSocket):
            return Connection(request.headers.get("authorization"))
        return self._context(request.state.actor)

    async def on_ws_connect(self, context: Connection) -> UnsetType | dict[str, object] | None:
        """A refusal closes with 4403, after which a client may come again with another credential."""
        shown = context.shown
        if not isinstance(shown, str | None):
            raise ConnectionRejectionError
        try:
            context.context = self._context(await self._authenticate(shown))
        except Unauthenticated:
            raise ConnectionRejectionError from None
        return UnsetType()

    def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
        """For browsers alone: whoever takes anything gets JSON."""
        return super().should_render_graphql_ide(request) and "text/html" in request.headers.get("accept", "")

    async def render_graphql_ide(self, request: Request) -> Response:
        return HTMLResponse(GRAPHIQL, headers={"Cache-Control": "no-cache"})

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> str | bytes:
        return orjson.dumps(data)


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


async def _refuse(error: DomainError, scope: Scope, receive: Receive, send: Send) -> None:
    status = 503 if isinstance(error, Unavailable) else 401
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code}}]}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    response = Response(orjson.dumps(body), status, headers, media_type="application/json")
    if scope["type"] == "http":
        await response(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await WebSocket(scope, receive, send).close()


GRAPHIQL = files("gateways.graphql").joinpath("graphiql.html").read_text(encoding="utf-8")

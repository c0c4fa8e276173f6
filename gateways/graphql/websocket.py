"""graphql-transport-ws: Strawberry's handler, with strict frames and errors that end an operation, not the socket."""

import math
from collections.abc import AsyncGenerator, Mapping
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
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
    SubscribeMessage,
)

from domain.errors import Unavailable
from gateways.graphql.engine import Answer, Call, Engine, Rights
from gateways.graphql.executor import Forkable
from gateways.graphql.limits import LIMIT
from gateways.graphql.metrics import SOCKETS

FRAME_CHARACTERS_MAX = 262_144
TOO_BIG = 1009
FORBIDDEN = 4403
TRY_AGAIN_LATER = 1013


@dataclass
class Connection:
    """What is known of a socket: who is behind it only once `connection_init` has been answered."""

    authorization: str | None
    host: str | None
    connection_params: dict[str, Any] | None = None
    context: Forkable | None = None
    rights: Rights | None = None

    @property
    def shown(self) -> object:
        """The credential in `connection_init`, else the one in the upgrade's headers."""
        named = {name.lower(): value for name, value in (self.connection_params or {}).items()}
        return named.get("authorization", self.authorization)


class TextAdapter(ASGIWebSocketAdapter):
    """orjson encodes to bytes, which Strawberry would send as binary frames, which clients refuse."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Ends with the socket. Binary frames and what is no JSON are the handler's to refuse."""
        while True:
            try:
                text = await self.ws.receive_text()
            except (WebSocketDisconnect, Disconnected):
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
            await self.ws.send_text(orjson.dumps(message).decode())
        except (WebSocketDisconnect, Disconnected) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        with suppress(WebSocketDisconnect, Disconnected):
            await super().close(code, reason)


class Socket(BaseGraphQLTransportWSHandler[Any, None]):
    """Runs operations on the view's engine, in place of Strawberry's own execution."""

    async def handle(self) -> None:
        with SOCKETS.track_inprogress():
            await super().handle()

    async def handle_message(self, message: Message) -> None:
        if problem := _problem(message):
            await self.handle_invalid_message(problem)
        else:
            await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        if message.get("payload", {}) is None:
            message["payload"] = {}
        try:
            await super().handle_connection_init(message)
        except Unavailable:
            await self.websocket.close(TRY_AGAIN_LATER, "try again later")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        if self.connection_acknowledged and not await self._is_still_let_in():
            return
        if message["id"] not in self.operations and len(self.operations) >= self._operations_max:
            error = GraphQLError(f"a socket has at most {self._operations_max} operations at once", extensions=LIMIT)
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[Any, None]) -> None:
        """Stock's, on the engine. A reader who is gone ends it in silence."""
        try:
            await self._run(operation)
        except WebSocketDisconnected:
            return
        except Exception as error:
            await self.handle_task_exception(error)
            with suppress(Exception):
                await operation.send_operation_message({"id": operation.id, "type": "complete"})
            raise
        finally:
            if self.operations.get(operation.id) is operation:
                self.forget_id(operation.id)

    async def _run(self, operation: Operation[Any, None]) -> None:
        engine: Engine = self.view.engine  # type: ignore[attr-defined]
        call = Call(operation.query, operation.variables, operation.operation_name)
        connection: Connection = self.context
        if connection.rights is None:
            raise RuntimeError("an operation before connection_init")
        async with aclosing(engine.stream(call, connection.context, connection.rights)) as answers:
            async for answer in answers:
                if answer.refused:
                    await operation.send_initial_errors(answer.errors or [])
                    return
                await operation.send_operation_message(_next(operation.id, answer))
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

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

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """Stock closes the socket, and every other subscription on it, for one operation's syntax error."""
        return None


def _next(operation_id: str, answer: Answer) -> Any:
    """The answer is encoded already: orjson puts a fragment in as it is."""
    return {"id": operation_id, "type": "next", "payload": orjson.Fragment(answer.encoded())}


def _problem(frame: Any) -> str | None:
    """What is wrong with the shape of a frame."""
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        return "a message is an object with a type"
    if frame["type"] in ("subscribe", "complete") and not (isinstance(frame.get("id"), str) and frame["id"]):
        return f"{frame['type']} needs an id"
    return _problem_of_operation(frame.get("payload")) if frame["type"] == "subscribe" else None


def _problem_of_operation(payload: Any) -> str | None:
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        return "subscribe needs a payload with a query"
    if not isinstance(payload.get("variables"), dict | None):
        return "variables are an object"
    if not isinstance(payload.get("operationName"), str | None):
        return "operationName is a string"
    return None

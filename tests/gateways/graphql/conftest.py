"""The gateway on a schema of the tests' own, behind a real server: it knows Strawberry, not our schema."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from uuid import UUID, uuid4

import httpx2
import orjson
import pytest
import strawberry
import uvicorn
from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from domain.actor import Actor, Role
from domain.errors import Unauthenticated, Unavailable
from gateways.graphql import Engine, Executor, GraphQLView, Ide, Rights

TENANT = UUID("018f0000-0000-7000-8000-000000000001")
GUARD_S = 20.0
BODY_MAX_BYTES = 100_000


@dataclass
class Caller:
    """What the tests' schema sees of whoever asks. `id` says which execution it is for."""

    actor: Actor | None
    id: UUID = field(default_factory=uuid4)

    def fork(self) -> Self:
        return type(self)(self.actor)


Info = strawberry.Info[Caller, None]


class Reader:
    """Of the endless subscription."""

    left: asyncio.Event


class Revoked:
    """What opens nothing any more."""

    credentials: ClassVar[set[str]] = set()


@strawberry.type
class Query:
    @strawberry.field
    def name(self, info: Info) -> str | None:
        return info.context.actor.name if info.context.actor else None

    @strawberry.field
    def deeper(self) -> "Query":
        return Query()

    @strawberry.field
    def echo(self, text: str) -> str:
        return text

    @strawberry.field
    def breaks(self) -> str | None:
        raise GraphQLError("it broke", extensions={"code": "CONFLICT"})


@strawberry.type
class Mutation:
    @strawberry.mutation
    def act(self) -> bool:
        return True


@strawberry.type
class Tick:
    number: int

    @strawberry.field
    def execution(self, info: Info) -> str:
        return str(info.context.id)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, count: int = 3) -> AsyncIterator[Tick]:
        for number in range(count):
            yield Tick(number=number)

    @strawberry.subscription
    async def forever(self) -> AsyncIterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
                await asyncio.sleep(0.01)
        finally:
            Reader.left.set()

    @strawberry.subscription
    async def silent(self) -> AsyncIterator[int]:
        try:
            await asyncio.Event().wait()
            yield 0
        finally:
            Reader.left.set()


def a_schema() -> strawberry.Schema:
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        execution_context_class=Executor,
    )


def rights(actor: Actor | None, host: str | None) -> Rights:
    return Rights(actor.name if actor else f"anonymous:{host}")


async def authenticate(authorization: str | None) -> Actor | None:
    match authorization:
        case None:
            return None
        case "Bearer ada" | "Bearer bob" if authorization not in Revoked.credentials:
            return Actor(tenant_id=TENANT, role=Role.VIEWER, name=authorization.removeprefix("Bearer "))
        case "Bearer down":
            raise Unavailable("the database is not reachable")
    raise Unauthenticated("the credential is unknown, revoked or expired")


@dataclass
class Server:
    """A running server, and ways to talk to it."""

    port: int
    view: GraphQLView

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    @asynccontextmanager
    async def http(self, bearer: str | None = None) -> AsyncIterator[httpx2.AsyncClient]:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        async with httpx2.AsyncClient(headers=headers) as client, asyncio.timeout(GUARD_S):
            yield client

    @asynccontextmanager
    async def socket(self, *, protocol: str = "graphql-transport-ws", **given: Any) -> AsyncIterator[ClientConnection]:
        url = self.url.replace("http", "ws", 1)
        async with connect(url, subprotocols=[Subprotocol(protocol)], **given) as socket, asyncio.timeout(GUARD_S):
            yield socket

    @asynccontextmanager
    async def acknowledged(self, payload: Any = None) -> AsyncIterator[ClientConnection]:
        async with self.socket() as socket:
            await send(socket, type="connection_init", payload=payload or {})
            assert await received(socket) == {"type": "connection_ack"}
            yield socket


async def send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(orjson.dumps(message).decode())


async def subscribe(socket: ClientConnection, query: str, operation: str = "1") -> None:
    await send(socket, id=operation, type="subscribe", payload={"query": query})


async def received(socket: ClientConnection) -> Any:
    frame = await socket.recv()
    assert isinstance(frame, str), "clients refuse binary frames"
    return orjson.loads(frame)


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[Server]:
    async with serving(Engine(a_schema())) as server:
        yield server


@asynccontextmanager
async def serving(engine: Engine) -> AsyncIterator[Server]:
    view = GraphQLView(
        engine,
        authenticate=authenticate,
        context=Caller,
        rights=rights,
        allowed_origins=["https://ui.example"],
        operations_per_socket=5,
        body_max_bytes=BODY_MAX_BYTES,
        ide=Ide(),
    )
    app = Starlette(routes=[Route("/graphql", view), WebSocketRoute("/graphql", view)])
    listening = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, ws="websockets-sansio", log_config=None, lifespan="off"))
    Reader.left = asyncio.Event()
    Revoked.credentials.clear()
    task = asyncio.create_task(running._serve([listening]))
    while not running.started:  # noqa: ASYNC110  # uvicorn tells nobody
        await asyncio.sleep(0.01)
    yield Server(listening.getsockname()[1], view)
    running.should_exit = True
    await task
    listening.close()

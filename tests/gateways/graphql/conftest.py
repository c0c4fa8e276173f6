"""The gateway on a schema of the tests' own, behind a real server: it knows Strawberry, not our schema."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
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
from strawberry.types.execution import ExecutionContext
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from domain.actor import Actor, Role
from domain.errors import DomainError, Forbidden, Invalid, Unauthenticated, Unavailable
from gateways.graphql import Engine, Executor, GraphQLView, Ide, Rights
from gateways.graphql.view import RightsOf

TENANT = UUID("018f0000-0000-7000-8000-000000000001")
CREDENTIAL = UUID("018f0000-0000-7000-8000-000000000002")
GUARD_S = 20.0
BODY_MAX_BYTES = 100_000


class Part(Enum):
    """Of a subscription: all of it, what comes before the news, or the news alone."""

    WHOLE = "WHOLE"
    JOIN = "JOIN"
    NEWS = "NEWS"


@dataclass
class Caller:
    """What the tests' schema sees of whoever asks. `id` says which execution it is for."""

    actor: Actor | None
    id: UUID = field(default_factory=uuid4)
    part: Part = Part.WHOLE
    after: str | None = None
    listening: Callable[[], None] | None = None

    def fork(self) -> Self:
        return type(self)(self.actor, part=self.part, after=self.after, listening=self.listening)

    @property
    def scope(self) -> Hashable:
        return None if self.actor is None else (self.actor.tenant_id, self.actor.role)

    def shared(self, listening: Callable[[], None]) -> Self:
        if self.actor is None:
            raise Unauthenticated("nobody shares with a stranger")
        nobody = Actor(self.actor.tenant_id, self.actor.role, name="everybody")
        return type(self)(nobody, part=Part.NEWS, listening=listening)

    def joining(self, after: str | None = None) -> Self:
        return type(self)(self.actor, part=Part.JOIN, after=after)


Info = strawberry.Info[Caller, None]


class Reader:
    """Of the endless subscription."""

    left: asyncio.Event


class Revoked:
    """What opens nothing any more."""

    credentials: ClassVar[set[str]] = set()


class Brief:
    """The credential that expires."""

    lasts_s: ClassVar[float] = 0.5


@strawberry.type
class Query:
    @strawberry.field
    def name(self, info: Info) -> str | None:
        return info.context.actor.name if info.context.actor else None

    @strawberry.field
    def deeper(self) -> "Query":
        return Query()

    @strawberry.field
    def listed(self, first: int = 10) -> list["Query"]:
        return [Query()] * first

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


@dataclass(frozen=True)
class Note:
    """A fact with an event's id, or the latest value of something, or (`last`) what ends all listening."""

    text: str
    event_id: str | None = None
    value_of: str | None = None
    last: Exception | None = None


class Board:
    """What is told of: facts, which can be told again, and values, of which the latest counts."""

    def __init__(self) -> None:
        self.facts: list[Note] = []
        self.values: dict[str, Note] = {}
        self.ears: set[asyncio.Queue[Note]] = set()
        self.heard = 0
        self.joining = asyncio.Event()  # who looks waits for this
        self.joining.set()
        self.listens = asyncio.Event()  # who listens waits for this
        self.listens.set()

    def post(self, text: str) -> str:
        note = Note(text, event_id=f"{1_763_700_000_000 + len(self.facts) // 3}-{len(self.facts) % 3}")
        self.facts.append(note)
        self._tell(note)
        return str(note.event_id)

    def put(self, name: str, text: str) -> None:
        self.values[name] = Note(text, value_of=name)
        self._tell(self.values[name])

    def end(self, error: Exception) -> None:
        self._tell(Note("", last=error))

    def since(self, event_id: str | None) -> list[Note]:
        """What is so now, or the values and what facts came after one."""
        if event_id is None:
            return [Note(f"so far {len(self.facts)}"), *self.values.values()]
        known = [fact.event_id for fact in self.facts]
        if event_id not in known:
            raise Invalid("no such event")
        return [*self.values.values(), *self.facts[known.index(event_id) + 1 :]]

    def _tell(self, note: Note) -> None:
        for ear in self.ears:
            ear.put_nowait(note)

    async def look(self, after: str | None) -> AsyncIterator[Note]:
        await self.joining.wait()
        for note in self.since(after):
            yield note

    async def told(self, caller: Caller, after: str | None) -> AsyncGenerator[Note, None]:
        """As a subscription's source is to behave in each part."""
        after = caller.after or after
        if caller.part is Part.JOIN:
            async for note in self.look(after):
                yield note
            return
        await self.listens.wait()
        ear: asyncio.Queue[Note] = asyncio.Queue()
        self.ears.add(ear)
        self.heard += 1
        try:
            if caller.part is Part.WHOLE:
                async for note in self.look(after):
                    yield note
            elif caller.listening is not None:
                caller.listening()
            while True:
                note = await ear.get()
                if note.last is not None:
                    raise note.last
                yield note
        finally:
            self.ears.discard(ear)


class Boards:
    """Of the running test."""

    of: ClassVar[dict[str, Board]] = {}


def the_board(topic: str = "") -> Board:
    return Boards.of.setdefault(topic, Board())


@strawberry.type
class Notice:
    text: str
    event_id: strawberry.ID | None

    @strawberry.field
    def told_to(self, info: Info) -> str | None:
        """Who was asking when this was executed."""
        return info.context.actor.name if info.context.actor else None


async def notices(info: Info, topic: str = "", after: strawberry.ID | None = None) -> AsyncGenerator[Note, None]:
    if topic == "forbidden":
        raise Forbidden("this board is not for you")
    return the_board(topic).told(info.context, after)


async def letters(info: Info, topic: str = "") -> AsyncGenerator[Note, None]:
    """The same for each alone."""
    return the_board(topic).told(info.context, None)


def stream(resolver: Callable[..., Any], **metadata: Any) -> Any:
    return strawberry.subscription(resolver=resolver, metadata=metadata)


@strawberry.type
class Subscription:
    notices: AsyncGenerator[Notice, None] = stream(notices, coalesce=True, conflate=lambda note: note.value_of)
    letters: AsyncGenerator[Notice, None] = stream(letters)

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


class Schema(strawberry.Schema):
    """Errors have their codes."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        for error in errors:
            cause = error.original_error
            while isinstance(cause, GraphQLError) and cause.original_error is not None:
                cause = cause.original_error
            if isinstance(cause, DomainError):
                error.extensions = {"code": cause.code}


def a_schema() -> strawberry.Schema:
    return Schema(
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
        case "Bearer brief":
            expires_at = datetime.now(UTC) + timedelta(seconds=Brief.lasts_s)
            return Actor(TENANT, Role.VIEWER, "brief", id=CREDENTIAL, expires_at=expires_at)
        case "Bearer admin" if authorization not in Revoked.credentials:
            return Actor(tenant_id=TENANT, role=Role.ADMIN, name="admin", id=CREDENTIAL)
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
        given = {"compression": None} | given  # what is to fill a line must not shrink
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


async def subscribe(socket: ClientConnection, query: str, operation: str = "1", **variables: Any) -> None:
    await send(socket, id=operation, type="subscribe", payload={"query": query, "variables": variables})


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """The code that the server closes with, and why."""
    with pytest.raises(ConnectionClosed) as error:
        while True:
            await socket.recv()
    assert error.value.rcvd is not None
    return error.value.rcvd.code, error.value.rcvd.reason


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not holds():  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0.01)


async def received(socket: ClientConnection) -> Any:
    frame = await socket.recv()
    assert isinstance(frame, str), "clients refuse binary frames"
    return orjson.loads(frame)


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[Server]:
    async with serving(Engine(a_schema())) as server:
        yield server


@asynccontextmanager
async def serving(engine: Engine, *, rights: RightsOf = rights, **given: Any) -> AsyncIterator[Server]:
    view = GraphQLView(
        engine,
        authenticate=authenticate,
        context=Caller,
        rights=rights,
        allowed_origins=["https://ui.example"],
        operations_per_socket=5,
        body_max_bytes=BODY_MAX_BYTES,
        ide=Ide(),
        **given,
    )
    app = Starlette(routes=[Route("/graphql", view), WebSocketRoute("/graphql", view)])
    listening = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, ws="websockets-sansio", log_config=None, lifespan="off"))
    Reader.left = asyncio.Event()
    Revoked.credentials.clear()
    Boards.of.clear()
    task = asyncio.create_task(running._serve([listening]))
    while not running.started:  # noqa: ASYNC110  # uvicorn tells nobody
        await asyncio.sleep(0.01)
    yield Server(listening.getsockname()[1], view)
    running.should_exit = True
    await task
    listening.close()

"""A real server with a table of handlers of its own, and bare websocket clients that see every byte."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
import uvicorn
from ocpp.v16 import call as v16
from ocpp.v16 import call_result as result_v16
from ocpp.v201 import call_result as result_v201
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from domain.actor import Actor, Role
from domain.work import Workplace
from gateways.ocpp import (
    Admission,
    AnswerMemory,
    Basic,
    Call,
    Endpoint,
    Handler,
    Limits,
    StationSocket,
    Version,
    VersionPackage,
)
from voltgraph.protocols import PATIENCE, Config

GUARD_S = 20.0
TENANT = uuid5(NAMESPACE_URL, "acme")
NOW = datetime(2026, 11, 21, 8, 30, 0, 250_999, UTC)
NOW_TEXT = "2026-11-21T08:30:00.250Z"


def station_id(identity: str) -> UUID:
    return uuid5(TENANT, identity)


class Station:
    """A bare client: text out, text in."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, *messages: str | bytes | list[Any]) -> None:
        for message in messages:
            await self.connection.send(orjson.dumps(message).decode() if isinstance(message, list) else message)

    async def hear(self) -> str:
        async with asyncio.timeout(GUARD_S):
            text = await self.connection.recv()
        assert isinstance(text, str), "OCPP-J is text"
        return text

    async def ask(self, message: str | bytes | list[Any]) -> str:
        await self.say(message)
        return await self.hear()

    async def called(self) -> tuple[str, str, Any]:
        """The next thing said is a CALL of ours: its id, action and payload."""
        kind, message_id, action, payload = orjson.loads(await self.hear())
        assert kind == 2
        return message_id, action, payload

    async def closed(self) -> tuple[int, str]:
        """Waits for the close; nothing else may be said before it."""
        async with asyncio.timeout(GUARD_S):
            try:
                raise AssertionError(f"said instead of closing: {await self.connection.recv()!r}")
            except ConnectionClosed as closed:
                return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")

    async def drop(self) -> None:
        """As a power cut does."""
        self.connection.transport.abort()
        await self.connection.wait_closed()


class OpenGate:
    """Lets everybody in, unless `verdict` says otherwise."""

    def __init__(self) -> None:
        self.visits: list[tuple[str, str, Version, Basic | None]] = []
        self.verdict: Callable[[str, Basic | None], None] = lambda _identity, _basic: None

    async def admit(
        self, tenant_slug: str, identity: str, version: Version, basic: Basic | None, peer: str
    ) -> Admission:
        assert peer
        self.visits.append((tenant_slug, identity, version, basic))
        self.verdict(identity, basic)
        actor = Actor(tenant_id=TENANT, role=Role.STATION, name=identity, id=station_id(identity))
        return Admission(actor=actor, tenant_id=TENANT, station_id=station_id(identity))


@dataclass
class Diary:
    """The endpoint's `Lifecycle`, written down."""

    entries: list[str] = field(default_factory=list)
    seen_count: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def connected(self, _admission: Admission, socket: StationSocket) -> None:
        self._write(f"{socket.identity} connected")

    async def disconnected(self, _admission: Admission, socket: StationSocket) -> None:
        self._write(f"{socket.identity} disconnected" + (" replaced" if socket.replaced else ""))

    def seen(self, _admission: Admission) -> None:
        self.seen_count += 1

    def _write(self, entry: str) -> None:
        self.entries.append(entry)
        self.changed.set()

    async def until(self, entry: str) -> None:
        async with asyncio.timeout(GUARD_S):
            while entry not in self.entries:
                self.changed.clear()
                await self.changed.wait()


class Csms:
    """The transport under test and all that a test wants to see of it."""

    def __init__(self, url: str, endpoint: Endpoint, gate: OpenGate, diary: Diary) -> None:
        self.url = url
        self.endpoint = endpoint
        self.gate = gate
        self.diary = diary
        self.handled: list[tuple[str, Any]] = []
        self.handlers: dict[str, Handler] = {}

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        *,
        versions: tuple[Version, ...] = (Version.V16, Version.V201),
        limits: Limits | None = None,
        answers: AnswerMemory | None = None,
    ) -> AsyncIterator[Self]:
        engine = create_async_engine("postgresql+asyncpg://nobody@nowhere.invalid/none")  # never connected to
        gate, diary, tables = OpenGate(), Diary(), _tables()
        endpoint = Endpoint(
            gate=gate,
            lifecycle=diary,
            workplace=Workplace(engine, ports={}, clock=lambda: NOW),
            packages=[_package(version, tables[version]) for version in versions],
            answers=answers,
            limits=limits or Limits(messages_per_s=None),
        )
        async with _serving(Starlette(routes=[endpoint.route])) as port:
            csms = cls(f"ws://127.0.0.1:{port}/ocpp/acme", endpoint, gate, diary)
            for version in versions:
                csms._log_handled(tables[version])
            csms.handlers = tables[versions[0]]
            try:
                yield csms
            finally:
                await endpoint.sockets.shutdown(over_s=0.0)
                await engine.dispose()

    @asynccontextmanager
    async def station(
        self, identity: str = "CP-1", version: Version = Version.V16, **options: Any
    ) -> AsyncIterator[Station]:
        url = f"{self.url}/{identity}"
        async with connect(url, subprotocols=[Subprotocol(version.value)], proxy=None, **options) as connection:
            yield Station(connection)

    def socket(self, identity: str = "CP-1") -> StationSocket:
        found = self.endpoint.sockets.get(TENANT, station_id(identity))
        assert found is not None
        return found

    def actions(self) -> list[str]:
        return [action for action, _ in self.handled]

    def _log_handled(self, table: dict[str, Handler]) -> None:
        for action, handler in table.items():
            table[action] = self.logged(action, handler)

    def logged(self, action: str, handler: Handler) -> Handler:
        async def logging(call: Call, message: Any) -> Any:
            self.handled.append((action, message))
            return await handler(call, message)

        return logging

    def on(self, action: str, handler: Handler) -> None:
        self.handlers[action] = self.logged(action, handler)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def start(message_id: str | int, *, meter_start: Any = 0, **changes: Any) -> list[Any]:
    payload = {"connectorId": 1, "idTag": "DEMO", "meterStart": meter_start, "timestamp": "2026-11-21T08:00:00Z"}
    return [2, message_id, "StartTransaction", payload | changes]


def _tables() -> Mapping[Version, dict[str, Handler]]:
    numbers = iter(range(1, 1_000_000))

    async def boot(call: Call, _m: Any) -> Any:
        return result_v16.BootNotification(current_time=call.received_at, interval=300, status="Accepted")

    async def heartbeat(call: Call, _m: Any) -> Any:
        return result_v16.Heartbeat(current_time=call.received_at)

    async def begin(_call: Call, m: v16.StartTransaction) -> Any:
        return result_v16.StartTransaction(transaction_id=next(numbers), id_tag_info={"status": "Accepted"})

    def empty(answer: Any) -> Handler:
        async def handler(_call: Call, _m: Any) -> Any:
            return answer

        return handler

    return {
        Version.V16: {
            "BootNotification": boot,
            "Heartbeat": heartbeat,
            "StatusNotification": empty(result_v16.StatusNotification()),
            "MeterValues": empty(result_v16.MeterValues()),
            "StartTransaction": begin,
        },
        Version.V201: {
            "Heartbeat": heartbeat,
            "StatusNotification": empty(result_v201.StatusNotification()),
            "TransactionEvent": empty(result_v201.TransactionEvent()),
        },
        Version.V21: {"NotifyPeriodicEventStream": empty(None), "Heartbeat": heartbeat},
    }


def _package(version: Version, handlers: dict[str, Handler]) -> VersionPackage:
    return SimpleNamespace(VERSION=version, HANDLERS=handlers)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _serving(app: Starlette) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = Config(
        app,
        patience=PATIENCE,
        frame_limits={},
        lifespan="off",
        log_config=None,
        ws_max_size=64 * 1024 * 1024,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()

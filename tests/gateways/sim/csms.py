"""A third party's charging-station management system, on the `ocpp` package's own ChargePoint: the stations' examiner.

It keeps every frame and holds each frame of a station's against the schema files of the standard.
"""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any, ClassVar, Self, TypeVar, cast

import jsonschema_rs
import ocpp.routing
from ocpp.exceptions import InternalError
from ocpp.v16 import ChargePoint as ChargePointV16
from ocpp.v16 import call as call_v16
from ocpp.v16 import call_result as result_v16
from ocpp.v21 import ChargePoint as ChargePointV21
from ocpp.v201 import ChargePoint as ChargePointV201
from ocpp.v201 import call_result as result_v201
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

GUARD_S = 40.0
Payload = dict[str, Any]
Handler = TypeVar("Handler", bound=Callable[..., Any])


def on(action: str) -> Callable[[Handler], Handler]:
    return cast(Callable[[Handler], Handler], ocpp.routing.on(action))


@cache
def validator(version: str, kind: int, action: str) -> Any:
    """`kind` is OCPP-J's message type, 2 for a call and 3 for its answer."""
    suffix = "Response" if kind == 3 else "" if version == "v16" else "Request"
    text = (files(f"ocpp.{version}") / "schemas" / f"{action}{suffix}.json").read_text("utf-8-sig")
    return jsonschema_rs.validator_for(json.loads(text))


@dataclass(frozen=True)
class Frame:
    identity: str
    from_station: bool
    message: list[Any]
    at: datetime


class Examined:
    """A connection that the ChargePoint reads and writes, and the examiner reads along."""

    def __init__(self, csms: "Csms", identity: str, version: str, socket: ServerConnection) -> None:
        self.csms, self.identity, self.version, self.socket = csms, identity, version, socket
        self._asked: dict[str, str] = {}

    async def recv(self) -> str:
        raw = await self.socket.recv()
        assert isinstance(raw, str)
        message = json.loads(raw)
        self._examine(message)
        self.csms.note(Frame(self.identity, True, message, datetime.now(UTC)))
        if message[0] == 2 and self.csms.cuts[message[2]] > 0:
            self.csms.cuts[message[2]] -= 1
            self.socket.transport.abort()
            await self.socket.wait_closed()
            await self.socket.recv()  # raises
        return raw

    async def send(self, raw: str) -> None:
        message = json.loads(raw)
        if message[0] == 2:
            self._asked[message[1]] = message[2]
        self.csms.note(Frame(self.identity, False, message, datetime.now(UTC)))
        try:
            await self.socket.send(raw)
        except ConnectionClosed:
            if message[0] == 2:
                raise
            # else its asker has gone: what it sent before is still to be read, an answer to us perhaps

    def _examine(self, message: list[Any]) -> None:
        kind = message[0]
        action = message[2] if kind == 2 else self._asked.get(message[1], "") if kind == 3 else ""
        if not action:
            return
        payload = message[3] if kind == 2 else message[2]
        error = next(iter(validator(self.version, kind, action).iter_errors(payload)), None)
        if error is not None:
            self.csms.violations.append(f"{action}: {error.message} in {payload}")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class PointV16(ChargePointV16):  # type: ignore[misc]  # the package has no types
    csms: "Csms"

    @on("BootNotification")
    def boot(self, **fields: Any) -> Any:
        status, interval = self.csms.registration()
        return result_v16.BootNotification(current_time=now(), interval=interval, status=cast(Any, status))

    @on("Heartbeat")
    def heartbeat(self) -> Any:
        return result_v16.Heartbeat(current_time=now())

    @on("StatusNotification")
    def status(self, **fields: Any) -> Any:
        return result_v16.StatusNotification()

    @on("Authorize")
    def authorize(self, id_tag: str) -> Any:
        return result_v16.Authorize(id_tag_info=cast(Any, {"status": self.csms.cards.get(id_tag, "Accepted")}))

    @on("StartTransaction")
    def start_transaction(self, id_tag: str, **fields: Any) -> Any:
        self.csms.fail_if_told("StartTransaction")
        status = self.csms.cards_at_start.get(id_tag, "Accepted")
        return result_v16.StartTransaction(next(self.csms.numbers), cast(Any, {"status": status}))

    @on("MeterValues")
    def meter_values(self, **fields: Any) -> Any:
        return result_v16.MeterValues()

    @on("StopTransaction")
    def stop_transaction(self, **fields: Any) -> Any:
        self.csms.fail_if_told("StopTransaction")
        return result_v16.StopTransaction()


class PointV2:
    """2.0.1 and 2.1, which have all of this in common."""

    csms: "Csms"

    @on("BootNotification")
    def boot(self, **fields: Any) -> Any:
        status, interval = self.csms.registration()
        return result_v201.BootNotification(current_time=now(), interval=interval, status=cast(Any, status))

    @on("Heartbeat")
    def heartbeat(self) -> Any:
        return result_v201.Heartbeat(current_time=now())

    @on("StatusNotification")
    def status(self, **fields: Any) -> Any:
        return result_v201.StatusNotification()

    @on("Authorize")
    def authorize(self, id_token: Payload, **fields: Any) -> Any:
        status = self.csms.cards.get(id_token["id_token"], "Accepted")
        return result_v201.Authorize(id_token_info=cast(Any, {"status": status}))

    @on("TransactionEvent")
    def transaction_event(self, id_token: Payload | None = None, **fields: Any) -> Any:
        self.csms.fail_if_told("TransactionEvent")
        if id_token is None:
            return result_v201.TransactionEvent()
        status = self.csms.cards_at_start.get(id_token["id_token"], "Accepted")
        return result_v201.TransactionEvent(id_token_info=cast(Any, {"status": status}))

    @on("MeterValues")
    def meter_values(self, **fields: Any) -> Any:
        return result_v201.MeterValues()

    @on("ReservationStatusUpdate")
    def reservation_status_update(self, **fields: Any) -> Any:
        return result_v201.ReservationStatusUpdate()

    @on("NotifyReport")
    def notify_report(self, **fields: Any) -> Any:
        return result_v201.NotifyReport()


class PointV201(PointV2, ChargePointV201):  # type: ignore[misc]
    pass


class PointV21(PointV2, ChargePointV21):  # type: ignore[misc]
    pass


class Csms:
    VERSIONS: ClassVar[dict[str, tuple[str, type[Any]]]] = {
        "ocpp1.6": ("v16", PointV16),
        "ocpp2.0.1": ("v201", PointV201),
        "ocpp2.1": ("v21", PointV21),
    }

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.violations: list[str] = []
        self.points: dict[str, Any] = {}
        self.subprotocols: dict[str, str | None] = {}
        self.headers: list[Headers] = []
        self.closes: list[int | None] = []
        self.handshakes = 0
        self.registrations: list[tuple[str, int]] = []  # used up one by one; then Accepted, 300 s
        self.cards: dict[str, str] = {}
        self.cards_at_start: dict[str, str] = {}
        self.cuts: Counter[str] = Counter()  # action: so many times the line is cut instead of an answer
        self.failures: Counter[str] = Counter()  # action: so many times the answer is a CALLERROR
        self.refuses_with: HTTPStatus | None = None
        self.numbers = itertools.count(4001)
        self._port = 0
        self._server: Server | None = None
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/ocpp/acme"

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        csms = cls()
        await csms.start()
        try:
            yield csms
        finally:
            await csms.stop()
        assert csms.violations == []

    async def start(self) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self._port,
            subprotocols=[Subprotocol(name) for name in self.VERSIONS],
            process_request=self._greet,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """As if the process were gone: no goodbye."""
        if self._server is None:
            return
        for connection in list(self._server.connections):
            connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()
        self._server = None
        self._tell()

    def note(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._tell()

    def registration(self) -> tuple[str, int]:
        return self.registrations.pop(0) if self.registrations else ("Accepted", 300)

    def fail_if_told(self, action: str) -> None:
        if self.failures[action] > 0:
            self.failures[action] -= 1
            raise InternalError(description="told to")

    def calls(self, *actions: str, identity: str | None = None) -> list[Payload]:
        """What stations have asked, in the order of arrival."""
        return [frame.message[3] for frame in self.call_frames(*actions, identity=identity)]

    def call_frames(self, *actions: str, identity: str | None = None) -> list[Frame]:
        asked = (frame for frame in self.frames if frame.from_station and frame.message[0] == 2)
        return [one for one in asked if one.message[2] in actions and identity in (None, one.identity)]

    def settled(self, *actions: str) -> list[Payload]:
        """As `calls`, but only those after which the station has gone on to the next: it has had its answer."""
        last = {frame.identity: frame for frame in self.frames if frame.from_station and frame.message[0] == 2}
        return [frame.message[3] for frame in self.call_frames(*actions) if last[frame.identity] is not frame]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(GUARD_S):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def ask(self, identity: str, request: Any) -> Any:
        """The answer, or the CALLERROR as an exception."""
        return await self.points[identity].call(request, suppress=False)

    async def send_raw(self, identity: str, frame: Any) -> None:
        """Past the package, which would not send it."""
        await self.points[identity]._connection.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def change_configuration(self, identity: str, key: str, value: str) -> str:
        return str((await self.ask(identity, call_v16.ChangeConfiguration(key=key, value=value))).status)

    def _tell(self) -> None:
        self._news.set()

    def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes += 1
        self.headers.append(request.headers)
        self._tell()
        return connection.respond(self.refuses_with, "no\n") if self.refuses_with else None

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        identity = socket.request.path.rsplit("/", 1)[1]
        version, point = self.VERSIONS[socket.subprotocol or "ocpp1.6"]
        examined = Examined(self, identity, version, socket)
        self.points[identity] = point(identity, examined)
        self.points[identity].csms = self
        self.subprotocols[identity] = socket.subprotocol
        self._tell()
        with suppress(ConnectionClosed):
            await self.points[identity].start()
        self.closes.append(socket.close_code)
        self._tell()

"""`/ocpp/{tenant}/{identity}`: from the handshake to a running socket, or to the HTTP status that says why not."""

import asyncio
import base64
import random
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import structlog
from prometheus_client import Counter
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

from domain import station_log
from domain.errors import DomainError, Invalid, NotFound, Unauthenticated, Unavailable
from domain.work import Workplace
from gateways.ocpp.deviations import DeviationLog
from gateways.ocpp.frames import Version
from gateways.ocpp.journal import Journal
from gateways.ocpp.link import Admission, Handler, Limits, VersionPackage
from gateways.ocpp.memory import AnswerMemory, ProcessMemory
from gateways.ocpp.registry import Sockets
from gateways.ocpp.schemas import actions
from gateways.ocpp.socket import StationSocket
from gateways.ocpp.turnstile import Gone, Turnstile

log = structlog.get_logger()

DENIED = Counter("voltgraph_ocpp_denied", "Handshakes that were refused", ["status"])

Basic = tuple[str, bytes]
"""User name and password; the password may be any bytes, and hold colons."""

_IDENTITY: Final = re.compile(r"[A-Za-z0-9*_=:+|@.-]{1,48}", re.ASCII)
_TENANT: Final = re.compile(r"[A-Za-z0-9_.-]{1,63}", re.ASCII)
_STATUSES: Final = {
    "INVALID": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "LIMIT": 429,
    "UNAVAILABLE": 503,
    "TIMEOUT": 503,
}
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="ocpp", charset="UTF-8"'}
_RETRY_AFTER_S: Final = {429: range(30, 61), 503: range(10, 31)}  # one of them, so that not all come back as one


class Gate(Protocol):
    async def admit(
        self, tenant_slug: str, identity: str, version: Version, basic: Basic | None, peer: str
    ) -> Admission:
        """Raises `NotFound` (404), `Unauthenticated` (401), `Forbidden` (403), `LimitExceeded` (429) or
        `Unavailable` (503). Whether the user name has to be the identity is the gate's to say."""
        ...


class Lifecycle(Protocol):
    async def connected(self, admission: Admission, socket: StationSocket) -> None:
        """Before the first message is handled."""
        ...

    async def disconnected(self, admission: Admission, socket: StationSocket) -> None:
        """After the last message was handled. With `socket.replaced` the station is still connected, by another."""
        ...

    def seen(self, admission: Admission) -> None:
        """For every message, so it must cost nothing."""
        ...


Accompany = Callable[[StationSocket], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Visitor:
    tenant_slug: str
    identity: str
    version: Version
    subprotocol: str
    """As the station spelled it."""


class Endpoint:
    def __init__(
        self,
        *,
        gate: Gate,
        lifecycle: Lifecycle,
        workplace: Workplace,
        packages: Iterable[VersionPackage],
        sockets: Sockets | None = None,
        answers: AnswerMemory | None = None,
        limits: Limits | None = None,
        recorder: station_log.Recorder | None = None,
        accompany: Accompany | None = None,
    ) -> None:
        """`accompany` runs beside every socket, for as long as that lives."""
        self.sockets = sockets or Sockets()
        self._gate = gate
        self._lifecycle = lifecycle
        self._workplace = workplace
        self._handlers = {package.VERSION: _checked(package) for package in packages}
        self._answers = answers or ProcessMemory()
        self._limits = limits or Limits()
        self._turnstile = Turnstile(
            at_once=self._limits.handshakes_at_once,
            waiting=self._limits.handshakes_waiting,
            patience_s=self._limits.handshake_patience_s,
        )
        self._deviations = DeviationLog()
        self._recorder = recorder
        self._spare_turns = asyncio.Semaphore(self._limits.spare_turns)
        self._accompany = accompany or _alone

    @property
    def route(self) -> WebSocketRoute:
        """The path is read from the raw bytes, where an encoded slash is still one of the identity's characters."""
        return WebSocketRoute("/ocpp/{rest:path}", self.serve)

    async def serve(self, websocket: WebSocket) -> None:
        try:
            visitor, admission = await self._admit(websocket)
        except Gone:
            log.info("station gone before it was let in", path=websocket.scope["path"])
        except DomainError as error:
            await self._deny(
                websocket, _STATUSES.get(error.code, 500), error.message, error.details.get("retry_after_s")
            )
        except Exception:
            error_id = uuid4().hex[:12]
            log.exception("ocpp handshake failed", error_id=error_id)
            await self._deny(websocket, 500, f"internal error {error_id}")
        else:
            await websocket.accept(visitor.subprotocol)
            journal = self._journal(admission)
            journal.happened(
                "connected",
                version=visitor.version.value,
                peer=_peer(websocket),
                agent=websocket.headers.get("user-agent"),
            )
            await self._converse(self._socket(websocket, visitor, admission, journal))

    def _journal(self, admission: Admission) -> Journal:
        return Journal(
            self._recorder,
            tenant_id=admission.tenant_id,
            station_id=admission.station_id,
            clock=self._workplace.clock,
        )

    async def _deny(self, websocket: WebSocket, status: int, reason: str, retry_after_s: int | None = None) -> None:
        """A crowd that has to wait is no news of any of them."""
        stranger = _stranger(websocket) if self._recorder is not None and status not in _RETRY_AFTER_S else None
        if self._recorder is not None and stranger is not None:
            self._recorder.turn_away(stranger, status=status, reason=reason, peer=_peer(websocket))
        await _deny(websocket, status, reason, retry_after_s)

    async def _admit(self, websocket: WebSocket) -> tuple[_Visitor, Admission]:
        if self.sockets.closing:
            raise Unavailable("the server restarts")
        tenant_slug, identity = _address(websocket)
        version, subprotocol = self._negotiate(websocket.scope["subprotocols"])
        basic = _basic(websocket.headers.get("authorization"), identity)
        async with self._turnstile.handshake(partial(_until_gone, websocket)):
            admission = await self._gate.admit(tenant_slug, identity, version, basic, _peer(websocket))
        return _Visitor(tenant_slug, identity, version, subprotocol), admission

    def _negotiate(self, offered: Sequence[str]) -> tuple[Version, str]:
        """The newest that both sides speak, echoed as it was spelled."""
        spelled = {name.casefold(): name for name in reversed(offered)}
        for version in reversed(Version):
            if version in self._handlers and version.value in spelled:
                return version, spelled[version.value]
        spoken = ", ".join(version.value for version in reversed(Version) if version in self._handlers)
        raise Invalid(f"no common OCPP version; spoken here as subprotocols: {spoken}")

    def _socket(self, websocket: WebSocket, visitor: _Visitor, admission: Admission, journal: Journal) -> StationSocket:
        return StationSocket(
            websocket,
            identity=visitor.identity,
            admission=admission,
            version=visitor.version,
            handlers=self._handlers[visitor.version],
            workplace=self._workplace,
            limits=self._limits,
            answers=self._answers,
            deviations=self._deviations,
            turnstile=self._turnstile,
            journal=journal,
            spare_turns=self._spare_turns,
            seen=lambda: self._lifecycle.seen(admission),
        )

    async def _converse(self, socket: StationSocket) -> None:
        """Presence that cannot be told (Redis is away) is logged: charges are recorded all the same."""
        previous = self.sockets.join(socket)
        told = log.bind(tenant=str(socket.admission.tenant_id), station=socket.identity, version=socket.version.number)
        told.info("station connected")
        try:
            try:
                await self._lifecycle.connected(socket.admission, socket)
            except Exception:
                told.exception("station's connection not told")
            companion = asyncio.create_task(self._accompany(socket), name=f"beside {socket.identity}")
            try:
                await socket.run(previous)
            finally:
                companion.cancel()
        finally:
            self.sockets.leave(socket)
            told.info("station disconnected", replaced=socket.replaced)
            try:
                await self._lifecycle.disconnected(socket.admission, socket)
            except Exception:
                told.exception("station's disconnection not told")


async def _alone(_socket: StationSocket) -> None:
    pass


def _checked(package: VersionPackage) -> Mapping[str, Handler]:
    invented = package.HANDLERS.keys() - actions(package.VERSION)
    if invented:
        raise ValueError(f"OCPP {package.VERSION.number} has no action {', '.join(sorted(invented))}")
    return package.HANDLERS


def _address(websocket: WebSocket) -> tuple[str, str]:
    raw = bytes(websocket.scope.get("raw_path") or websocket.scope["path"].encode())
    path = raw.partition(b"?")[0].removeprefix(websocket.scope.get("root_path", "").encode())
    segments = path.split(b"/")
    if len(segments) == 4:
        tenant, identity = (unquote_to_bytes(segment).decode("latin-1") for segment in segments[2:])
        if _TENANT.fullmatch(tenant) and _IDENTITY.fullmatch(identity):
            return tenant, identity
    raise NotFound("a station's address is /ocpp/{tenant}/{identity}")


def _basic(header: str | None, identity: str) -> Basic | None:
    """An identity may hold a colon, so the user name is it if it can be, else what stands before the first colon."""
    if header is None:
        return None
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.casefold() != "basic":
        raise Unauthenticated("only Basic authorization is known here")
    try:
        text = base64.b64decode(encoded.strip() + "===")  # some stations leave the padding out
    except ValueError:
        raise Unauthenticated("the Basic credentials are not base64") from None
    own = identity.encode() + b":"
    user, colon, password = (own[:-1], b":", text[len(own) :]) if text.startswith(own) else text.partition(b":")
    if not colon:
        raise Unauthenticated("the Basic credentials have no password")
    return user.decode("utf-8", "replace"), password


def _peer(websocket: WebSocket) -> str:
    return websocket.client.host if websocket.client else ""


def _stranger(websocket: WebSocket) -> station_log.Stranger | None:
    try:
        return station_log.Stranger(*_address(websocket))
    except NotFound:
        return None


async def _until_gone(websocket: WebSocket) -> None:
    """A client says nothing before it is accepted, unless it gives up."""
    if websocket.client_state is WebSocketState.CONNECTING:
        await websocket.receive()
    await websocket.receive()


def _headers(status: int, retry_after_s: int | None) -> dict[str, str]:
    if retry_after_s is not None:
        return {"Retry-After": str(retry_after_s)}
    if status in _RETRY_AFTER_S:
        return {"Retry-After": str(random.choice(_RETRY_AFTER_S[status]))}
    return _CHALLENGE if status == 401 else {}


async def _deny(websocket: WebSocket, status: int, reason: str, retry_after_s: int | None = None) -> None:
    DENIED.labels(str(status)).inc()
    log.info("station denied", path=websocket.scope["path"], peer=_peer(websocket), status=status, reason=reason)
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(PlainTextResponse(reason, status, headers=_headers(status, retry_after_s)))
        await asyncio.sleep(0)  # uvicorn calls it an error of ours when we return before it has closed the connection
    else:
        await websocket.close()

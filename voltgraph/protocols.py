"""uvicorn's protocols, with the limits that it leaves to others: how long and how large a request may be."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from struct import Struct
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

HEAD_MAX_BYTES = 64 * 1024
HEADERS_MAX = 200
GATHERED_MAX_BYTES = 32 * 1024
WRITE = "voltgraph.write"  # in a WebSocket's ASGI extensions: past ASGI, which costs more than the rest
DROP = "voltgraph.drop"  # likewise: the line goes, what was written before it, and no Close frame
_TEXT_FRAME = 0x81
_HEAD_16, _HEAD_64 = Struct("!BBH").pack, Struct("!BBQ").pack


@dataclass(frozen=True, slots=True)
class Patience:
    """With clients, in seconds. A server that is told to end does so within `drain_s` and `grace_s`."""

    unread_s: float = 30  # who reads nothing of what they were sent for so long is gone, pings or not
    head_s: float = 10  # for a request's first line and headers, also on a connection that has said nothing yet
    body_s: float = 30  # as a whole; where files come, between two words
    keep_alive_s: int = 75  # between requests: more than proxies keep their end of it
    ping_s: float = 30
    pong_s: float = 60  # uvicorn stops reading while a message waits to be handled, and pongs wait with it
    drain_s: float = 10  # for what stations have sent
    grace_s: int = 15  # for all other answers in flight
    stalled_s: float = 5  # a server that ends looks twice, so far apart, who still reads


PATIENCE = Patience()


class Config(uvicorn.Config):
    """uvicorn's, with what the protocols below need. `frame_limits`: bytes of a message, by how the path begins.
    `files`: how the path begins where files come, which may take their time."""

    def __init__(
        self, app: Any, *, patience: Patience, frame_limits: Mapping[str, int], files: str | None = None, **given: Any
    ) -> None:
        super().__init__(app, http=HttpProtocol, ws=WebSocketProtocol, **given)
        self.patience = patience
        self.frame_limits = frame_limits
        self.files = files
        self._turn: Turn | None = None

    def turn(self, loop: asyncio.AbstractEventLoop) -> "Turn":
        """Of the one loop that a server has."""
        if self._turn is None:
            self._turn = Turn(loop)
        return self._turn


class Awaited(Enum):
    """What of a request is yet to come."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()


class HttpProtocol(HttpToolsProtocol):
    """A request that stops half way, or has no end of headers, loses its connection (408, 431).

    Requests that arrive whole cost three assignments; a timer is set only where something is missing.
    """

    config: Config

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._awaited = self._timed = Awaited.NOTHING
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._heard_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._awaited = Awaited.HEAD
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._awaited = Awaited.NOTHING
        self._time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._heard_s = self.loop.time()
        if self._awaited is not self._timed:
            self._time()
        if self._awaited is not Awaited.NOTHING and self._is_too_long(len(data)):
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def handle_websocket_upgrade(self) -> None:
        self._awaited = Awaited.NOTHING
        self._time()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._awaited = Awaited.HEAD
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._awaited = Awaited.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._awaited = Awaited.NOTHING
        super().on_message_complete()

    def _time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed = self._awaited
        if self._awaited is not Awaited.NOTHING:
            patience = self.config.patience
            within_s = patience.head_s if self._awaited is Awaited.HEAD else patience.body_s
            self._timer = self.loop.call_later(within_s, self._give_up)

    def _give_up(self) -> None:
        if self.flow.read_paused or self._brings_file():
            self._time()  # it is us who do not read
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _brings_file(self) -> bool:
        """And goes on with it."""
        if self._awaited is not Awaited.BODY or self.config.files is None:
            return False
        if not str(self.scope["path"]).startswith(self.config.files):
            return False
        return self.loop.time() - self._heard_s < self.config.patience.body_s

    def _is_too_long(self, received_bytes: int) -> bool:
        """Of what is incomplete: the head, and the headers that may follow a body in chunks."""
        if self._awaited is Awaited.HEAD:
            self._head_bytes += received_bytes
        return self._head_bytes > HEAD_MAX_BYTES or len(self.headers or ()) > HEADERS_MAX

    def _refuse(self, status: HTTPStatus) -> None:
        if self.transport.is_closing():
            return
        begun: list[Any] | None = self.headers
        cycle: RequestResponseCycle | None = self.cycle
        if begun is not None and (cycle is None or cycle.response_complete or not cycle.response_started):
            line = f"HTTP/1.1 {status.value} {status.phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(line.encode())
        self.transport.close()


class Turn:
    """Of the loop: what it has brought is written when it ends, to each connection in one go."""

    __slots__ = ("_begun", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._begun: list[Gathering] = []

    def end_with(self, gathering: "Gathering") -> None:
        if not self._begun:
            self._loop.call_soon(self._end)
        self._begun.append(gathering)

    def _end(self) -> None:
        begun, self._begun = self._begun, []
        for gathering in begun:
            gathering.flush()


class Gathering:
    """A transport that writes what one turn of the loop has brought in one go: a call to the kernel costs more than
    most messages."""

    __slots__ = ("_parts", "_size_bytes", "_transport", "_turn", "is_closing")

    def __init__(self, transport: asyncio.Transport, turn: Turn) -> None:
        self.is_closing = transport.is_closing
        self._transport = transport
        self._turn = turn
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._turn.end_with(self)
        self._parts.append(data)
        self._size_bytes += len(data)
        if self._size_bytes > GATHERED_MAX_BYTES:
            self.flush()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        return self._size_bytes + self._transport.get_write_buffer_size()

    def flush(self) -> None:
        if self._parts:
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._size_bytes = 0
            if not self.is_closing():
                self._transport.write(data)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Messages are cut off at their endpoint's limit, before they are gathered in memory (1009)."""

    config: Config

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", Gathering(transport, self.config.turn(self.loop)))

    def handle_connect(self, event: Request) -> None:
        for begin, limit_bytes in self.config.frame_limits.items():
            if event.path.startswith(begin):
                self.conn.max_message_size = limit_bytes
        super().handle_connect(event)
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[WRITE] = self._write_text
        extensions[DROP] = self._drop

    def _drop(self) -> None:
        self.transport.close()

    def _write_text(self, content: bytes) -> bool:
        """A message on its way at once, or False: then it is to be sent as any other, and may have to wait."""
        if self.close_sent or not self.handshake_complete or not self.writable.is_set() or self.conn.extensions:
            return False
        if self.disconnected or self.transport.is_closing():
            return False
        size = len(content)
        if size < 126:
            head = bytes((_TEXT_FRAME, size))
        elif size < 65_536:
            head = _HEAD_16(_TEXT_FRAME, 126, size)
        else:
            head = _HEAD_64(_TEXT_FRAME, 127, size)
        self.transport.write(head + content)
        return True

"""The least that a server of stations can be: it reads messages by the standard's schemas, answers, keeps nothing."""

import socket
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateways.ocpp import frames
from gateways.ocpp.frames import CallFrame, Version
from gateways.ocpp.schemas import Kind, form

OWN = CollectorRegistry()
MESSAGES = Counter("voltgraph_ocpp_messages", "As the server's own", registry=OWN)
SOCKETS = Gauge("voltgraph_ocpp_sockets", "As the server's own", registry=OWN)
_NUMBERS = count(1)
_GOOD = {"status": "Accepted"}


def _answer(action: str, version: Version) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    match action:
        case "BootNotification":
            return {"status": "Accepted", "currentTime": now, "interval": 60}
        case "Heartbeat":
            return {"currentTime": now}
        case "Authorize":
            return {"idTagInfo": _GOOD} if version is Version.V16 else {"idTokenInfo": _GOOD}
        case "StartTransaction":
            return {"transactionId": next(_NUMBERS), "idTagInfo": _GOOD}
    return {}


async def station(websocket: WebSocket) -> None:
    version = Version(websocket.scope["subprotocols"][0])
    await websocket.accept(version.value)
    with SOCKETS.track_inprogress(), suppress(WebSocketDisconnect):
        async for text in websocket.iter_text():
            frame = frames.parse(text, version)
            if isinstance(frame, CallFrame):
                form(version, frame.action, Kind.REQUEST).read(frame.payload)
                await websocket.send_text(frames.result(frame.message_id, _answer(frame.action, version)))
                MESSAGES.inc()


async def metrics(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(generate_latest(OWN).decode())


def main() -> None:
    routes = [WebSocketRoute("/ocpp/bench/{identity}", station), Route("/metrics", metrics)]
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        Starlette(routes=routes),
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="error",
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

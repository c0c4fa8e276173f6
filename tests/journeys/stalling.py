"""Clients that stop reading, and what a server holds for them."""

import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import orjson
from websockets.asyncio.client import ClientConnection

from tests.journeys.clients import Operator, Stream
from tests.journeys.servers import Server

READINGS = "subscription { pointUpdates { address text } }"
RECORD = "mutation ($readings: [ReadingInput!]!) { recordReadings(readings: $readings) { recorded } }"
LONG_TEXT = "x" * 10_000
_BUFFER_BYTES = 4096


def readings_of(prefix: str, count: int) -> str:
    """What `record` will record and nothing else: what is known already would fill a narrow line at once."""
    addresses = orjson.dumps([f"{prefix}/{number}" for number in range(count)]).decode()
    return f"subscription {{ pointUpdates(addresses: {addresses}) {{ address text }} }}"


def narrow_line(server: Server) -> socket.socket:
    """A connection that takes very little unread."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    line.connect(("127.0.0.1", server.port))
    return line


def stop_reading(connection: ClientConnection) -> None:
    connection.transport.pause_reading()


def read_on(connection: ClientConnection) -> None:
    connection.transport.resume_reading()


@asynccontextmanager
async def stalled(server: Server, operator: Operator, subscription: str = READINGS) -> AsyncIterator[Stream]:
    """A subscriber who does not read."""
    async with operator.watching(subscription, over=narrow_line(server)) as stream:
        stop_reading(stream.connection)
        try:
            yield stream
        finally:
            stream.connection.transport.abort()


def asking(server: Server, operator: Operator, query: str, *, accept: str) -> socket.socket:
    """A request on a line of its own, whose answer nobody has read yet."""
    body = orjson.dumps({"query": query})
    head = [
        "POST /graphql HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {operator.secret}",
        "Content-Type: application/json",
        f"Accept: {accept}",
        f"Content-Length: {len(body)}",
    ]
    line = narrow_line(server)
    line.sendall("\r\n".join([*head, "", ""]).encode() + body)
    return line


async def record(operator: Operator, prefix: str, count: int) -> None:
    """So many long texts, each of a point of its own, since what is newer of one point takes the older's place."""
    at = datetime.now(UTC).isoformat()
    for start in range(0, count, 50):
        readings = [
            {"address": f"{prefix}/{number}", "at": at, "text": LONG_TEXT}
            for number in range(start, min(start + 50, count))
        ]
        assert (await operator.ask(RECORD, readings=readings))["recorded"] == len(readings)


def figure(server: Server, name: str, **labels: str) -> float:
    """A metric's value now; 0 where it was never counted."""
    told = httpx2.get(f"{server.url}/metrics", timeout=30).text
    label = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    found = re.search(rf"^{name}{re.escape('{' + label + '}') if label else ''} (\S+)$", told, re.MULTILINE)
    return float(found[1]) if found else 0.0


def resident_bytes(server: Server) -> int:
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def line_of(connection: ClientConnection) -> Any:
    return connection.transport.get_extra_info("socket")


def is_held(server: Server, line: Any) -> bool:
    """Whether the server still has the other end of a line of ours, or even its kernel has."""
    return server._inode(line.getsockname()[1]) is not None

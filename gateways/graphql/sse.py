"""Server-sent events: one operation per response, as graphql-sse's distinct connections mode has it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.types import Message, Receive, Send

from gateways.graphql.engine import Answer

HEARTBEAT_S = 15.0
"""Proxies cut what is silent, most of them after 30 s or more."""

_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"vary", b"Accept"),
        (b"x-accel-buffering", b"no"),
    ],
}
_END: Message = {"type": "http.response.body", "body": b""}
_COMMENT = b":\n\n"
_COMPLETE = b"event: complete\ndata: \n\n"


class _Over(Exception):
    """Nobody is to be told any more."""


async def stream(answers: AsyncGenerator[Answer, None], receive: Receive, send: Send, closing: asyncio.Event) -> None:
    """Until the operation has ended, its reader has left or the server is closing.

    A reader who is told nothing of an end (`complete`) comes again.
    """
    await send(_START)
    await send(_part(_COMMENT))  # some browsers take a stream for open only once it has said something
    try:
        async with asyncio.TaskGroup() as group:
            beside = (group.create_task(_left(receive)), group.create_task(_beating(send, closing)))
            async with aclosing(answers):
                async for answer in answers:
                    await send(_part(b"event: next\ndata: " + answer.encoded() + b"\n\n"))
            await send(_part(_COMPLETE))
            for task in beside:
                task.cancel()
    except* _Over:
        pass
    await send(_END)


async def announce(send: Send) -> None:
    """What HEAD is told of a stream."""
    await send(_START)
    await send(_END)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _Over


async def _beating(send: Send, closing: asyncio.Event) -> None:
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await closing.wait()
        except TimeoutError:
            await send(_part(_COMMENT))
        else:
            raise _Over


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}

"""Prints what happens to every charge, each event once, and comes back when the line breaks: graphql-transport-ws."""

import asyncio
import contextlib
import json
import os
import random
import sys

import websockets

CHARGES = """
subscription ($after: ID) {
  sessionUpdates(after: $after) { kind eventId session { id station { identity } status energyWh powerW } }
}
"""
AGAIN = {"RESYNC", "UNAVAILABLE", "TIMEOUT", "INTERNAL"}  # of errors: how it is may be otherwise in a while
FOR_GOOD = {1009, 4400, 4401, 4403, 4406, 4409}  # of closes: it would end the same way again


class Refused(Exception):
    """The server will not answer differently if it is asked again."""


async def followed(url, credential, query):
    """Items, for ever: how things are, then the news. After a break, what was missed, or how things are by then."""
    after = None
    async for socket in websockets.connect(url, subprotocols=["graphql-transport-ws"], max_size=None):
        with contextlib.suppress(websockets.ConnectionClosed):
            await send(socket, type="connection_init", payload={"Authorization": f"Bearer {credential}"})
            async for frame in socket:
                match json.loads(frame):
                    case {"type": "ping"}:
                        await send(socket, type="pong")
                    case {"type": "connection_ack"}:
                        await subscribe(socket, query, after)
                    case {"type": "next", "payload": {"data": {**fields}}}:
                        (item,) = fields.values()
                        after = item["eventId"] or after
                        yield item
                    case {"type": "error", "payload": errors}:
                        check(errors)
                        await pause()
                        await subscribe(socket, query, after)
        if socket.close_code in FOR_GOOD:
            raise Refused(f"{socket.close_code} {socket.close_reason}")
        await pause()


def check(errors):
    for error in errors:
        if error["extensions"]["code"] not in AGAIN:
            raise Refused(error["message"])


async def pause():
    """With some chance in it: when a server restarts, everybody comes again."""
    await asyncio.sleep(random.uniform(0, 2))


async def subscribe(socket, query, after):
    await send(socket, id="1", type="subscribe", payload={"query": query, "variables": {"after": after}})


async def send(socket, **message):
    await socket.send(json.dumps(message))


async def main(url):
    async for update in followed(url, os.environ["VOLTGRAPH_CREDENTIAL"], CHARGES):
        print(json.dumps(update), flush=True)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main(sys.argv[1]))

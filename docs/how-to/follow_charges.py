"""Prints every charge as it changes, and comes back when the line breaks: graphql-transport-ws in one file."""

import asyncio
import contextlib
import json
import os
import sys

import websockets

CHARGES = """
subscription { sessionUpdates { kind session { id station { identity } status energyWh powerW } } }
"""


class Refused(Exception):
    """The server will not answer differently if it is asked again."""


async def subscribed(url, credential, query, variables=None):
    """The data of each item, for ever. After a break the server begins with how things are now."""
    async for socket in websockets.connect(url, subprotocols=["graphql-transport-ws"], max_size=None):
        try:
            await send(socket, type="connection_init", payload={"Authorization": f"Bearer {credential}"})
            async for frame in socket:
                message = json.loads(frame)
                match message["type"]:
                    case "connection_ack":
                        await subscribe(socket, query, variables)
                    case "ping":
                        await send(socket, type="pong")
                    case "next":
                        check(message["payload"].get("errors", []))
                        if message["payload"]["data"] is not None:
                            yield message["payload"]["data"]
                    case "error":
                        check(message["payload"])
                    case "complete":
                        await subscribe(socket, query, variables)  # RESYNC, or the server restarts
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None and 4400 <= closed.rcvd.code < 4500:
                raise Refused(closed.rcvd.reason or f"closed with {closed.rcvd.code}") from None


def check(errors):
    for error in errors:
        if error.get("extensions", {}).get("code") != "RESYNC":
            raise Refused(error["message"])


async def subscribe(socket, query, variables):
    await send(socket, id="1", type="subscribe", payload={"query": query, "variables": variables})


async def send(socket, **message):
    await socket.send(json.dumps(message))


async def main(url):
    async for data in subscribed(url, os.environ["VOLTGRAPH_CREDENTIAL"], CHARGES):
        print(json.dumps(data["sessionUpdates"]), flush=True)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main(sys.argv[1]))

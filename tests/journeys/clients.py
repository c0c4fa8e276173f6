"""An operator's client: GraphQL over HTTP and over graphql-transport-ws, with libraries that know nothing of us."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import httpx2
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.journeys.servers import Server

GUARD_S = 30.0


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer, and the credential of an administrator of theirs."""

    slug: str
    secret: str

    @classmethod
    def made(cls, server: Server) -> Self:
        """By the command line, beside a server or on what would be its database."""
        slug = f"acme-{uuid4().hex[-8:]}"
        server.said("tenant", "create", slug)
        return cls(slug, server.said("credential", "create", "--tenant", slug, "--role", "ADMIN"))


class Refused(Exception):
    """A subscription that ended with errors; `codes` are theirs."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors)
        self.codes = _codes(errors)


class Operator:
    """Somebody with a credential, or without; `async with`, since it keeps its connection to one process."""

    def __init__(self, url: str, secret: str | None) -> None:
        self.url = url
        self.secret = secret
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        one = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
        self._http = httpx2.AsyncClient(headers=headers, limits=one, timeout=GUARD_S + 30)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._http.aclose()

    async def post(self, query: str, **variables: Any) -> httpx2.Response:
        return await self._http.post(f"{self.url}/graphql", json={"query": query, "variables": variables})

    async def get(self, path: str) -> httpx2.Response:
        return await self._http.get(f"{self.url}{path}")

    async def ask(self, query: str, **variables: Any) -> Any:
        """What an operation answers; an error fails the test. The one field's value where there is one."""
        answer = (await self.post(query, **variables)).json()
        assert not answer.get("errors"), answer["errors"]
        return _alone(answer["data"])

    async def codes(self, query: str, **variables: Any) -> list[str]:
        """The codes of the errors that an operation answers."""
        return _codes((await self.post(query, **variables)).json().get("errors") or [])

    async def token(self, **given: Any) -> str:
        """The uid of a new one."""
        fresh = {"uid": uuid4().hex[:12].upper(), **given}
        created = await self.ask(
            "mutation ($input: CreateTokenInput!) { createToken(input: $input) { uid } }", input=fresh
        )
        return str(created["uid"])

    async def station(self, identity: str, fields: str = "id") -> Any:
        return await self.ask(
            f"query ($identity: String!) {{ stationByIdentity(identity: $identity) {{ {fields} }} }}", identity=identity
        )

    async def port(self) -> int:
        """Ours, of the connection that the next request will use too."""
        stream = (await self.get("/health")).extensions["network_stream"]
        return int(stream.get_extra_info("client_addr")[1])

    @asynccontextmanager
    async def watching(
        self, subscription: str, *, over: socket.socket | None = None, **variables: Any
    ) -> AsyncIterator["Stream"]:
        """A subscription on a socket of its own, from its acknowledgement on."""
        async with connect(
            f"{self.url.replace('http', 'ws', 1)}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            max_size=None,
            max_queue=None,  # else a close behind much unread news would not be seen
            proxy=None,
            sock=over,
        ) as connection:
            stream = Stream(connection)
            authorization = {} if self.secret is None else {"Authorization": f"Bearer {self.secret}"}
            await stream.say(type="connection_init", payload=authorization)
            assert (await stream.heard())["type"] == "connection_ack"
            await stream.say(id=uuid4().hex, type="subscribe", payload={"query": subscription, "variables": variables})
            yield stream


class Stream:
    """Items of one subscription, the one field's value each."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[Any] = []

    async def next(self) -> Any:
        """The next item, in time; `Refused` where it ends with errors."""
        while True:
            message = await self.heard()
            match message["type"]:
                case "ping":
                    await self.say(type="pong")
                case "next":
                    if message["payload"].get("errors"):
                        raise Refused(message["payload"]["errors"])
                    self.seen.append(_alone(message["payload"]["data"]))
                    return self.seen[-1]
                case "error":
                    raise Refused(message["payload"])
                case "complete":
                    raise StopAsyncIteration

    async def until(self, wanted: Callable[[Any], object]) -> Any:
        """The first item from here on that is wanted."""
        while True:
            item = await self.next()
            if wanted(item):
                return item

    async def ended(self) -> int:
        """The code with which the server hangs up, whatever it says before."""
        with suppress(ConnectionClosed):
            while True:
                await self.heard()
        assert self.connection.close_code is not None
        return self.connection.close_code

    async def say(self, **message: Any) -> None:
        await self.connection.send(orjson.dumps(message).decode())

    async def heard(self) -> Any:
        async with asyncio.timeout(GUARD_S):
            return orjson.loads(await self.connection.recv())


def _alone(data: Any) -> Any:
    return next(iter(data.values())) if isinstance(data, dict) and len(data) == 1 else data


def _codes(errors: list[dict[str, Any]]) -> list[str]:
    return [error.get("extensions", {}).get("code", "") for error in errors]

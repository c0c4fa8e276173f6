"""Who is subscribed to, ours and stock, and how each is told of news."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import orjson
from uuid_utils.compat import uuid7

from bench.graphql_schema import UNLIMITED
from bench.graphql_servers import bare
from bench.http_load import post
from bench.serving import Server, data_folder, server
from bench.subscriptions_stock import BEFORE
from bench.ws_load import Crowd, Numbers
from domain import points
from domain.actor import system
from domain.bus import Message
from domain.points import LatestReading, Owner, OwnerKind, Quality, Reading
from domain.points.news import Live, messages
from voltgraph.database import plain_url
from voltgraph.embedded import Urls, find
from voltgraph.settings import Settings
from voltgraph.wiring import House

OURS, STOCK = "ours", "stock"
RICH = {f"VOLTGRAPH_GRAPHQL_{name}": str(UNLIMITED) for name in ("COST_MAX", "BUDGET_PER_S", "BUDGET_BURST")}
DOCUMENT = """
subscription Points($addresses: [String!]) {
  pointUpdates(addresses: $addresses) { address at text quality value }
}"""
MARK = b'"value":'  # the last field, so that a brace follows
PUBLISHED_AT_ONCE = 1_000


@dataclass(frozen=True)
class Feed:
    """The points of one owner, which are one topic."""

    owner_id: UUID
    addresses: tuple[str, ...]

    @classmethod
    def of(cls, name: str, number_of_points: int) -> "Feed":
        return cls(uuid7(), tuple(f"bench/{name}/{number}" for number in range(number_of_points)))

    @property
    def payload(self) -> dict[str, Any]:
        return {"query": DOCUMENT, "variables": {"addresses": self.addresses}}


News = tuple[Feed, str, int]  # of whom, the address, and the number that it is told by


class Side(Protocol):
    """A server under load. What is told is made ready before the clock runs."""

    server: Server
    numbers: Numbers

    def crowd(self) -> Crowd: ...

    def ready(self, news: Iterable[News]) -> Sequence[Any]: ...

    async def tell(self, ready: Sequence[Any]) -> None: ...


@dataclass
class Ours:
    """`voltgraph serve` as it is; told over Redis by another process, which is this one."""

    server: Server
    house: House
    tenant_id: UUID
    numbers: Numbers = field(default_factory=lambda: Numbers(MARK))

    def crowd(self) -> Crowd:
        return Crowd(self.server.port, self.numbers, self.server.secret)

    async def know(self, feeds: Sequence[Feed]) -> None:
        """Each point has a value, which whoever subscribes is told first."""
        actor, now = system(self.tenant_id), datetime.now(UTC)
        for feed in feeds:
            owner = Owner(OwnerKind.STATION, feed.owner_id)
            async with self.house.workplace.open_work(actor) as work:
                await points.record(work, [Reading(address, now, BEFORE) for address in feed.addresses], owner=owner)

    def ready(self, news: Iterable[News]) -> Sequence[Message]:
        return [self._message(feed, address, number) for feed, address, number in news]

    async def tell(self, ready: Sequence[Message]) -> None:
        for start in range(0, len(ready), PUBLISHED_AT_ONCE):
            await self.house.bus.publish(list(ready[start : start + PUBLISHED_AT_ONCE]))

    def _message(self, feed: Feed, address: str, number: int) -> Message:
        latest = LatestReading(feed.owner_id, datetime.now(UTC), float(number), None, Quality.GOOD)
        (message,) = messages(self.tenant_id, [Live(address, feed.owner_id, latest)])
        return message


@dataclass
class Stock:
    """Told by requests of which each brings as much as there is."""

    server: Server
    numbers: Numbers = field(default_factory=lambda: Numbers(MARK))

    def crowd(self) -> Crowd:
        return Crowd(self.server.port, self.numbers)

    def ready(self, news: Iterable[News]) -> Sequence[bytes]:
        told = [(address, float(number)) for _, address, number in news]
        parts = (told[start : start + PUBLISHED_AT_ONCE] for start in range(0, len(told), PUBLISHED_AT_ONCE))
        return [post("/tell", orjson.dumps(part), connection="close") for part in parts]

    async def tell(self, ready: Sequence[bytes]) -> None:
        for request in ready:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            writer.write(request)
            assert (await reader.read()).startswith(b"HTTP/1.1 204 ")
            writer.close()


@asynccontextmanager
async def ours(redis_url: str = "", **settings: str) -> AsyncIterator[Ours]:
    """On Valkey of its own, or the Redis that is named."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(data_folder())
        named = {"VOLTGRAPH_REDIS_URL": redis_url} if redis_url else {}
        running = stack.enter_context(server(folder, settings={**RICH, **named, **settings}))
        urls = _urls(folder, redis_url)
        house = await stack.enter_async_context(
            House.built(Settings(database_url=urls.database, redis_url=urls.redis, secret_key="only for benchmarks"))
        )
        yield Ours(running, house, await _tenant_id(urls))


@asynccontextmanager
async def stock() -> AsyncIterator[Stock]:
    with bare(program="bench.subscriptions_stock") as running:
        yield Stock(running)


def _urls(folder: Path, redis_url: str) -> Urls:
    urls = find(folder)
    assert urls is not None
    return urls._replace(redis=redis_url or urls.redis)


async def _tenant_id(urls: Urls) -> UUID:
    connection = await asyncpg.connect(plain_url(urls.database_owner))
    try:
        return UUID(str(await connection.fetchval("select id from tenant where slug = 'bench'")))
    finally:
        await connection.close()

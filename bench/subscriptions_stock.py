"""Stock Strawberry, asked for the same: `pointUpdates` with the types of our own schema, on plain queues in its own
process, without Redis, limits or a credential. Run as a module it is a process of its own."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL

from domain import points
from domain.points import Quality
from schema.points import PointUpdate

BEFORE = -1.0  # the value of a point of which nothing was told yet

QUEUES: dict[str, list[asyncio.Queue[points.PointUpdate]]] = defaultdict(list)


@strawberry.type
class Query:
    greeting: str = "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def point_updates(self, addresses: list[str] | None = None) -> AsyncIterator[PointUpdate]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        for address in addresses or ():
            QUEUES[address].append(queue)
        try:
            for address in addresses or ():
                yield cast("PointUpdate", _update(address, BEFORE))
            while True:
                yield await queue.get()
        finally:
            for address in addresses or ():
                QUEUES[address].remove(queue)


def _update(address: str, value: float) -> points.PointUpdate:
    return points.PointUpdate(address, datetime.now(UTC), value, None, Quality.GOOD)


async def tell(request: Request) -> Response:
    """Addresses and values; each is read once, however many listen."""
    for address, value in await request.json():
        update = _update(address, value)
        for queue in QUEUES[address]:
            queue.put_nowait(update)
    return Response(status_code=204)


if __name__ == "__main__":
    from bench.graphql_servers import serve_bare

    graphql: Any = GraphQL(strawberry.Schema(query=Query, subscription=Subscription))
    serve_bare([WebSocketRoute("/graphql", graphql), Route("/tell", tell, methods=["POST"])])

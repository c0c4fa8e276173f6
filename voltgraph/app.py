"""The application: every address on one port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

import schema
from gateways.graphql import Executor, GraphQLView, extensions
from resolvers.context import context
from schema import limits
from voltgraph.auth import authenticate
from voltgraph.health import detailed, health
from voltgraph.metrics import metrics
from voltgraph.settings import Settings
from voltgraph.wiring import House

log = structlog.get_logger()

_BODY_MAX_BYTES = 1_000_000


def built_schema() -> schema.Schema:
    """The schema with the engine that runs it."""
    return schema.build(executor=Executor, extensions=extensions(tokens=limits.TOKENS, depth=limits.DEPTH))


def create_app(settings: Settings) -> Starlette:
    """The ASGI application of one process; its house is built when it starts and taken down when it stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with House.built(settings) as house, house.serving():
            app.state.house = house
            graphql = GraphQLView(
                built_schema(),
                authenticate=partial(authenticate, house.workplace),
                context=partial(context, house.workplace),
                allowed_origins=settings.allowed_origins,
            )
            app.router.routes[:] = [
                Route("/", _front_door),
                Route("/health", health),
                Route("/health/detailed", detailed),
                Route("/metrics", metrics),
                Route("/graphql", graphql),
                WebSocketRoute("/graphql", graphql),
                house.stations.route,
            ]
            yield

    return Starlette(lifespan=lifespan, max_body_size=_BODY_MAX_BYTES)


async def _front_door(_request: Request) -> Response:
    return RedirectResponse("/graphql")

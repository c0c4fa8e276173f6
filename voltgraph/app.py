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
from gateways.graphql import Engine, Executor, GraphQLView, Ide, Limits, Purse, Tracer
from resolvers.context import context
from voltgraph.headers import BrowserHeaders
from voltgraph.health import detailed, health
from voltgraph.metrics import metrics
from voltgraph.rights import rights
from voltgraph.settings import Settings
from voltgraph.tracing import tracing
from voltgraph.wiring import House

log = structlog.get_logger()

_BODY_MAX_BYTES = 2_000_000  # of any request; /graphql has a smaller limit of its own, and tells more of it


def built_engine(*, limits: Limits | None = None, purse: Purse | None = None, tracing: Tracer | None = None) -> Engine:
    """The schema in the engine that runs it."""
    return Engine(schema.build(executor=Executor), limits=limits, purse=purse, tracing=tracing)


def create_app(settings: Settings) -> Starlette:
    """The ASGI application of one process; its house is built when it starts and taken down when it stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with tracing(settings) as spans, House.built(settings) as house, house.serving():
            app.state.house = house
            ide = Ide() if settings.graphiql else None
            graphql = GraphQLView(
                built_engine(limits=Limits(cost=settings.graphql_cost_max), purse=house.purse, tracing=spans),
                authenticate=house.door,
                context=partial(context, house.workplace),
                rights=rights(settings),
                allowed_origins=settings.allowed_origins,
                ide=ide,
            )
            app.state.graphql = graphql
            app.router.routes[:] = [
                Route("/", _front_door),
                Route("/health", health),
                Route("/health/detailed", detailed),
                Route("/metrics", metrics),
                Route("/graphql", graphql),
                WebSocketRoute("/graphql", graphql),
                *([ide.route] if ide else []),
                house.stations.route,
            ]
            yield

    app = Starlette(lifespan=lifespan, max_body_size=_BODY_MAX_BYTES)
    app.middleware_stack = BrowserHeaders(app.build_middleware_stack(), allowed_origins=settings.allowed_origins)
    return app


async def _front_door(_request: Request) -> Response:
    return RedirectResponse("/graphql")

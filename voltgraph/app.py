"""The application: every address on one port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry import Schema

import schema
from gateways import files
from gateways.graphql import Engine, Executor, GraphQLView, Ide, Limits, Purse, Terms, Tracer, Trusted
from resolvers.context import context
from voltgraph.documents import trusted_documents
from voltgraph.headers import BrowserHeaders
from voltgraph.health import detailed, health
from voltgraph.metrics import metrics
from voltgraph.rights import rights
from voltgraph.settings import Settings
from voltgraph.tracing import tracing
from voltgraph.wiring import House

log = structlog.get_logger()

_BODY_MAX_BYTES = 2_000_000  # of any request; /graphql has a smaller limit of its own, and tells more of it


def built_engine(
    *,
    graph: Schema | None = None,
    limits: Limits | None = None,
    purse: Purse | None = None,
    tracing: Tracer | None = None,
    trusted: Trusted | None = None,
) -> Engine:
    """The schema in the engine that runs it; `trusted` is of the same one."""
    graph = graph or schema.build(executor=Executor)
    return Engine(graph, limits=limits, purse=purse, tracing=tracing, trusted=trusted)


def create_app(settings: Settings) -> Starlette:
    """The ASGI application of one process; its house is built when it starts and taken down when it stops.

    Raises `SettingsError` for documents that cannot be run.
    """
    graph, limits = schema.build(executor=Executor), Limits(cost=settings.graphql_cost_max)
    trusted = trusted_documents(settings, graph, limits)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with tracing(settings) as spans, House.built(settings) as house, house.serving():
            app.state.house = house
            ide = Ide() if settings.graphiql else None
            graphql = GraphQLView(
                built_engine(graph=graph, limits=limits, purse=house.purse, tracing=spans, trusted=trusted),
                authenticate=house.door,
                context=partial(context, house.workplace),
                rights=rights(settings),
                allowed_origins=settings.allowed_origins,
                ide=ide,
                terms=_terms(settings),
                operations_per_socket=settings.graphql_operations_per_socket,
                clock=house.workplace.clock,
            )
            house.door.tell(graphql.sockets.revoked)
            app.state.graphql = graphql
            doorman = app.state.files = files.Doorman(house.door, house.workplace.clock)
            house.door.tell(doorman.revoked)
            app.router.routes[:] = [
                Route("/", _front_door),
                Route("/health", health),
                Route("/health/detailed", detailed),
                Route("/metrics", metrics),
                *([ide.route] if ide else []),
                house.stations.route,
                *files.routes(house.workplace, doorman),
            ]
            yield

    app = Starlette(lifespan=lifespan, max_body_size=_BODY_MAX_BYTES)
    inner = _GraphQLFirst(app.state, app.build_middleware_stack())
    app.middleware_stack = BrowserHeaders(inner, allowed_origins=settings.allowed_origins)
    return app


class _GraphQLFirst:
    """Past Starlette, which takes a tenth of a small query's time to find its way and refuses large bodies in prose."""

    def __init__(self, state: State, otherwise: ASGIApp) -> None:
        self._state = state
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self._otherwise if scope.get("path") != "/graphql" else self._state.graphql
        await app(scope, receive, send)


def _terms(settings: Settings) -> Terms:
    """Of sockets and event streams; 0 is no limit."""
    return Terms(
        connections_per_caller=settings.graphql_sockets_per_credential or None,
        operations_per_caller=settings.graphql_operations_per_credential or None,
        messages_per_s=settings.graphql_messages_per_s or None,
        ping_s=settings.graphql_ping_s or None,
        idle_s=settings.graphql_idle_s or None,
        lifetime_s=settings.graphql_lifetime_s or None,
    )


async def _front_door(_request: Request) -> Response:
    return RedirectResponse("/graphql")

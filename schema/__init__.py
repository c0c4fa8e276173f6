"""What the world sees: types only. What comes in is typed at the door, in `resolvers/`, by the same names."""

from typing import Any

import strawberry
from graphql import GraphQLError
from graphql.execution import Executor
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext

from resolvers.context import Context
from schema.commands import CommandMutation, CommandQuery, CommandSubscription
from schema.credentials import CredentialMutation, CredentialQuery
from schema.errors import show
from schema.history import HistoryQuery
from schema.imports import ImportMutation, ImportQuery, ImportSubscription
from schema.local_lists import LocalListMutation
from schema.locations import LocationMutation, LocationQuery
from schema.meters import MeterMutation, MeterQuery
from schema.points import PointMutation, PointQuery, PointSubscription
from schema.reservations import ReservationMutation, ReservationQuery, ReservationSubscription
from schema.scalars import SCALARS
from schema.security_events import SecurityEventQuery
from schema.sessions import SessionMutation, SessionQuery, SessionSubscription
from schema.station_log import StationLogQuery, StationLogSubscription
from schema.stations import StationMutation, StationQuery, StationSubscription
from schema.tenants import TenantMutation
from schema.tokens import TokenMutation, TokenQuery
from schema.users import UserQuery
from schema.virtual_points import VirtualPointMutation


@strawberry.type(description="What can be asked. A field that fails answers null and an error; its siblings answer.")
class Query(
    StationQuery,
    StationLogQuery,
    SecurityEventQuery,
    SessionQuery,
    ReservationQuery,
    TokenQuery,
    LocationQuery,
    MeterQuery,
    PointQuery,
    HistoryQuery,
    ImportQuery,
    CommandQuery,
    CredentialQuery,
    UserQuery,
):
    pass


@strawberry.type(description="What can be done. Each field is a transaction of its own.")
class Mutation(
    StationMutation,
    SessionMutation,
    ReservationMutation,
    TokenMutation,
    LocationMutation,
    MeterMutation,
    LocalListMutation,
    PointMutation,
    ImportMutation,
    VirtualPointMutation,
    CommandMutation,
    CredentialMutation,
    TenantMutation,
):
    pass


@strawberry.type(
    description="What can be followed: first how things are, then every change. It ends with the code RESYNC where the "
    "reader was too slow: subscribe again."
)
class Subscription(
    StationSubscription,
    StationLogSubscription,
    SessionSubscription,
    ReservationSubscription,
    PointSubscription,
    ImportSubscription,
    CommandSubscription,
):
    pass


class Schema(strawberry.Schema):
    """Shows errors as `schema.errors` has it, wherever in an operation they came from."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        context = execution_context.context if execution_context is not None else None
        actor = context.actor if isinstance(context, Context) else None
        for error in errors:
            show(error, tenant=None if actor is None else str(actor.tenant_id))


def build(*, executor: type[Executor[Any]] | None = None) -> Schema:
    """The schema, with the executor that is to run it."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        execution_context_class=executor,
        config=StrawberryConfig(scalar_map=SCALARS),
    )

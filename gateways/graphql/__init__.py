"""GraphQL over HTTP, WebSocket and SSE. Knows Strawberry, not our schema."""

from gateways.graphql.budget import Budget as Budget
from gateways.graphql.budget import Purse as Purse
from gateways.graphql.engine import Answer as Answer
from gateways.graphql.engine import Call as Call
from gateways.graphql.engine import Engine as Engine
from gateways.graphql.engine import Rights as Rights
from gateways.graphql.engine import Tracer as Tracer
from gateways.graphql.executor import Executor as Executor
from gateways.graphql.ide import Ide as Ide
from gateways.graphql.limits import Limits as Limits
from gateways.graphql.manifest import BadManifest as BadManifest
from gateways.graphql.sockets import Departure as Departure
from gateways.graphql.sockets import Terms as Terms
from gateways.graphql.trusted import Mode as Mode
from gateways.graphql.trusted import Trusted as Trusted
from gateways.graphql.view import GraphQLView as GraphQLView

"""GraphQL over HTTP, WebSocket and SSE. Knows Strawberry, not our schema."""

from gateways.graphql.executor import Executor as Executor
from gateways.graphql.extensions import extensions as extensions
from gateways.graphql.view import GraphQLView as GraphQLView

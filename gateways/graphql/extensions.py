"""What the engine adds to a schema."""

from collections.abc import Callable
from functools import partial

from strawberry.extensions import SchemaExtension

from gateways.graphql.limits import Limits
from gateways.graphql.metrics import Metrics


def extensions(*, tokens: int, depth: int) -> list[Callable[[], SchemaExtension]]:
    """For `schema.build(extensions=…)`: metrics outermost, so that they see how an operation ended."""
    return [Metrics, partial(Limits, tokens=tokens, depth=depth)]

"""The executor as the fields that it executes know it."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from graphql import GraphQLObjectType
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

# Where in the answer: a `Path` or, because making one costs ten times as much, a plain tuple of the same three.
Where: TypeAlias = tuple[Any, str | int, str | None] | Path | None


class Selected(Protocol):
    """What is selected of an object: completes one at a time."""

    complete: "CompleteAt"

    def warm(self, uses: int) -> "CompleteAt":
        """`complete`, to be called that many times."""
        ...


class Execution(StrawberryGraphQLCoreExecutionContext):
    introspection: Exception | None = None
    """What `__schema` answers where it is not allowed; `__type` then knows none."""

    def selection(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Selected:
        """What the operation selects of objects of this type in these fields."""
        raise NotImplementedError


CompleteAt = Callable[[Execution, Any, Where], Any]

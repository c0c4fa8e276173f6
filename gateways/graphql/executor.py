"""What graphql-core's executor gets wrong for operations that live long."""

from typing import Any, Protocol, Self

from graphql.execution import Executor as CoreExecutor
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext


class Forkable(Protocol):
    """A context as the engine knows it."""

    def fork(self) -> Self:
        """The same caller with nothing remembered."""
        ...


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Gives every operation and every event of a subscription a context of its own, so that no loader outlives one.

    graphql-core 3.3 remembers sub-selections by the identity of lists that it makes anew for each event, in one
    dictionary for all of them, which therefore grows for as long as the subscription lives; an event gets its own here.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_value = _forked(self.context_value)

    def build_per_event_executor(self, payload: Any) -> CoreExecutor[Any]:
        executor = super().build_per_event_executor(payload)
        executor.context_value = _forked(self.context_value)
        executor._relevant_sub_fields = {}  # noqa: SLF001
        return executor


def _forked(context: Forkable | None) -> Forkable | None:
    return None if context is None else context.fork()

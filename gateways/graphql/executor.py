"""graphql-core's executor, with what it finds out anew for each execution, event and item found out once."""

from collections.abc import Awaitable
from copy import copy
from functools import cached_property
from typing import Any, Protocol, Self, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfoHelpers,
    OperationType,
)
from graphql.execution import Executor as CoreExecutor
from graphql.execution import default_field_resolver, default_type_resolver
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.executor import CollectedErrors
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry.execution import optimized_is_awaitable

from gateways.graphql.completion import SETTLED, failed
from gateways.graphql.execution import Execution
from gateways.graphql.fields import GUARDED
from gateways.graphql.plans import INCREMENTAL, Plan, Variant
from gateways.graphql.selections import Selection


class Forkable(Protocol):
    """A context as the engine knows it."""

    def fork(self) -> Self:
        """The same caller with nothing remembered."""
        ...


class Executor(Execution):
    """Gives every operation and every event of a subscription a context of its own, so that no loader outlives one.

    Executes by a `Plan`'s selections; as graphql-core does where something stands between field and resolver
    (middleware), where parts are delivered later (`@defer`, `@stream`), and where errors do not propagate.
    """

    variant: Variant | None
    is_planned: bool
    is_untouched = False
    """It has executed, called no resolver and met no error, so that nothing is left in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_value = _forked(self.context_value)
        self.__dict__.pop("async_helpers")
        self.is_planned = (
            self.error_propagation
            and self.abort_signal is None
            and not getattr(self.middleware_manager, "middlewares", ())
            and not any(map(self.schema.get_directive, INCREMENTAL))
        )
        self._begin(Variant())

    @classmethod
    def of(
        cls,
        plan: Plan,
        *,
        context: Any,
        variables: dict[str, Any] | None = None,
        root: Any = None,
        introspection: Exception | None = None,
        hide_suggestions: bool = False,
    ) -> Self | list[GraphQLError]:
        """The list is what is wrong with the variables. `introspection`: see `Execution`."""
        values = plan.coerced(variables or {}, hide_suggestions=hide_suggestions)
        if isinstance(values, list):
            return values
        made: Self | None = plan.prepared.get(cls)
        if made is None:
            made = plan.prepared[cls] = cls._prepared(plan)
        executor = copy(made)
        executor.root_value = root
        executor.context_value = _forked(context)
        executor.variable_values = values
        executor.introspection = introspection
        executor.hide_suggestions = hide_suggestions
        executor._begin(plan.variant(values))  # noqa: SLF001
        return executor

    @classmethod
    def _prepared(cls, plan: Plan) -> Self:
        """What executors of a plan have in common: graphql-core's constructor takes longer than a small query."""
        made = cls(
            plan.schema,
            plan.fragment_definitions,
            plan.fragments,
            None,
            None,
            plan.operation,
            VariableValues({}, {}),
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=optimized_is_awaitable,
        )
        made.is_planned = made.is_planned and not plan.is_incremental
        return made

    def _begin(self, variant: Variant) -> None:
        """All that an execution changes is its own: the attributes that the constructors of graphql-core make, again.

        Private to it: `_relevant_sub_fields`, its memo of sub-selections by the identity of the list of their fields.
        Here the lists are the variant's, and so is the memo. Elsewhere every event has one of its own: its lists are
        new each time, and one memo for all of them would grow for as long as the subscription lives.
        """
        self.collected_errors = CollectedErrors()
        self.pending_incremental_futures = set()
        self.background_futures = set()
        self.groups = []
        self.tasks = []
        self.streams = []
        self.variant = variant if self.is_planned else None
        self._relevant_sub_fields = variant.memo if self.is_planned else {}

    def selection(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Selection:
        return cast("Variant", self.variant).selection(self, type_, details)

    def for_event(self, payload: Any) -> Self:
        """The next event's: itself where the last has left nothing in it."""
        executor = self if self.is_untouched else cast("Self", self.build_per_event_executor(payload))
        executor.root_value = payload
        executor.is_untouched = False
        return executor

    def build_per_event_executor(self, payload: Any) -> CoreExecutor[Any]:
        executor = super().build_per_event_executor(payload)
        executor.context_value = _forked(self.context_value)
        if self.variant is None:
            executor._relevant_sub_fields = {}  # noqa: SLF001  # as in `_begin`
        return executor

    def __copy__(self) -> Self:
        """What `copy` does, which every request and event waits for, at a third of the time."""
        executor = self.__class__.__new__(self.__class__)
        executor.__dict__.update(self.__dict__)
        executor.__dict__.pop("async_helpers", None)
        return executor

    @cached_property
    def async_helpers(self) -> GraphQLResolveInfoHelpers:  # type: ignore[override]
        """Made when a resolver is called: they refer to the executor, which then has to wait for garbage collection."""
        return GraphQLResolveInfoHelpers(gather=self.gather_async_work, track=self.track_async_work)

    def build_response(self, data: dict[str, Any] | None) -> Any:
        if self.variant is None:
            return super().build_response(data)
        helpers = self.__dict__.pop("async_helpers", None)
        if self.hooks is not None:
            self.run_async_work_finished_hook()
        errors = self.collected_errors.errors or None
        self.is_untouched = helpers is None and errors is None
        return ExecutionResult(data, errors)

    def execute_operation(self, serially: bool | None = None) -> Any:
        if self.variant is None:
            return super().execute_operation(serially)
        if serially is None:
            serially = self.operation.operation is OperationType.MUTATION
        try:
            root = self.variant.root(self)
            data = root.serially(self, self.root_value) if serially else root.complete(self, self.root_value, None)
        except GraphQLError as error:
            self.collected_errors.add(error, None)
            return self.build_response(None)
        return self.build_response(data) if type(data) in SETTLED else self._responds(data)

    async def _responds(self, pending: Awaitable[dict[str, Any]]) -> ExecutionResult | Any:
        try:
            data = await pending
        except GraphQLError as error:
            self.collected_errors.add(error, None)
            return self.build_response(None)
        except Exception:
            self.run_async_work_finished_hook()
            raise
        return self.build_response(data)

    def collect_and_execute_subfields(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        if self.variant is None:
            return super().collect_and_execute_subfields(
                return_type, field_details_list, path, result, position_context
            )
        return self.selection(return_type, field_details_list).complete(self, result, path)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """For graphql-core, where it does not go by a plan."""
        name = field_details_list[0].node.name.value
        field = self.schema.get_field(parent_type, name) if name in GUARDED else None
        if field is not None and self.introspection is not None:
            if name == "__type":
                return None
            return failed(self, self.introspection, field.type, field_details_list, path)
        return super().execute_field(parent_type, source, field_details_list, path, position_context)


def _forked(context: Forkable | None) -> Forkable | None:
    return None if context is None else context.fork()

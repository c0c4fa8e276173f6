"""How values of types with fields are completed, and lists of them: graphql-core's `complete_value`, decided once.

A completer says `SURPRISE`, before anything has been executed, where graphql-core is to complete the value.
"""

from collections.abc import Awaitable, Collection, Sequence
from types import NoneType
from typing import Any, Final, cast

from graphql import GraphQLObjectType, GraphQLOutputType, is_list_type, is_non_null_type, is_object_type
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path, gather_with_cancel

from gateways.graphql.execution import CompleteAt, Execution, Selected, Where
from gateways.graphql.leaves import ORDINARY, SURPRISE, completes

SETTLED: Final = frozenset({dict, list, str, int, float, bool, NoneType})  # nothing to await


def path_of(where: Where) -> Path | None:
    if where is None or type(where) is Path:
        return where
    previous, key, typename = where
    return Path(path_of(previous), key, typename)


def failed(
    executor: Execution, error: Exception, type_: GraphQLOutputType, details: FieldDetailsList, where: Where
) -> None:
    """Null and a collected error; raises where null is not allowed."""
    executor.handle_field_error(error, type_, details, cast("Path", path_of(where)))


def settle(executor: Execution, awaitables: Collection[Awaitable[Any]]) -> None:
    """Siblings of what failed: the answer does not wait for them, but they are not left unawaited."""
    if awaitables:
        executor.settle_in_background([*awaitables])


async def gathered(results: Any, waiting: dict[Any, Awaitable[Any]]) -> Any:
    """The dictionary or list with the values that it waits for. One is awaited without a task."""
    if len(waiting) == 1:
        [(place, awaitable)] = waiting.items()
        results[place] = await awaitable
    else:
        for place, value in zip(waiting, await gather_with_cancel(*waiting.values()), strict=True):
            results[place] = value
    return results


def completes_at(type_: GraphQLOutputType, details: FieldDetailsList) -> CompleteAt | None:
    """For leaves, lists of leaves, objects and lists of objects; None where it takes more to find the type."""
    if (leaf := completes(type_)) is not None:
        return lambda _executor, value, _where: leaf(value)
    some = type_.of_type if is_non_null_type(type_) else type_
    if is_object_type(some) and not some.is_type_of:
        return _null_first(_object(some, details), nullable=some is type_)
    if not is_list_type(some):
        return None
    item = some.of_type.of_type if is_non_null_type(some.of_type) else some.of_type
    if is_object_type(item) and not item.is_type_of:
        return _null_first(_objects(item, some.of_type, details), nullable=some is type_)
    return None


def _null_first(complete: CompleteAt, *, nullable: bool) -> CompleteAt:
    if not nullable:
        return complete
    return lambda executor, value, where: None if value is None else complete(executor, value, where)


def _object(type_: GraphQLObjectType, details: FieldDetailsList) -> CompleteAt:
    selection: Selected | None = None

    def complete(executor: Execution, value: Any, where: Where) -> Any:
        nonlocal selection
        if not ORDINARY[type(value)]:
            return SURPRISE
        if selection is None:
            selection = executor.selection(type_, details)
        return selection.complete(executor, value, where)

    return complete


def _objects(type_: GraphQLObjectType, item_type: GraphQLOutputType, details: FieldDetailsList) -> CompleteAt:
    selection: Selected | None = None
    nulls = frozenset() if is_non_null_type(item_type) else frozenset([NoneType])

    def complete(executor: Execution, values: Any, where: Where) -> Any:
        nonlocal selection
        if type(values) is not list and type(values) is not tuple:
            return SURPRISE
        if not all(map(ORDINARY.__getitem__, {*map(type, values)} - nulls)):
            return SURPRISE
        if not values:
            return []
        if selection is None:
            selection = executor.selection(type_, details)
        return _Items(executor, selection.warm(len(values)), where, item_type, details).complete(values)

    return complete


class _Items:
    """One list of objects, as it is completed."""

    def __init__(
        self,
        executor: Execution,
        complete: CompleteAt,
        where: Where,
        item_type: GraphQLOutputType,
        details: FieldDetailsList,
    ) -> None:
        self._executor = executor
        self._complete = complete
        self._where = where
        self._item_type = item_type
        self._details = details

    def complete(self, values: Sequence[Any]) -> Any:
        executor, complete, where = self._executor, self._complete, self._where
        results: list[Any] = []
        append = results.append
        items = iter(enumerate(values))
        while True:
            try:
                for index, value in items:
                    append(None if value is None else complete(executor, value, (where, index, None)))
                break
            except Exception as error:
                self._item_failed(error, results)
                append(None)
        if SETTLED.issuperset(map(type, results)):
            return results
        waiting = self._waiting(results)
        return gathered(results, waiting) if waiting else results

    def _item_failed(self, error: Exception, results: list[Any]) -> None:
        try:
            self._failed(error, len(results))
        except Exception:
            settle(self._executor, self._waiting(results).values())
            raise

    def _failed(self, error: Exception, index: int) -> None:
        failed(self._executor, error, self._item_type, self._details, (self._where, index, None))

    def _waiting(self, results: list[Any]) -> dict[int, Awaitable[Any]]:
        is_awaitable = self._executor.is_awaitable
        return {
            index: self._guarded(index, result)
            for index, result in enumerate(results)
            if type(result) not in SETTLED and is_awaitable(result)
        }

    async def _guarded(self, index: int, result: Awaitable[Any]) -> Any:
        try:
            return await result
        except Exception as error:
            return self._failed(error, index)

"""What is selected of an object, ready to be executed as graphql-core's `execute_fields` would."""

from collections.abc import Awaitable
from typing import Any

from graphql import GraphQLObjectType
from graphql.execution.collect_fields import GroupedFieldSet
from graphql.pyutils import async_reduce

from gateways.graphql.compiled import NOTHING, compiled
from gateways.graphql.completion import SETTLED, gathered, settle
from gateways.graphql.execution import CompleteAt, Execution, Where
from gateways.graphql.fields import Field, field_of

HOT = 128  # objects, after which compiling pays: it takes as long as 150 of them take field by field


class Selection:
    """Of objects of one type at one place of a document."""

    def __init__(self, executor: Execution, type_: GraphQLObjectType, grouped: GroupedFieldSet) -> None:
        made = (field_of(executor, type_, key, details) for key, details in grouped.items())
        self._fields = [field for field in made if field is not None]
        self._keys = [field.key for field in self._fields]
        self._uses_left = HOT
        self.complete: CompleteAt = self._walk

    def warm(self, uses: int) -> CompleteAt:
        """`complete`, compiled once that many more uses make up for it."""
        if self._uses_left >= 0:
            self._uses_left -= uses
            if self._uses_left < 0:
                self.complete = compiled(self._fields, self._resume)
        return self.complete

    def _walk(self, executor: Execution, source: Any, where: Where) -> Any:
        self.warm(1)
        return self._resume(executor, source, where, (), NOTHING, {})

    def _resume(
        self,
        executor: Execution,
        source: Any,
        where: Where,
        done: tuple[Any, ...],
        value: Any,
        waiting: dict[str, Awaitable[Any]],
    ) -> Any:
        """Field by field, from the first that is not done; `value` is what has been read for that one, if it has."""
        results = dict(zip(self._keys, done, strict=False))
        try:
            for field in self._fields[len(done) :]:
                if value is NOTHING:
                    result = field.execute(executor, source, where)
                else:
                    result, value = field.finish(executor, value, where), NOTHING
                results[field.key] = result
                if type(result) not in SETTLED and executor.is_awaitable(result):
                    waiting[field.key] = result
        except Exception:
            settle(executor, waiting.values())
            raise
        return gathered(results, waiting) if waiting else results

    def serially(self, executor: Execution, source: Any) -> Any:
        """As the fields of a mutation are."""

        def reducer(results: dict[str, Any], field: Field) -> Any:
            result = results[field.key] = field.execute(executor, source, None)
            if type(result) not in SETTLED and executor.is_awaitable(result):
                return gathered(results, {field.key: result})
            return results

        return async_reduce(reducer, self._fields, {})

"""What is selected of an object, ready to be executed: graphql-core's `execute_fields` with the questions answered
beforehand.

Where values are what the schema says, no `Path` and no `GraphQLResolveInfo` are made for them; where one is not,
graphql-core completes it (`Field._by_the_book`), so that errors, their order and what they null are its own.
"""

from collections.abc import Awaitable, Callable, Iterable
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path, async_reduce, gather_with_cancel
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from gateways.graphql.arguments import arguments_of
from gateways.graphql.leaves import ORDINARY, SURPRISE, completes

if TYPE_CHECKING:
    from gateways.graphql.executor import Executor

# Where in the answer: a `Path` or, because making one costs ten times as much, a plain tuple of the same three.
Where: TypeAlias = "tuple[Any, str | int, str | None] | Path | None"
CompleteAt = Callable[["Executor", Any, Where], Any]

NOTHING: Final = object()
SETTLED: Final = frozenset({dict, list, str, int, float, bool, NoneType})
HOT = 64
GUARDED = frozenset({"__schema", "__type"})


def path_of(where: Where) -> Path | None:
    if where is None or type(where) is Path:
        return where
    previous, key, typename = where
    return Path(path_of(previous), key, typename)


class Field:
    """One that a resolver answers."""

    def __init__(self, parent_type: GraphQLObjectType, key: str, details: FieldDetailsList, field: GraphQLField) -> None:
        self.parent_name = parent_type.name
        self.key = key
        self.return_type = field.type
        self._parent_type = parent_type
        self._details = details
        self._nodes = [one.node for one in details]
        self._definition = field
        self._arguments = arguments_of(field, details[0])
        self._complete = _completes_at(field.type, details)

    def execute(self, executor: "Executor", source: Any, where: Where) -> Any:
        """The value, an awaitable of it, or None and a collected error; raises where null is not allowed."""
        path = Path(path_of(where), self.key, self.parent_name)
        info = self._info(executor, path)
        try:
            value = self._resolve(executor, source, info)
            if not ORDINARY[type(value)] and executor.is_awaitable(value):
                return self._later(executor, value, info)
            completed = self._completed(executor, value, path, info)
            if type(completed) not in SETTLED and executor.is_awaitable(completed):
                return self._guarded(executor, completed, path)
        except Exception as error:  # noqa: BLE001
            return self._failed(executor, error, path)
        return completed

    def finish(self, executor: "Executor", value: Any, where: Where) -> Any:
        """`execute` from the point where the value is known; `where` is that of the object."""
        here = (where, self.key, self.parent_name)
        try:
            completed = SURPRISE if self._complete is None else self._complete(executor, value, here)
            if completed is SURPRISE:
                path = Path(path_of(where), self.key, self.parent_name)
                info = self._info(executor, path)
                if executor.is_awaitable(value):
                    return self._later(executor, value, info)
                completed = executor.complete_value(self.return_type, self._details, info, path, value, None)
            if type(completed) not in SETTLED and executor.is_awaitable(completed):
                return self._guarded(executor, completed, here)
        except Exception as error:  # noqa: BLE001
            return self._failed(executor, error, here)
        return completed

    def _resolve(self, executor: "Executor", source: Any, info: GraphQLResolveInfo) -> Any:
        resolve = self._definition.resolve or executor.field_resolver
        return resolve(source, info, **self._arguments(executor))

    def _info(self, executor: "Executor", path: Path) -> GraphQLResolveInfo:
        return executor.build_resolve_info(self._definition, self._nodes, self._parent_type, path)

    def _completed(self, executor: "Executor", value: Any, path: Path, info: GraphQLResolveInfo) -> Any:
        completed = SURPRISE if self._complete is None else self._complete(executor, value, path)
        if completed is SURPRISE:
            return executor.complete_value(self.return_type, self._details, info, path, value, None)
        return completed

    async def _later(self, executor: "Executor", value: Awaitable[Any], info: GraphQLResolveInfo) -> Any:
        try:
            completed = self._completed(executor, await value, info.path, info)
            if type(completed) not in SETTLED and executor.is_awaitable(completed):
                completed = await completed
        except Exception as error:  # noqa: BLE001
            return self._failed(executor, error, info.path)
        return completed

    async def _guarded(self, executor: "Executor", completed: Awaitable[Any], where: Where) -> Any:
        try:
            return await completed
        except Exception as error:  # noqa: BLE001
            return self._failed(executor, error, where)

    def _failed(self, executor: "Executor", error: Exception, where: Where) -> None:
        path = path_of(where)
        assert path is not None
        executor.handle_field_error(error, self.return_type, self._details, path)


class Attribute(Field):
    """One that is read off the object, as Strawberry does for fields without a resolver."""

    def __init__(
        self, parent_type: GraphQLObjectType, key: str, details: FieldDetailsList, field: GraphQLField, name: str
    ) -> None:
        super().__init__(parent_type, key, details, field)
        self.name = name

    def execute(self, executor: "Executor", source: Any, where: Where) -> Any:
        try:
            value = getattr(source, self.name)
        except Exception as error:  # noqa: BLE001
            return self._failed(executor, error, (where, self.key, self.parent_name))
        return self.finish(executor, value, where)


class Event(Field):
    """The field of a subscription, answered by what was yielded: its arguments were for the stream."""

    def execute(self, executor: "Executor", source: Any, where: Where) -> Any:
        return self.finish(executor, source, where)


class Typename(Field):
    def execute(self, executor: "Executor", source: Any, where: Where) -> Any:
        return self.parent_name


class Introspection(Field):
    """`__schema` and `__type`, which are not for everybody."""

    def execute(self, executor: "Executor", source: Any, where: Where) -> Any:
        if executor.introspection is not None:
            return self._failed(executor, executor.introspection, (where, self.key, self.parent_name))
        return super().execute(executor, source, where)


class Selection:
    """What is selected of objects of one type at one place of a document."""

    def __init__(self, executor: "Executor", type_: GraphQLObjectType, grouped: GroupedFieldSet) -> None:
        made = (_field(executor, type_, key, details) for key, details in grouped.items())
        self.fields = [field for field in made if field is not None]
        self.keys = [field.key for field in self.fields]
        self.complete: CompleteAt = self._walk
        self._uses_left = HOT

    def warm(self, uses: int) -> CompleteAt:
        """`complete`, made for speed where that many uses and those before make up for the making."""
        self._uses_left -= uses
        if self._uses_left < 0:
            self._uses_left = 1 << 62
            from gateways.graphql.compiled import compiled  # it knows the classes above

            self.complete = compiled(self)
        return self.complete

    def _walk(self, executor: "Executor", source: Any, where: Where) -> Any:
        self.warm(1)
        return self.resume(executor, source, where, (), NOTHING, {})

    def resume(
        self,
        executor: "Executor",
        source: Any,
        where: Where,
        done: tuple[Any, ...],
        value: Any,
        waiting: dict[str, Awaitable[Any]],
    ) -> Any:
        """Field by field, from the first that is not done; `value` is what has been read for that one, if it has."""
        results = dict(zip(self.keys, done, strict=False))
        try:
            for field in self.fields[len(done) :]:
                result = (
                    field.execute(executor, source, where)
                    if value is NOTHING
                    else field.finish(executor, value, where)
                )
                value = NOTHING
                results[field.key] = result
                if type(result) not in SETTLED and executor.is_awaitable(result):
                    waiting[field.key] = result
        except Exception:
            settle(executor, waiting.values())
            raise
        return gathered(results, waiting) if waiting else results

    def serially(self, executor: "Executor", source: Any) -> Any:
        """As the fields of a mutation are."""

        def reducer(results: dict[str, Any], field: Field) -> Any:
            result = field.execute(executor, source, None)
            if type(result) not in SETTLED and executor.is_awaitable(result):
                return _added(results, field.key, result)
            results[field.key] = result
            return results

        return async_reduce(reducer, self.fields, {})


def settle(executor: "Executor", awaitables: Iterable[Awaitable[Any]]) -> None:
    """Siblings of what failed: nobody waits for them any more, but they are not left unawaited."""
    if pending := [*awaitables]:
        executor.settle_in_background(pending)


async def gathered(results: dict[str, Any], waiting: dict[str, Awaitable[Any]]) -> dict[str, Any]:
    if len(waiting) == 1:
        [(key, awaitable)] = waiting.items()
        results[key] = await awaitable
    else:
        results.update(zip(waiting, await gather_with_cancel(*waiting.values()), strict=True))
    return results


async def _added(results: dict[str, Any], key: str, result: Awaitable[Any]) -> dict[str, Any]:
    results[key] = await result
    return results


def _field(executor: "Executor", parent_type: GraphQLObjectType, key: str, details: FieldDetailsList) -> Field | None:
    """None for one that the schema does not have, which answers nothing."""
    node = details[0].node
    name = node.name.value
    field = executor.schema.get_field(parent_type, name)
    if field is None:
        return None
    if name == "__typename":
        return Typename(parent_type, key, details, field)
    if name in GUARDED:
        return Introspection(parent_type, key, details, field)
    if not node.arguments and (attribute := _attribute(field)) is not None:
        return Attribute(parent_type, key, details, field, attribute)
    return (Event if _is_event(field) else Field)(parent_type, key, details, field)


def _attribute(field: GraphQLField) -> str | None:
    """The attribute that Strawberry's basic resolver reads, and nothing else.

    Private to Strawberry: the name of that function, which other resolvers without a function (those with extensions,
    permissions or handlers of exceptions) do not have.
    """
    shown = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if (
        isinstance(shown, StrawberryField)
        and type(shown).get_result is StrawberryField.get_result
        and shown.is_basic_field
        and shown.default_resolver is getattr
        and not field.args
        and getattr(field.resolve, "__name__", None) == "_get_basic_result"
        and getattr(field.resolve, "_is_default", False)
    ):
        return shown.python_name
    return None


def _is_event(field: GraphQLField) -> bool:
    """Strawberry resolves the field of a subscription by a lambda that hands the event on."""
    shown = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return (
        isinstance(shown, StrawberryField)
        and shown.is_subscription
        and field.subscribe is not None
        and getattr(field.resolve, "__qualname__", "").endswith("from_field.<locals>.<lambda>")
    )


def _completes_at(type_: GraphQLOutputType, details: FieldDetailsList) -> CompleteAt | None:
    """For leaves, lists of leaves, objects and lists of objects; None where graphql-core has to find out more."""
    pure = completes(type_)
    if pure is not None:
        return lambda _executor, value, _where: pure(value)
    nullable = not is_non_null_type(type_)
    named = type_.of_type if is_non_null_type(type_) else type_
    if is_object_type(named) and not named.is_type_of:
        return _object(named, details, nullable=nullable)
    if is_list_type(named):
        item = named.of_type.of_type if is_non_null_type(named.of_type) else named.of_type
        if is_object_type(item) and not item.is_type_of:
            return _objects(item, named.of_type, details, nullable=nullable)
    return None


def _object(type_: GraphQLObjectType, details: FieldDetailsList, *, nullable: bool) -> CompleteAt:
    selection: Selection | None = None

    def complete(executor: "Executor", value: Any, where: Where) -> Any:
        nonlocal selection
        if value is None and nullable:
            return None
        if not ORDINARY[type(value)]:
            return SURPRISE
        if selection is None:
            selection = executor.selection(type_, details)
        return selection.complete(executor, value, where)

    return complete


def _objects(
    type_: GraphQLObjectType, item_type: GraphQLOutputType, details: FieldDetailsList, *, nullable: bool
) -> CompleteAt:
    selection: Selection | None = None
    allowed = frozenset() if is_non_null_type(item_type) else frozenset([NoneType])

    def complete(executor: "Executor", values: Any, where: Where) -> Any:
        nonlocal selection
        if values is None and nullable:
            return None
        if type(values) is not list and type(values) is not tuple:
            return SURPRISE
        if not all(ORDINARY[kind] or kind in allowed for kind in {*map(type, values)}):
            return SURPRISE
        if not values:
            return []
        if selection is None:
            selection = executor.selection(type_, details)
        return _items(executor, selection.warm(len(values)), values, where, item_type, details)

    return complete


def _items(
    executor: "Executor",
    complete: CompleteAt,
    values: "list[Any] | tuple[Any, ...]",
    where: Where,
    item_type: GraphQLOutputType,
    details: FieldDetailsList,
) -> Any:
    results: list[Any] = []
    append = results.append
    items = iter(enumerate(values))
    while True:
        try:
            for index, value in items:
                append(None if value is None else complete(executor, value, (where, index, None)))
            break
        except Exception as error:  # noqa: BLE001
            failed = len(results)
            try:
                _item_failed(executor, error, (where, failed, None), item_type, details)
            except Exception:
                settle(executor, _pending(executor, results, where, item_type, details).values())
                raise
            append(None)
    if {dict, NoneType}.issuperset(map(type, results)):
        return results
    pending = _pending(executor, results, where, item_type, details)
    return _gathered_items(results, pending) if pending else results


def _pending(
    executor: "Executor", results: list[Any], where: Where, item_type: GraphQLOutputType, details: FieldDetailsList
) -> dict[int, Awaitable[Any]]:
    async def guarded(index: int, result: Awaitable[Any]) -> Any:
        try:
            return await result
        except Exception as error:  # noqa: BLE001
            _item_failed(executor, error, (where, index, None), item_type, details)

    return {
        index: guarded(index, result)
        for index, result in enumerate(results)
        if type(result) not in SETTLED and executor.is_awaitable(result)
    }


def _item_failed(
    executor: "Executor", error: Exception, where: Where, item_type: GraphQLOutputType, details: FieldDetailsList
) -> None:
    path = path_of(where)
    assert path is not None
    executor.handle_field_error(error, item_type, details, path)


async def _gathered_items(results: list[Any], pending: dict[int, Awaitable[Any]]) -> list[Any]:
    if len(pending) == 1:
        [(index, awaitable)] = pending.items()
        results[index] = await awaitable
    else:
        for index, completed in zip(pending, await gather_with_cancel(*pending.values()), strict=True):
            results[index] = completed
    return results

"""The fields of a selection, each with the questions answered that graphql-core's `execute_field` asks every time.

Where a value is what the schema says, no `Path` and no `GraphQLResolveInfo` are made for it; where it is not,
graphql-core completes it, so that errors, their order and what they null are its own.
"""

from collections.abc import Awaitable
from typing import Any, Final

from graphql import GraphQLField, GraphQLObjectType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from gateways.graphql.arguments import arguments_of
from gateways.graphql.completion import SETTLED, completes_at, failed, path_of
from gateways.graphql.execution import Execution, Where
from gateways.graphql.leaves import ORDINARY, SURPRISE

GUARDED: Final = frozenset({"__schema", "__type"})


class Field:
    """One that a resolver answers."""

    def __init__(
        self, parent_type: GraphQLObjectType, key: str, details: FieldDetailsList, field: GraphQLField
    ) -> None:
        self.parent_name = parent_type.name
        self.key = key
        self.return_type = field.type
        self._parent_type = parent_type
        self._details = details
        self._nodes = [one.node for one in details]
        self._definition = field
        self._arguments = arguments_of(field, details[0])
        self._complete = completes_at(field.type, details)

    def execute(self, executor: Execution, source: Any, where: Where) -> Any:
        """The value, an awaitable of it, or None and a collected error; raises where null is not allowed.

        `where` is that of the object.
        """
        path = Path(path_of(where), self.key, self.parent_name)
        info = self._info(executor, path)
        try:
            resolve = self._definition.resolve or executor.field_resolver
            value = resolve(source, info, **self._arguments(executor))
            if not ORDINARY[type(value)] and executor.is_awaitable(value):
                return self._later(executor, value, info)
            return self._ended(executor, self._completed(executor, value, path, info), path)
        except Exception as error:
            return self._failed(executor, error, path)

    def finish(self, executor: Execution, value: Any, where: Where) -> Any:
        """`execute` from the point where the value is known."""
        here = (where, self.key, self.parent_name)
        try:
            completed = SURPRISE if self._complete is None else self._complete(executor, value, here)
            if completed is SURPRISE:
                return self._by_the_book(executor, value, Path(path_of(where), self.key, self.parent_name))
            return self._ended(executor, completed, here)
        except Exception as error:
            return self._failed(executor, error, here)

    def _by_the_book(self, executor: Execution, value: Any, path: Path) -> Any:
        info = self._info(executor, path)
        if executor.is_awaitable(value):
            return self._later(executor, value, info)
        completed = executor.complete_value(self.return_type, self._details, info, path, value, None)
        return self._ended(executor, completed, path)

    def _completed(self, executor: Execution, value: Any, path: Path, info: "GraphQLResolveInfo[Any]") -> Any:
        completed = SURPRISE if self._complete is None else self._complete(executor, value, path)
        if completed is SURPRISE:
            return executor.complete_value(self.return_type, self._details, info, path, value, None)
        return completed

    def _ended(self, executor: Execution, completed: Any, where: Where) -> Any:
        if type(completed) not in SETTLED and executor.is_awaitable(completed):
            return self._guarded(executor, completed, where)
        return completed

    async def _later(self, executor: Execution, value: Awaitable[Any], info: "GraphQLResolveInfo[Any]") -> Any:
        try:
            completed = self._completed(executor, await value, info.path, info)
            if type(completed) not in SETTLED and executor.is_awaitable(completed):
                return await completed
            return completed
        except Exception as error:
            return self._failed(executor, error, info.path)

    async def _guarded(self, executor: Execution, completed: Awaitable[Any], where: Where) -> Any:
        try:
            return await completed
        except Exception as error:
            return self._failed(executor, error, where)

    def _failed(self, executor: Execution, error: Exception, where: Where) -> None:
        failed(executor, error, self.return_type, self._details, where)

    def _info(self, executor: Execution, path: Path) -> "GraphQLResolveInfo[Any]":
        return executor.build_resolve_info(self._definition, self._nodes, self._parent_type, path)


class Attribute(Field):
    """One that is read off the object, as Strawberry does for fields without a resolver."""

    name: str

    def execute(self, executor: Execution, source: Any, where: Where) -> Any:
        try:
            value = getattr(source, self.name)
        except Exception as error:
            return self._failed(executor, error, (where, self.key, self.parent_name))
        return self.finish(executor, value, where)


class Event(Field):
    """The field of a subscription, answered by what was yielded: its arguments were for the stream."""

    def execute(self, executor: Execution, source: Any, where: Where) -> Any:
        return self.finish(executor, source, where)


class Typename(Field):
    def execute(self, executor: Execution, source: Any, where: Where) -> Any:
        return self.parent_name


class Introspection(Field):
    """`__schema` and `__type`, which are not for everybody: to others no type is there, whatever its name."""

    def execute(self, executor: Execution, source: Any, where: Where) -> Any:
        if executor.introspection is not None:
            if self._nodes[0].name.value == "__type":
                return None
            return self._failed(executor, executor.introspection, (where, self.key, self.parent_name))
        return super().execute(executor, source, where)


def field_of(executor: Execution, parent_type: GraphQLObjectType, key: str, details: FieldDetailsList) -> Field | None:
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
    if not node.arguments and (attribute := attribute_of(field)) is not None:
        read = Attribute(parent_type, key, details, field)
        read.name = attribute
        return read
    return (Event if is_event(field) else Field)(parent_type, key, details, field)


def attribute_of(field: GraphQLField) -> str | None:
    """The attribute that is all that Strawberry's resolver reads; None where there is more to it.

    Private to Strawberry: `_is_default`, which says that no function of ours is called, and the name of the resolver
    of basic fields, which those with extensions, permissions or handlers of exceptions do not have.
    """
    shown = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if (
        isinstance(shown, StrawberryField)
        and type(shown).get_result is StrawberryField.get_result
        and shown.is_basic_field
        and shown.default_resolver is getattr
        and not field.args
        and getattr(field.resolve, "_is_default", False)
        and getattr(field.resolve, "__name__", None) == "_get_basic_result"
    ):
        return shown.python_name
    return None


def is_event(field: GraphQLField) -> bool:
    """Private to Strawberry: it resolves the field of a subscription by a lambda that hands the event on."""
    shown = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return (
        isinstance(shown, StrawberryField)
        and shown.is_subscription
        and field.subscribe is not None
        and getattr(field.resolve, "__qualname__", "").endswith("from_field.<locals>.<lambda>")
    )

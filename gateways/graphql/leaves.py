"""How values of leaf types are completed where nothing is odd about them: by their type, without a call if possible.

Everything here is pure and says `SURPRISE` where a value is not what it should be: graphql-core then completes that
field, and words the error.
"""

import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from math import isfinite
from types import CoroutineType, GeneratorType, NoneType
from typing import Any, Final, TypeGuard

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
    Undefined,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from strawberry.schema.schema_converter import CustomGraphQLEnumType

Complete = Callable[[Any], Any]

SURPRISE: Final = object()

NO_VALUE: Final = frozenset({NoneType, type(Undefined)})

TYPES_REMEMBERED_MAX = 4_096
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
ODD = (NoneType, type(Undefined), BaseException, CoroutineType, GeneratorType)


class _Ordinary(dict[type, bool]):
    """Whether values of a type are plain data: not null, no exception, nothing to await.

    Asked of the type, as `await` itself does, and once: asking a row for `__await__` costs a microsecond each time.
    """

    def __missing__(self, kind: type) -> bool:
        if len(self) >= TYPES_REMEMBERED_MAX:  # of a program that makes types as it runs
            self.clear()
        self[kind] = ordinary = (
            not issubclass(kind, ODD)
            and not hasattr(kind, "__await__")
            and inspect.getattr_static(kind, "__class__") is _CLASS  # else it passes for another type
        )
        return ordinary


_CLASS = inspect.getattr_static(object, "__class__")
ORDINARY: Final = _Ordinary()

# What a value of a built-in type must be to be handed on as it is.
CHECKS: Final[dict[GraphQLLeafType, str]] = {
    GraphQLString: "type({0}) is str",
    GraphQLID: "type({0}) is str",
    GraphQLInt: f"type({{0}}) is int and {INT_MIN} <= {{0}} <= {INT_MAX}",
    GraphQLFloat: "type({0}) is float and {0} - {0} == 0.0",  # which neither infinity nor NaN is
    GraphQLBoolean: "type({0}) is bool",
}


def _finite(values: Sequence[Any]) -> bool:
    """By the sum, which is made at C speed. One that overflows says no of finite numbers; they are then looked at."""
    return isfinite(sum(filter(None, values)))


def _within_int(values: Sequence[Any]) -> bool:
    numbers = [0, *filter(None, values)]
    return bool(min(numbers) >= INT_MIN and max(numbers) <= INT_MAX)


def _anyhow(_: Sequence[Any]) -> bool:
    return True


# What all items of a list must be for the list to be handed on as it is.
ALIKE: Final[dict[GraphQLLeafType, tuple[type, Callable[[Sequence[Any]], bool]]]] = {
    GraphQLString: (str, _anyhow),
    GraphQLID: (str, _anyhow),
    GraphQLInt: (int, _within_int),
    GraphQLFloat: (float, _finite),
    GraphQLBoolean: (bool, _anyhow),
}


@lru_cache(TYPES_REMEMBERED_MAX)
def completes(type_: GraphQLOutputType) -> Complete | None:
    """For a leaf, or a list of them however deep; None for types with fields."""
    if is_non_null_type(type_):
        return _completes_some(type_.of_type)
    some = _completes_some(type_)
    if some is None:
        return None

    def complete(value: Any) -> Any:
        return None if value is None else some(value)

    return complete


def _completes_some(type_: GraphQLOutputType) -> Complete | None:
    if is_list_type(type_):
        return _list(type_.of_type)
    return _leaf(type_) if is_leaf_type(type_) else None


def _leaf(type_: GraphQLLeafType) -> Complete:
    coerce = type_.coerce_output_value
    name_of = member_names(type_).get

    def complete(value: Any) -> Any:
        if not ORDINARY[type(value)]:
            return SURPRISE
        coerced = coerce(value)
        return SURPRISE if type(coerced) in NO_VALUE else coerced

    def complete_member(value: Any) -> Any:
        return name_of(id(value)) or complete(value)

    return complete_member if is_strawberry_enum(type_) else complete


def member_names(type_: GraphQLLeafType) -> dict[int, str]:
    """By the identity of the member, which lives as long as its class: to hash a member costs more than all else."""
    if not is_strawberry_enum(type_):
        return {}
    members: list[Enum] = [*type_.wrapped_cls]
    return {id(member): type_.coerce_output_value(member) for member in members}


def is_strawberry_enum(type_: GraphQLLeafType) -> TypeGuard[CustomGraphQLEnumType]:
    """Strawberry's own class: it is the one that takes members, and `wrapped_cls` is private to it."""
    return isinstance(type_, GraphQLEnumType) and type(type_) is CustomGraphQLEnumType


def _list(item_type: GraphQLOutputType) -> Complete | None:
    complete_item = completes(item_type)
    if complete_item is None:
        return None
    nullable = not is_non_null_type(item_type)
    at_once = _at_once(item_type if nullable else item_type.of_type, nullable=nullable)  # type: ignore[union-attr]

    def complete(values: Any) -> Any:
        if type(values) is not list and type(values) is not tuple:
            return SURPRISE
        try:
            completed = at_once(values)
            if completed is None:
                completed = [*map(complete_item, values)]
        except Exception:  # graphql-core says which item it was, and how
            return SURPRISE
        return SURPRISE if id(SURPRISE) in map(id, completed) else completed

    return complete


def _at_once(type_: Any, *, nullable: bool) -> Callable[[Sequence[Any]], list[Any] | None]:
    """Completes a list in one piece where all its items are alike; None where they have to be looked at one by one."""
    if type_ in ALIKE:
        kind, is_fit = ALIKE[type_]
        kinds = frozenset([kind, NoneType] if nullable else [kind])
        return lambda values: [*values] if kinds.issuperset(map(type, values)) and is_fit(values) else None
    if not isinstance(type_, GraphQLScalarType):
        return lambda _values: None
    coerce = type_.coerce_output_value

    def complete(values: Sequence[Any]) -> list[Any] | None:
        if not all(map(ORDINARY.__getitem__, {*map(type, values)})):
            return None
        completed = [*map(coerce, values)]
        return completed if NO_VALUE.isdisjoint(map(type, completed)) else None

    return complete

"""What a field's resolver is called with, found beforehand where the document says it all."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputType,
    Undefined,
    ValueNode,
    VariableNode,
    is_list_type,
    is_non_null_type,
    is_required_argument,
)
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import get_argument_values
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal

from gateways.graphql.execution import Execution
from gateways.graphql.leaves import CHECKS

Arguments = Callable[[Execution], dict[str, Any]]


class Constant(NamedTuple):
    name: str
    value: Any


class Variable(NamedTuple):
    name: str
    variable: str
    nullable: bool


UNSAID: Final = Constant("", Undefined)


def arguments_of(field: GraphQLField, details: FieldDetails) -> Arguments:
    if not field.args and not details.node.arguments:
        return lambda _executor: {}

    def by_the_book(executor: Execution) -> dict[str, Any]:
        return get_argument_values(
            field, details.node, executor.variable_values, details.fragment_variable_values, executor.hide_suggestions
        )

    parts = None if details.fragment_variable_values else _parts(field, details)
    if parts is None:
        return by_the_book
    said = [part for part in parts if part is not UNSAID]
    constants = {part.name: part.value for part in said if isinstance(part, Constant)}
    if len(constants) == len(said):
        return lambda _executor: constants
    return _assembled(said, by_the_book)


def _assembled(parts: list[Constant | Variable], by_the_book: Arguments) -> Arguments:
    def arguments(executor: Execution) -> dict[str, Any]:
        coerced = executor.variable_values.coerced
        found: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, Constant):
                found[part.name] = part.value
                continue
            value = coerced.get(part.variable, Undefined)
            if value is Undefined or (value is None and not part.nullable):
                return by_the_book(executor)
            found[part.name] = value
        return found

    return arguments


def _parts(field: GraphQLField, details: FieldDetails) -> list[Constant | Variable] | None:
    """None where an argument has to be looked at each time."""
    given = {one.name.value: one.value for one in details.node.arguments or ()}
    parts = [_part(name, argument, given.get(name)) for name, argument in field.args.items()]
    known = [part for part in parts if part is not None]
    return known if len(known) == len(parts) else None


def _part(name: str, argument: GraphQLArgument, node: ValueNode | None) -> Constant | Variable | None:
    out = argument.out_name or name
    try:
        if node is None:
            default = coerce_default_value(argument)  # which graphql-core too keeps, and hands to everybody
            return None if is_required_argument(argument) else _constant(out, default)
        if isinstance(node, VariableNode):
            return Variable(out, node.name.value, not is_non_null_type(argument.type))
        value = coerce_input_literal(node, argument.type) if _is_timeless(argument.type) else Undefined
    except Exception:  # said when it is executed
        return None
    return None if value is Undefined else Constant(out, value)


def _constant(name: str, value: Any) -> Constant | None:
    return UNSAID if value is Undefined else Constant(name, value)


def _is_timeless(type_: GraphQLInputType) -> bool:
    """A literal of such a type always means the same, a custom scalar may read a clock. Strawberry copies lists."""
    some = type_.of_type if is_non_null_type(type_) else type_
    if is_list_type(some):
        some = some.of_type.of_type if is_non_null_type(some.of_type) else some.of_type
    return isinstance(some, GraphQLEnumType) or some in CHECKS

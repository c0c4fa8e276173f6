"""Whether an answer is one that the schema allows to its document; told by the SDL alone, not by our engine."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
)

# All but INTERNAL, which is a fault of ours.
CODES = {
    *("UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "CONFLICT", "INVALID", "UNAVAILABLE", "TIMEOUT", "RESYNC", "LIMIT")
}


def faults(schema: GraphQLSchema, document: DocumentNode, answer: Any) -> list[str]:
    """What is wrong with the answer to a document of one operation; nothing, if all is well."""
    if not isinstance(answer, dict) or not answer.keys() <= {"data", "errors", "extensions"}:
        return [f"no answer: {answer!r}"]
    errors, data = answer.get("errors", []), answer.get("data")
    if "errors" in answer and not errors:
        return ["errors without any"]
    found = list(_of_errors(errors, data))
    if data is None:
        return found if errors else ["neither data nor errors"]
    (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    root = schema.get_root_type(operation.operation)
    assert root is not None
    return [*found, *_of_object([operation], root, data, operation.operation.value)]


def _of_errors(errors: list[Any], data: Any) -> Iterator[str]:
    for error in errors:
        code = error.get("extensions", {}).get("code")
        if code not in CODES or not isinstance(error.get("message"), str):
            yield f"an error with the code {code}: {error}"
        if data is not None and not _is_null(data, error.get("path", ())):
            yield f"an error where there is no null: {error}"


def _is_null(value: Any, path: Sequence[str | int]) -> bool:
    """A null at the path or above it, whither a null that may not be has risen."""
    for step in path:
        if value is None:
            return True
        value = value[step]
    return value is None


def _of(nodes: list[FieldNode], kind: Any, value: Any, path: str) -> Iterator[str]:
    if value is None:
        if isinstance(kind, GraphQLNonNull):
            yield f"{path}: null"
        return
    kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if isinstance(kind, GraphQLList):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for index, item in enumerate(value):
            yield from _of(nodes, kind.of_type, item, f"{path}.{index}")
    elif isinstance(kind, GraphQLObjectType):
        yield from _of_object(nodes, kind, value, path)
    elif isinstance(kind, GraphQLUnionType):
        members = [list(_of_object(nodes, member, value, path)) for member in kind.types]
        yield from () if [] in members else [wrong for member in members for wrong in member]
    elif not (value in kind.values if isinstance(kind, GraphQLEnumType) else LEAVES[kind.name](value)):
        yield f"{path}: {value!r} is no {kind.name}"


def _of_object(
    nodes: Sequence[FieldNode | OperationDefinitionNode], kind: GraphQLObjectType, value: Any, path: str
) -> Iterator[str]:
    asked: dict[str, list[FieldNode]] = {}
    for field in _fields(nodes, kind):
        asked.setdefault(field.alias.value if field.alias else field.name.value, []).append(field)
    if not isinstance(value, dict) or list(value) != list(asked):
        yield f"{path}: {value!r} where {list(asked)} were asked for"
        return
    for key, fields in asked.items():
        if fields[0].name.value == "__typename":
            yield from () if value[key] == kind.name else [f"{path}.{key}: {value[key]!r} is {kind.name}"]
        else:
            yield from _of(fields, kind.fields[fields[0].name.value].type, value[key], f"{path}.{key}")


def _fields(
    nodes: Sequence[FieldNode | OperationDefinitionNode | InlineFragmentNode], kind: GraphQLObjectType
) -> Iterator[FieldNode]:
    """With those of inline fragments that are about this type; named fragments are not looked into."""
    for node in nodes:
        for field in node.selection_set.selections if node.selection_set else ():
            if isinstance(field, FieldNode):
                yield field
            elif not isinstance(field, InlineFragmentNode):
                raise NotImplementedError("named fragments")
            elif field.type_condition is None or field.type_condition.name.value == kind.name:
                yield from _fields([field], kind)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value).tzinfo is not None


LEAVES: dict[str, Callable[[Any], bool]] = {
    "Int": lambda value: _is_number(value) and value == int(value) and -(2**31) <= value < 2**31,
    "Float": _is_number,
    "String": lambda value: isinstance(value, str),
    "ID": lambda value: isinstance(value, str),
    "Boolean": lambda value: isinstance(value, bool),
    "DateTime": _is_moment,
    "JSON": lambda _value: True,
}

"""What a subscription's root field says of how its items may travel, in its Strawberry `metadata`.

- `coalesce`: True where news depends on nothing of the caller but the context's `scope`, so that it is executed and
  encoded once for all who ask for the same (docs/decisions/0028).
- `conflate`: a function from an item to what it is the latest value of, None for a fact, which nothing newer replaces.

Where such a field has an argument `after`, that is the event after which its caller goes on.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    value_from_ast_untyped,
    visit,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

AFTER = "after"


@dataclass(frozen=True, slots=True)
class Shape:
    """Of one subscription. `variables` are those that its news may depend on, `cursors` what is given as `after`."""

    coalesces: bool = False
    conflate: Callable[[Any], str | None] | None = None
    variables: frozenset[str] = frozenset()
    cursors: tuple[ValueNode, ...] = ()

    def key(self, item: Any) -> str | None:
        return None if self.conflate is None else self.conflate(item)

    def after(self, given: dict[str, Any] | None) -> str | None:
        for cursor in self.cursors:
            value = value_from_ast_untyped(cursor, given)
            if isinstance(value, str):
                return value
        return None

    def of_news(self, given: dict[str, Any] | None) -> dict[str, Any]:
        return {name: value for name, value in (given or {}).items() if name in self.variables}

    def fingerprint(self, given: dict[str, Any] | None) -> bytes:
        """The same for variables that mean the same, in whichever order they come."""
        return orjson.dumps(self.of_news(given), option=orjson.OPT_SORT_KEYS)


def shape(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Shape:
    """Of an operation that is known to be good: its root field is one, however often it is named."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    roots = list(_roots(operation.selection_set, fragments))
    if schema.subscription_type is None or not roots:
        return Shape()
    said = _metadata(schema.subscription_type.fields.get(roots[0].name.value))
    cursors = [one.value for root in roots for one in root.arguments or () if one.name.value == AFTER]
    uses = _Uses(cursors)
    visit(document, uses)
    named = {one.variable.name.value for one in operation.variable_definitions or ()}
    return Shape(
        coalesces=said.get("coalesce") is True,
        conflate=said.get("conflate"),
        variables=frozenset(name for name in named if name in uses.names or not _is_one_of(name, cursors)),
        cursors=tuple(cursors),
    )


def _metadata(field: Any) -> dict[str, Any]:
    definition = (getattr(field, "extensions", None) or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return dict(definition.metadata) if isinstance(definition, StrawberryField) else {}


def _roots(selected: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    for one in selected.selections:
        if isinstance(one, FieldNode):
            yield one
        elif isinstance(one, FragmentSpreadNode):
            yield from _roots(fragments[one.name.value].selection_set, fragments)
        else:
            yield from _roots(one.selection_set, fragments)  # type: ignore[attr-defined]


def _is_one_of(name: str, values: Iterable[ValueNode]) -> bool:
    return any(isinstance(value, VariableNode) and value.name.value == name for value in values)


class _Uses(Visitor):
    """The variables that are used in other places than those."""

    def __init__(self, excepted: list[ValueNode]) -> None:
        super().__init__()
        self.names: set[str] = set()
        self._excepted = excepted

    def enter_variable(self, node: VariableNode, _key: Any, parent: Any, *_: Any) -> None:
        if not isinstance(parent, VariableDefinitionNode) and not any(node is one for one in self._excepted):
            self.names.add(node.name.value)

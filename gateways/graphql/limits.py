"""How long and how deep a document may be, decided before it is validated.

Strawberry's own limiters take exponential time on chained fragments and keep validation from being cached: here each
fragment is measured once.
"""

from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)
from strawberry.extensions import SchemaExtension

LIMIT = {"code": "LIMIT"}


class Limits(SchemaExtension):
    def __init__(self, *, tokens: int, depth: int) -> None:
        self._tokens = tokens
        self._depth = depth

    def on_operation(self) -> Iterator[None]:
        self.execution_context.parse_options["max_tokens"] = self._tokens
        yield

    def on_parse(self) -> Iterator[None]:
        yield
        for error in self.execution_context.pre_execution_errors or ():
            if "Document contains more than" in error.message:
                error.message = f"the document has more than {self._tokens} tokens"
                error.extensions = dict(LIMIT)

    def on_validate(self) -> Iterator[None]:
        document = self.execution_context.graphql_document
        if document is not None and is_deeper(document, self._depth):
            message = f"fields are nested more than {self._depth} levels deep"
            self.execution_context.pre_execution_errors = [GraphQLError(message, extensions=dict(LIMIT))]
        yield


def is_deeper(document: DocumentNode, limit: int) -> bool:
    """Whether fields are nested deeper than that, fragments unfolded; introspection is not counted."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    heights: dict[str, int] = {}

    def fragment_height(name: str) -> int:
        if name not in heights:
            heights[name] = 0  # where it spreads itself, validation says so
            fragment = fragments.get(name)
            heights[name] = 0 if fragment is None else height(fragment.selection_set)
        return heights[name]

    def height(selected: SelectionSetNode | None) -> int:
        tallest = 0
        for selection in () if selected is None else selected.selections:
            if isinstance(selection, FieldNode):
                introspects = selection.name.value.startswith("__")
                tallest = max(tallest, 1 if introspects else 1 + height(selection.selection_set))
            elif isinstance(selection, InlineFragmentNode):
                tallest = max(tallest, height(selection.selection_set))
            elif isinstance(selection, FragmentSpreadNode):
                tallest = max(tallest, fragment_height(selection.name.value))
        return tallest

    try:
        return any(
            height(one.selection_set) > limit
            for one in document.definitions
            if isinstance(one, OperationDefinitionNode)
        )
    except RecursionError:
        return True

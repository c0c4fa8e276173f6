"""What can be known of an operation before anybody runs it, kept with the document and shared by all who do."""

from collections.abc import Iterable, Iterator
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
)
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    FragmentDetails,
    collect_fields,
)
from graphql.execution.executor import SELECTIONS_NESTED_TOO_DEEPLY
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, get_variable_values

from gateways.graphql.execution import Execution
from gateways.graphql.selections import Selection

VARIANTS_MAX = 16
COERCION_ERRORS_MAX = 50
SWITCHES = frozenset({"skip", "include"})
INCREMENTAL = frozenset({"defer", "stream"})

# graphql-core's memo of sub-selections, by the identity of the list of fields that has them.
Memo = dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, CollectedFields]]


class Variant:
    """The selections of an operation as `@skip` and `@include` have left them.

    Its lists are made once, so that what is remembered by their identity is bounded by the document. (graphql-core
    makes the lists of the root anew for each execution, and a subscription's memo grows by one entry an event.)
    """

    def __init__(self) -> None:
        self.memo: Memo = {}
        self._root: Selection | None = None
        self._selections: dict[tuple[GraphQLObjectType, int], Selection] = {}

    def root(self, executor: Execution) -> Selection:
        if self._root is None:
            self._root = _collect_root(executor)
        return self._root

    def selection(self, executor: Execution, type_: GraphQLObjectType, details: FieldDetailsList) -> Selection:
        key = (type_, id(details))
        found = self._selections.get(key)
        if found is None:
            grouped, _, _ = executor.collect_subfields(type_, details)  # its memo keeps `details` alive, thus the id
            found = self._selections[key] = Selection(executor, type_, grouped)
        return found


class Plan:
    """Of one operation of a document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self.schema = schema
        self.operation = operation
        fragments = [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]
        self.fragment_definitions = {one.name.value: one for one in fragments}
        self.fragments, self._errors = _details(schema, fragments)
        directives = [*_directives(document)]
        self.is_incremental = any(one.name.value in INCREMENTAL for one in directives)
        self._has_fragment_variables = any(one.variable_signatures for one in self.fragments.values())
        self._switches = _switches(directives)
        self.prepared: dict[type, Any] = {}
        self._variants: dict[tuple[Any, ...], Variant] = {}

    def coerced(self, variables: dict[str, Any], *, hide_suggestions: bool) -> VariableValues | list[GraphQLError]:
        return self._errors or get_variable_values(
            self.schema,
            self.operation.variable_definitions or (),
            variables,
            max_errors=COERCION_ERRORS_MAX,
            hide_suggestions=hide_suggestions,
        )

    def variant(self, values: VariableValues) -> Variant:
        if self._has_fragment_variables:
            return Variant()  # arguments of fragments end up in what is collected
        key = tuple(values.coerced.get(name, Undefined) for name in self._switches) if self._switches else ()
        found = self._variants.get(key)
        if found is None:
            if len(self._variants) >= VARIANTS_MAX:
                del self._variants[next(iter(self._variants))]
            found = self._variants[key] = Variant()
        return found


def _directives(document: DocumentNode) -> Iterator[DirectiveNode]:
    """Of operations, fragments and all that they select."""
    nodes: list[Any] = [*document.definitions]
    while nodes:
        node = nodes.pop()
        yield from node.directives or ()
        if (selected := getattr(node, "selection_set", None)) is not None:
            nodes += selected.selections


def _switches(directives: Iterable[DirectiveNode]) -> tuple[str, ...]:
    """The variables that decide what is selected."""
    given = (argument.value for one in directives if one.name.value in SWITCHES for argument in one.arguments or ())
    return tuple(sorted({value.name.value for value in given if isinstance(value, VariableNode)}))


def _details(
    schema: GraphQLSchema, fragments: list[FragmentDefinitionNode]
) -> tuple[dict[str, FragmentDetails], list[GraphQLError]]:
    """As `Executor.build` makes them, which scans the document for them at every execution."""
    details: dict[str, FragmentDetails] = {}
    errors: list[GraphQLError] = []
    for fragment in fragments:
        signatures = [get_variable_signature(schema, one) for one in fragment.variable_definitions or ()]
        errors += [one for one in signatures if isinstance(one, GraphQLError)]
        known = {one.name: one for one in signatures if not isinstance(one, GraphQLError)}
        details[fragment.name.value] = FragmentDetails(fragment, known or None)
    return details, errors


def _collect_root(executor: Execution) -> Selection:
    """Raises the GraphQLError that the whole operation ends with."""
    operation = executor.operation
    type_ = executor.schema.get_root_type(operation.operation)
    if type_ is None:
        raise GraphQLError(f"Schema is not configured to execute {operation.operation.value} operation.", operation)
    try:
        grouped, _, _ = collect_fields(
            executor.schema, executor.fragments, executor.variable_values, type_, operation, executor.hide_suggestions
        )
    except RecursionError:
        pass  # whose frames an error raised here would keep
    else:
        return Selection(executor, type_, grouped)
    raise GraphQLError(SELECTIONS_NESTED_TOO_DEEPLY, operation)

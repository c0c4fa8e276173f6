"""What an operation costs before it is executed: about how many resolvers run and how many objects are shown.

A field with a resolver costs 1, at a mutation's root 10; a plain attribute costs nothing; each object of a list costs
1, and all within it as often as the list is long. So 1 stands for some 20 µs of a core. A schema says otherwise in a
field's Strawberry `metadata`:

- `cost`: a number, or a function of the arguments, in place of 1, 10 or nothing.
- `size`: how many items there are: a number, the name of an argument (a number, or a list, which counts as long as it
  is), or a function of the arguments; where nothing is said, the argument `first`. Of a field that is no list itself it
  is the size of the lists right beneath it, as in `stations(first: 100) { nodes { id } }`.

A function gets the arguments as JSON has them, variables filled in and defaults where nothing is given.

It is an upper bound: a field that two fragments name counts twice, and what `@skip` leaves out counts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    value_from_ast_untyped,
)
from strawberry.types.field import StrawberryField

ASSUMED = 10  # items of a list of which nothing is said
UNKNOWN = 1_000  # where a schema's own function does not understand the arguments
MUTATION = 10  # a transaction
FIRST = "first"
INTROSPECTION = {"__typename": 0, "__type": 100, "__schema": 1_000}  # the rules of validation keep it from growing

Variables = dict[str, Any]
Number = int | Callable[[Variables], int]  # one that variables decide is asked again each time


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """A cost that variables decide: `constant`, and each amount as many times as the number before it says."""

    constant: int
    terms: "tuple[tuple[Number, Amount], ...]"


Amount = int | Formula


def evaluated(amount: Amount, variables: Variables, known: dict[Formula, int] | None = None) -> int:
    """Each part once, however many others it is a part of."""
    if isinstance(amount, int):
        return amount
    known = {} if known is None else known
    if amount not in known:
        known[amount] = amount.constant + sum(
            (times if isinstance(times, int) else times(variables)) * evaluated(part, variables, known)
            for times, part in amount.terms
        )
    return known[amount]


class Costs:
    """Of the operations of one document. Each fragment is measured once.

    What is not valid is measured too, or raises: too much is refused before anybody has looked whether it makes sense.
    """

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._document = document  # whose nodes are known by their address
        self._known: dict[tuple[str, Number | None], Amount] = {}
        self._numbers: dict[int, tuple[Number, Number | None]] = {}

    def of(self, operation: OperationDefinitionNode) -> Amount:
        return self._selections(operation.selection_set, self._schema.get_root_type(operation.operation), None)

    def _selections(self, selected: SelectionSetNode | None, parent: Any, size: Number | None) -> Amount:
        """`size` is that of the lists right here, where the field around them says one."""
        return _sum((1, self._selection(one, parent, size)) for one in (selected.selections if selected else ()))

    def _selection(self, selection: SelectionNode, parent: Any, size: Number | None) -> Amount:
        match selection:
            case FieldNode():
                return self._field(selection, parent, size)
            case FragmentSpreadNode():
                return self._fragment(selection.name.value, size)
            case InlineFragmentNode():
                on = selection.type_condition
                within = parent if on is None else self._type(on.name.value)
                return self._selections(selection.selection_set, within, size)
        raise TypeError(f"no selection: {selection}")

    def _fragment(self, name: str, size: Number | None) -> Amount:
        if (name, size) not in self._known:
            self._known[name, size] = 0  # where it spreads itself, validation says so
            fragment = self._fragments[name]
            parent = self._type(fragment.type_condition.name.value)
            self._known[name, size] = self._selections(fragment.selection_set, parent, size)
        return self._known[name, size]

    def _field(self, node: FieldNode, parent: Any, size: Number | None) -> Amount:
        name = node.name.value
        if name in INTROSPECTION:
            return INTROSPECTION[name]
        field: GraphQLField = parent.fields[name]
        cost, own = self._numbers_of(node, field, parent)
        shown = get_named_type(field.type)
        if not is_composite_type(shown):
            return _sum([(cost, 1)])
        if not is_list_type(get_nullable_type(field.type)):
            return _sum([(cost, 1), (1, self._selections(node.selection_set, shown, own))])
        if own is None:
            own = ASSUMED if size is None else size
        return _sum([(cost, 1), (own, _sum([(1, 1), (1, self._selections(node.selection_set, shown, None))]))])

    def _numbers_of(self, node: FieldNode, field: GraphQLField, parent: Any) -> tuple[Number, Number | None]:
        """Cost and size, the same ones whenever a fragment is come by again."""
        if id(node) not in self._numbers:
            usual = MUTATION if parent is self._schema.mutation_type else 1
            self._numbers[id(node)] = _numbers(field, node, usual)
        return self._numbers[id(node)]

    def _type(self, name: str) -> Any:
        return self._schema.type_map[name]


def _sum(terms: Iterable[tuple[Number, Amount]]) -> Amount:
    constant = 0
    open_terms: list[tuple[Number, Amount]] = []
    for times, part in terms:
        if isinstance(times, int) and isinstance(part, int):
            constant += times * part
        elif part != 0:
            open_terms.append((times, part))
    return Formula(constant, tuple(open_terms)) if open_terms else constant


def _numbers(field: GraphQLField, node: FieldNode, usual: int) -> tuple[Number, Number | None]:
    """What the schema says a field costs, and how many items it has, if anything says so."""
    definition = field.extensions.get("strawberry-definition")
    declared: Mapping[str, Any] = {}
    if isinstance(definition, StrawberryField):
        declared = definition.metadata
        usual = 0 if definition.is_basic_field else usual
    cost = _number(declared["cost"], field, node, UNKNOWN) if "cost" in declared else usual
    size = declared.get("size", FIRST if FIRST in field.args else None)
    return cost, None if size is None else _number(size, field, node, ASSUMED)


def _number(declared: Any, field: GraphQLField, node: FieldNode, otherwise: int) -> Number:
    """As declared; asked of the variables only where the arguments that matter have some."""
    if isinstance(declared, int):
        return declared
    arguments = {name: _Argument(one, _given(node, name)) for name, one in field.args.items()}
    matter = [arguments[declared]] if isinstance(declared, str) else arguments.values()

    def asked(variables: Variables) -> int:
        try:
            if isinstance(declared, str):
                return _length(arguments[declared].value(variables), otherwise)
            return max(int(declared({name: one.value(variables) for name, one in arguments.items()})), 0)
        except Exception:  # whatever a schema's function makes of what a client wrote
            return otherwise

    return asked if any(one.has_variables for one in matter) else asked({})


@dataclass(frozen=True, slots=True)
class _Argument:
    definition: GraphQLArgument
    given: ValueNode | None

    @property
    def has_variables(self) -> bool:
        return self.given is not None and _has_variables(self.given)

    def value(self, variables: Variables) -> Any:
        value = Undefined if self.given is None else value_from_ast_untyped(self.given, variables)
        if value is Undefined:
            value = _default(self.definition)
        if is_list_type(get_nullable_type(self.definition.type)) and not isinstance(value, list | None):
            return [value]  # as GraphQL takes one for a list of one
        return value


def _given(node: FieldNode, name: str) -> ValueNode | None:
    return next((one.value for one in node.arguments or () if one.name.value == name), None)


def _has_variables(node: ValueNode) -> bool:
    if isinstance(node, ListValueNode):
        return any(_has_variables(one) for one in node.values)
    if isinstance(node, ObjectValueNode):
        return any(_has_variables(one.value) for one in node.fields)
    return isinstance(node, VariableNode)


def _default(argument: GraphQLArgument) -> Any:
    if argument.default_value is not Undefined:
        return argument.default_value
    if argument.default is None:
        return None
    return (
        argument.default.value if argument.default.literal is None else value_from_ast_untyped(argument.default.literal)
    )


def _length(value: Any, otherwise: int) -> int:
    if isinstance(value, list):
        return len(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON's 500.0 and 5e2 are an Int for GraphQL
    return max(value, 0) if isinstance(value, int) else otherwise

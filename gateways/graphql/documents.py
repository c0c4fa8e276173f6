"""Documents that were asked before: parsed, judged, measured and planned once, found again by their text's hash."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from graphql import (
    DocumentNode,
    ExecutableDefinitionsRule,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
    value_from_ast_untyped,
)
from prometheus_client import Counter, Gauge
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from gateways.graphql.limits import INVALID, Limits, Refused, too_much, wrong
from gateways.graphql.measure import Amount, Costs, evaluated
from gateways.graphql.scan import Extent, scan
from gateways.graphql.streams import Shape, shape

if TYPE_CHECKING:
    from gateways.graphql.plans import Plan

Kind = Literal["query", "mutation", "subscription"]
Value = TypeVar("Value")

RULES = (*specified_rules, OneOfInputValidationRule)
COST_MAX = 2**53 - 1  # more cannot be told in JSON
ERRORS_MAX = 20  # nobody reads more, and each is looked for
REFUSALS_MAX = 256
READING = 25  # what the smallest text costs that was not seen before
CHARACTERS_PER_COST = 4
HOT = 0.8  # of the room, for documents that were asked more than once

_LOOKED_UP = Counter(
    "voltgraph_graphql_documents_total",
    "Documents looked up: hit (known), miss (new and good), known_bad, refused (new and bad)",
    ["result"],
)
_HIT, _MISS, _KNOWN_BAD, _REFUSED = (_LOOKED_UP.labels(result) for result in ("hit", "miss", "known_bad", "refused"))
_STORED = Gauge("voltgraph_graphql_documents_stored", "Documents that are kept ready", multiprocess_mode="livesum")


class Operation:
    """One operation of a document that is known to be good."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        node: OperationDefinitionNode,
        extent: Extent,
        costs: Costs,
        limits: Limits,
    ) -> None:
        self.kind: Kind = node.operation.value
        self.name = node.name.value if node.name else None
        self.node = node
        self.document = document
        self.depth = extent.depth
        self._schema = schema
        self._limits = limits
        self._amount: Amount = costs.of(node)
        self._defaults = {
            one.variable.name.value: value_from_ast_untyped(one.default_value)
            for one in node.variable_definitions or ()
            if one.default_value is not None
        }

    @cached_property
    def plan(self) -> "Plan":
        from gateways.graphql.plans import Plan  # which imports the executor

        return Plan(self._schema, self.document, self.node)

    @cached_property
    def shape(self) -> Shape:
        """Of a subscription."""
        return shape(self._schema, self.document, self.node)

    def cost(self, variables: dict[str, Any] | None = None) -> int:
        """Without a limit. Only lists whose length a variable says are reckoned anew."""
        if isinstance(self._amount, int):
            return self._amount
        return evaluated(self._amount, self._defaults | (variables or {}))

    def price(self, variables: dict[str, Any] | None = None) -> int:
        """The cost; raises `Refused` where it is above the limit."""
        cost = min(self.cost(variables), COST_MAX)
        if cost > self._limits.cost:
            message = f"the operation costs {cost}, more than {self._limits.cost}: ask for fewer or shorter lists"
            raise too_much("cost", message, cost=self._limits.told(cost))
        return cost


class Document:
    """A text that can be executed, once it has been judged."""

    def __init__(
        self, schema: GraphQLSchema, text: str, node: DocumentNode, extents: Sequence[Extent], limits: Limits
    ) -> None:
        self.text = text
        self.node = node
        costs = Costs(schema, node)
        nodes = [one for one in node.definitions if isinstance(one, OperationDefinitionNode)]
        self.operations = [
            Operation(schema, node, one, extent, costs, limits) for one, extent in zip(nodes, extents, strict=True)
        ]
        self._by_name = {one.name: one for one in self.operations}

    def asked(self, name: str | None) -> Operation | None:
        """None where there is none of that name, or several and no name."""
        if name is not None:
            return self._by_name.get(name)
        return self.operations[0] if len(self.operations) == 1 else None

    def operation(self, name: str | None = None) -> Operation:
        """Raises `Refused` where there is none."""
        found = self.asked(name)
        if found is not None:
            return found
        if name is not None:
            raise wrong(f"Unknown operation named '{name}'.")
        several = "Must provide operation name if query contains multiple operations."
        raise wrong(several if self.operations else "Must provide an operation.")


class Recent(Generic[Value]):
    """The newest few of what was met once, and the most of the room for what was met again.

    So whoever sends a new text every time pushes out only others that nobody has asked twice.
    """

    def __init__(self, *, count: int, weight: int) -> None:
        self._count = count
        self._weight = weight
        self._once: OrderedDict[bytes, tuple[Value, int]] = OrderedDict()
        self._again: OrderedDict[bytes, tuple[Value, int]] = OrderedDict()
        self._weight_of_all = 0
        self._weight_of_again = 0

    def __len__(self) -> int:
        return len(self._once) + len(self._again)

    def get(self, key: bytes) -> Value | None:
        found = self._again.get(key)
        if found is not None:
            self._again.move_to_end(key)
            return found[0]
        found = self._once.pop(key, None)
        if found is None:
            return None
        self._again[key] = found
        self._weight_of_again += found[1]
        self._demote()
        return found[0]

    def put(self, key: bytes, value: Value, weight: int) -> None:
        """A key that is not there."""
        if weight > self._weight * (1 - HOT):
            return  # it would push out itself
        self._once[key] = value, weight
        self._weight_of_all += weight
        while len(self) > self._count or self._weight_of_all > self._weight:
            _, (_, weight) = self._once.popitem(last=False)
            self._weight_of_all -= weight

    def _demote(self) -> None:
        while len(self._again) > self._count * HOT or self._weight_of_again > self._weight * HOT:
            key, (value, weight) = self._again.popitem(last=False)
            self._once[key] = value, weight
            self._weight_of_again -= weight


Weigh = Callable[[Document], None]
"""Raises `Refused` for what need not be judged, because it asks for too much anyway."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A text that was not seen before. It asks for no more than may be; whether it makes sense is yet to be found."""

    text: str
    key: bytes
    extents: list[Extent] | None
    suggestions: bool

    @property
    def cost(self) -> int:
        """Of parsing and validating it, as `measure` counts: what is new every time is found by no store."""
        return READING + len(self.text) // CHARACTERS_PER_COST


class Documents:
    """The documents of one schema. An AST is some hundred times as large as its text, so that is bounded too."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, count: int = 1_000, characters: int = 300_000) -> None:
        self.limits = limits
        self._schema = schema
        self._good: Recent[Document] = Recent(count=count, weight=characters)
        self._bad: OrderedDict[tuple[bytes, bool], tuple[list[GraphQLError], str | None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._good)

    def look(self, text: str, *, suggestions: bool = True) -> Document:
        """Raises `Refused` where the text cannot be executed or asks for too much."""
        found = self.find(text, suggestions=suggestions)
        return self.read(found) if isinstance(found, Unread) else found

    def find(self, text: str, *, suggestions: bool = True) -> Document | Unread:
        """`look` in less than a millisecond: a text that was not seen before is to be read, which may have its price.

        `suggestions` is whether errors may name what the client could have meant, and so show of the schema.
        """
        if len(text) > self.limits.characters:
            return self._scanned(text, b"", suggestions)  # which refuses it: it is not worth a hash
        key = _key(text)
        found = self._good.get(key)
        if found is not None:
            _HIT.inc()
            return found
        bad = self._bad.get((key, suggestions))
        if bad is None:
            return self._scanned(text, key, suggestions)
        self._bad.move_to_end((key, suggestions))
        _KNOWN_BAD.inc()
        errors, limit = bad
        raise Refused(errors, limit=limit)

    def read(self, unread: Unread, weigh: Weigh | None = None) -> Document:
        """This takes 30 µs and more for each token, 6 µs up to where `weigh` refuses what is new."""
        document = self._good.get(unread.key)
        if document is None:
            document = self._read(unread, weigh)
            _MISS.inc()
            stored = len(self._good)
            self._good.put(unread.key, document, len(unread.text))
            _STORED.inc(len(self._good) - stored)
        return document

    def _scanned(self, text: str, key: bytes, suggestions: bool) -> Unread:
        try:
            return Unread(text, key, scan(text, self.limits), suggestions)
        except Refused as error:
            self._remember(key, suggestions, error)
            raise

    def _read(self, unread: Unread, weigh: Weigh | None) -> Document:
        try:
            node = _parsed(unread.text)
            document = self._measured(unread, node)
            if weigh is not None and isinstance(document, Document):
                weigh(document)
            self._judge(unread, node)
            if isinstance(document, Exception):
                raise document
            return document
        except Refused as error:
            self._remember(unread.key, unread.suggestions, error)
            raise

    def _measured(self, unread: Unread, node: DocumentNode) -> Document | Exception:
        """What goes wrong with a document that cannot be executed is for its judge to say."""
        if unread.extents is None:
            return wrong("the document is not made of operations and fragments")
        try:
            return Document(self._schema, unread.text, node, unread.extents, self.limits)
        except Exception as error:  # it may name fields, types and fragments that are not there
            return error

    def _judge(self, unread: Unread, node: DocumentNode) -> None:
        rules = (ExecutableDefinitionsRule,) if unread.extents is None else RULES
        errors = validate(self._schema, node, rules, max_errors=ERRORS_MAX, hide_suggestions=not unread.suggestions)
        if errors:
            raise Refused([_shown(error) for error in errors])

    def _remember(self, key: bytes, suggestions: bool, error: Refused) -> None:
        _REFUSED.inc()
        if not key or error.limit == "cost":  # of which other variables may ask less
            return
        self._bad[key, suggestions] = error.errors, error.limit
        if len(self._bad) > REFUSALS_MAX:
            self._bad.popitem(last=False)


def _parsed(text: str) -> DocumentNode:
    try:
        return parse(text)
    except GraphQLError as error:
        raise Refused([_shown(error)]) from None


def _key(text: str) -> bytes:
    """JSON may bring half a character, which the parser refuses only later."""
    return sha256(text.encode(errors="surrogatepass")).digest()


def _shown(error: GraphQLError) -> GraphQLError:
    """Without the nodes, which would keep a bad document alive for as long as its errors."""
    shown = GraphQLError(error.message, extensions=dict(INVALID))
    shown.locations = error.locations
    return shown

from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry

from gateways.graphql.documents import Documents
from gateways.graphql.limits import Limits, Refused
from gateways.graphql.measure import ASSUMED, INTROSPECTION, MUTATION, UNKNOWN


def by_length(arguments: Any) -> int:
    return 100 * len(arguments["names"]) + int(arguments["extra"])


def one() -> int:
    return 1


def those_named(names: list[str]) -> list[Any]:
    return []


def reckon(names: list[str], extra: str = "5") -> int:
    return 0


@strawberry.type
class Leaf:
    plain: int


@strawberry.type
class Page:
    nodes: list["Node"]
    total: int


@strawberry.type
class Node:
    plain: int
    leaf: Leaf
    leaves: list[Leaf]
    two: list[Leaf] = strawberry.field(metadata={"size": 2})
    free: int = strawberry.field(resolver=one, metadata={"cost": 0})

    @strawberry.field
    def answered(self) -> int:
        return 1

    @strawberry.field
    def page(self, first: int = 3) -> Page:
        return Page(nodes=[], total=0)


@strawberry.type
class Query:
    @strawberry.field
    def node(self) -> Node | None:
        return None

    @strawberry.field
    def page(self, first: int = 50, after: str | None = None) -> Page | None:
        return None

    named: list[Node] = strawberry.field(resolver=those_named, metadata={"size": "names"})
    reckoned: int = strawberry.field(resolver=reckon, metadata={"cost": by_length})


@strawberry.type
class Mutation:
    @strawberry.mutation
    def change(self) -> Node | None:
        return None

    touch: int = strawberry.mutation(resolver=one, metadata={"cost": 3})


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def nodes(self) -> AsyncIterator[Node]:
        yield Node(plain=0, leaf=Leaf(plain=0), leaves=[], two=[])


STORE = Documents(strawberry.Schema(Query, Mutation, Subscription)._schema, Limits(depth=100, aliases=100))


def cost(text: str, **variables: Any) -> int:
    return STORE.look(text).operation().cost(variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ node { plain } }", 1),
        ("{ node { plain leaf { plain } answered free } }", 2),
        ("{ node { leaves { plain } } }", 1 + ASSUMED),
        ("{ node { two { plain } } }", 1 + 2),
        ("{ page { total } }", 1),
        ("{ page { nodes { plain } } }", 1 + 50),
        ("{ page(first: 4) { nodes { answered } } }", 1 + 4 * 2),
        ("{ page(first: 4) { nodes { two { plain } } } }", 1 + 4 * (1 + 2)),
        ("{ page(first: 4) { nodes { page { nodes { plain } } } } }", 1 + 4 * (1 + 1 + 3)),
        ("{ page(first: 4) { nodes { page(first: 0) { nodes { plain } } } } }", 1 + 4 * 2),
        ("{ page(first: 4) { ... { nodes { plain } } ... on Page { nodes { plain } } } }", 1 + 4 + 4),
        ('{ named(names: ["a", "b", "c"]) { plain } }', 1 + 3),
        ('{ named(names: "a") { plain } }', 1 + 1),
        ('{ reckoned(names: ["a", "b"]) }', 205),
        ('{ reckoned(names: [], extra: "7") }', 7),
        ('{ reckoned(names: [], extra: "strange") }', UNKNOWN),
        ("{ __typename node { __typename } }", 1),
        ("{ __schema { types { name } } }", INTROSPECTION["__schema"]),
        ('{ __type(name: "Node") { name } node { plain } }', INTROSPECTION["__type"] + 1),
        ("mutation { change { answered leaf { plain } } touch }", MUTATION + 1 + 3),
        ("subscription { nodes { answered } }", 2),
    ],
)
def test_what_an_operation_costs(text: str, expected: int) -> None:
    assert cost(text) == expected


def test_fragments_cost_what_is_in_them_where_they_are_spread() -> None:
    fragments = "fragment P on Page { nodes { ...N } } fragment N on Node { answered }"

    assert cost(f"{{ page(first: 4) {{ ...P }} }} {fragments}") == 1 + 4 * 2
    both = f"{{ a: page(first: 4) {{ ...P }} b: page(first: 7) {{ ...P }} }} {fragments}"
    assert cost(both) == 1 + 4 * 2 + 1 + 7 * 2


def test_variables_count_at_each_request() -> None:
    selected = "page(first: $n) { nodes { plain } } named(names: $names) { plain }"
    text = f"query Q($n: Int! = 7, $names: [String!]!) {{ {selected} }}"

    assert cost(text, names=["a"]) == 1 + 7 + 1 + 1
    assert cost(text, names=["a", "b"], n=500) == 1 + 500 + 1 + 2
    assert cost(text, names="a") == 1 + 7 + 1 + 1
    assert cost('query Q($a: String!) { named(names: ["x", $a]) { plain } }', a="b") == 1 + 2
    assert cost("query Q($e: String) { reckoned(names: [], extra: $e) }", e="9") == 9
    assert cost("query Q($e: String) { reckoned(names: [], extra: $e) }") == 5
    assert cost("query Q($n: Int) { page(first: $n) { nodes { plain } } }") == 1 + 50


@pytest.mark.parametrize("many", [500, 500.0])
def test_numbers_count_however_json_writes_them(many: float) -> None:
    """GraphQL takes both for the same Int."""
    assert cost("query Q($n: Int!) { page(first: $n) { nodes { plain } } }", n=many) == 1 + 500


@pytest.mark.parametrize("strange", ["x", None, True, 1.5, 1e300, {}, -3, 10**30])
def test_strange_variables_cost_something_and_break_nothing(strange: Any) -> None:
    assert cost("query Q($n: Int! = 7) { page(first: $n) { nodes { plain } } }", n=strange) >= 1
    assert cost("query Q($names: [String!]!) { named(names: $names) { plain } }", names=strange) >= 1
    assert cost("query Q($names: [String!]!) { reckoned(names: $names) }", names=strange) >= 1


def test_operations_of_one_document_have_their_own_defaults() -> None:
    document = STORE.look(
        "query A($n: Int! = 2) { ...F } query B($n: Int! = 3) { ...F }"
        "fragment F on Query { page(first: $n) { nodes { plain } } }"
    )

    assert [document.operation(name).cost(None) for name in "AB"] == [3, 4]


@pytest.mark.parametrize("first", ["2", "$n"])
def test_chained_fragments_are_measured_once_each(first: str) -> None:
    """Each spreads the next one twice: one by one this would be 2**40 of them."""
    links = 40
    page = f"page(first: {first}) {{ ...F%d }}"
    chain = " ".join(
        f"fragment F{n} on Page {{ nodes {{ {page % (n + 1)} again: {page % (n + 1)} }} }}" for n in range(links)
    )
    last = f"fragment F{links} on Page {{ nodes {{ answered page(first: $n) {{ total }} }} }}"
    wide = Limits(depth=1_000, aliases=1_000, definitions=1_000, fields=2**100)
    store = Documents(STORE._schema, wide)

    operation = store.look(f"query Q($n: Int!) {{ node {{ {page % 0} }} }} {chain} {last}").operation()

    within = 1 + 1
    for _ in range(links):
        within = 2 * (1 + 2 * (1 + within))
    assert operation.cost({"n": 2}) == 1 + 1 + 2 * (1 + within)


def test_an_operation_that_costs_too_much_is_refused() -> None:
    operation = STORE.look("query Q($n: Int!) { page(first: $n) { nodes { plain } } }").operation()

    assert operation.price({"n": 9_999}) == 10_000
    with pytest.raises(Refused, match="costs 10001, more than 10000") as refused:
        operation.price({"n": 10_000})
    assert refused.value.limit == "cost"
    assert refused.value.cost == {"requested": 10_001, "maximum": 10_000}
    assert refused.value.errors[0].extensions == {"code": "LIMIT", "limit": "cost"}


@pytest.mark.parametrize("asked", [2**63, 10**30])
def test_a_cost_beyond_measure_can_still_be_told(asked: int) -> None:
    with pytest.raises(Refused) as refused:
        STORE.look("query Q($n: Int!) { page(first: $n) { nodes { plain } } }").operation().price({"n": asked})
    assert refused.value.cost == {"requested": 2**53 - 1, "maximum": 10_000}

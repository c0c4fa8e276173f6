import gc
import weakref
from typing import Any

import pytest
import strawberry
from graphql import get_introspection_query, parse, validate
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from gateways.graphql import documents
from gateways.graphql.documents import REFUSALS_MAX, Document, Documents, Recent, Unread
from gateways.graphql.limits import Limits, Refused
from tests.gateways.graphql.conftest import a_schema

CORE = a_schema()._schema


class Counted:
    """How often the expensive parts ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parsed = self.validated = 0

        def counting_parse(text: str) -> Any:
            self.parsed += 1
            return parse(text)

        def counting_validate(*given: Any, **options: Any) -> Any:
            self.validated += 1
            return validate(*given, **options)

        monkeypatch.setattr("gateways.graphql.documents.parse", counting_parse)
        monkeypatch.setattr("gateways.graphql.documents.validate", counting_validate)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def lookups(result: str) -> float:
    return REGISTRY.get_sample_value("voltgraph_graphql_documents_total", {"result": result}) or 0


def a_store(**limits: int) -> Documents:
    return Documents(CORE, Limits(**limits))


def messages(store: Documents, text: str, *, suggestions: bool = True) -> list[str]:
    with pytest.raises(Refused) as refused:
        store.look(text, suggestions=suggestions)
    for error in refused.value.errors:
        assert error.extensions is not None
        assert error.extensions["code"] in ("INVALID", "LIMIT")
    return [error.message for error in refused.value.errors]


def test_a_document_is_parsed_and_validated_once(counted: Counted) -> None:
    store = a_store()
    hits, misses = lookups("hit"), lookups("miss")

    first = store.look("{ name }")

    assert all(store.look("{ name }") is first for _ in range(10))
    assert (counted.parsed, counted.validated) == (1, 1)
    assert (lookups("miss"), lookups("hit")) == (misses + 1, hits + 10)
    assert store.look("{ name  }") is not first


def test_limits_do_not_keep_documents_from_being_found_again(counted: Counted) -> None:
    store = a_store(tokens=3, depth=1, aliases=1, directives=1, cost=1)
    hits = lookups("hit")

    for _ in range(5):
        assert store.look("{ name }").operation().price(None) == 1

    assert counted.validated == 1
    assert lookups("hit") == hits + 4


def test_a_new_text_is_found_to_be_unread_before_anything_is_done_for_it(counted: Counted) -> None:
    store = a_store()

    unread = store.find("{ name }")

    assert isinstance(unread, Unread)
    assert counted.parsed == 0
    longer = store.find("{ deeper { " + "name " * 50 + "} }")
    assert isinstance(longer, Unread)
    assert longer.cost > unread.cost
    document = store.read(unread)
    assert store.find("{ name }") is document
    assert store.read(unread) is document, "another request has read it meanwhile"
    assert len(store) == 1


def test_a_bad_document_is_judged_once(counted: Counted) -> None:
    store = a_store()
    refused, known = lookups("refused"), lookups("known_bad")

    for _ in range(3):
        assert "Cannot query field 'nam'" in messages(store, "{ nam }")[0]
        assert "Syntax Error" in messages(store, "{ name")[0]

    assert (counted.parsed, counted.validated) == (2, 1)
    assert (lookups("refused"), lookups("known_bad")) == (refused + 2, known + 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{ nam listed { name } }", "Cannot query field 'nam'"),
        ("{ ...F } fragment F on Query { ...F }", "Cannot spread fragment 'F'"),
        ("{ ...F } fragment F on Query { listed { ...F } }", "Cannot spread fragment 'F'"),
        ("{ ...G listed { name } }", "Unknown fragment 'G'"),
        ("{ name { name } }", "must not have a selection"),
        ("{ listed }", "must have a selection"),
        ("{ ... on Nobody { name } }", "Unknown type 'Nobody'"),
        ("{ ... on Tick { number } }", "can never be of type 'Tick'"),
        ("query A { name } query A { name }", "only one operation named 'A'"),
    ],
)
def test_what_makes_no_sense_is_weighed_without_harm_and_told_why(text: str, told: str) -> None:
    assert any(told in message for message in messages(a_store(), text))


def test_what_is_known_of_bad_documents_has_an_end(counted: Counted) -> None:
    store = a_store()
    for number in range(REFUSALS_MAX + 1):
        messages(store, f"{{ bad{number} }}")

    messages(store, f"{{ bad{REFUSALS_MAX} }}")
    assert counted.parsed == REFUSALS_MAX + 1
    messages(store, "{ bad1 }")
    messages(store, "{ another }")
    messages(store, "{ bad1 }")
    assert counted.parsed == REFUSALS_MAX + 2, "those that are sent again are kept"
    messages(store, "{ bad0 }")
    assert counted.parsed == REFUSALS_MAX + 3


def test_who_may_not_know_the_schema_gets_no_suggestions() -> None:
    store = a_store()
    for _ in range(2):
        assert messages(store, "{ nam }") == ["Cannot query field 'nam' on type 'Query'. Did you mean 'name'?"]
        assert messages(store, "{ nam }", suggestions=False) == ["Cannot query field 'nam' on type 'Query'."]


def test_errors_say_where_and_do_not_keep_the_document() -> None:
    with pytest.raises(Refused) as refused:
        a_store().look("{\n  nam\n}")

    (error,) = refused.value.errors
    assert error.formatted["locations"] == [{"line": 2, "column": 3}]
    assert (error.nodes, error.source) == (None, None)


def test_there_are_not_more_errors_than_anybody_reads() -> None:
    told = messages(a_store(), "{ deeper { " + " ".join(f"bad{n}" for n in range(500)) + " } }")

    assert len(told) == documents.ERRORS_MAX + 1
    assert "Validation aborted" in told[-1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Unexpected <EOF>"),
        ("type Query { name: String }", "The 'Query' definition is not executable."),
        ("{ name } type A { a: Int }", "The 'A' definition is not executable."),
        ('{ echo(text: "\ud800") }', "Invalid character within String"),
        ("{ name } { name }", "This anonymous operation must be the only defined operation."),
        ("fragment A on Query { name }", "Fragment 'A' is never used."),
        ("{ echo(text: " + "[" * 900 + "]" * 900 + ") }", "nested too deeply"),
        ("{ ...F0 }" + "".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(45)), "Unknown fragment"),
    ],
)
def test_what_cannot_be_executed_says_why(text: str, told: str) -> None:
    assert told in messages(a_store(), text)[0]


def test_of_inputs_that_are_one_of_several_there_is_one() -> None:
    @strawberry.input(one_of=True)
    class One:
        a: strawberry.Maybe[int]
        b: strawberry.Maybe[int]

    @strawberry.type
    class Query:
        @strawberry.field
        def change(self, one: One) -> bool:
            return bool(one)

    store = Documents(strawberry.Schema(Query)._schema, Limits())

    assert "must specify exactly one key" in messages(store, "{ change(one: {a: 1, b: 2}) }")[0]


def test_an_operation_is_found_by_its_name() -> None:
    several = a_store().look("query A { name } mutation B { act } subscription C { forever }")

    assert [several.operation(name).kind for name in "ABC"] == ["query", "mutation", "subscription"]
    assert several.operation("B").name == "B"
    assert a_store().look("query A { name }").operation(None).name == "A"


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("query A { name } query B { name }", None, "Must provide operation name"),
        ("query A { name }", "B", "Unknown operation named 'B'."),
        ("query A { name }", "", "Unknown operation named ''."),
    ],
)
def test_an_operation_that_nobody_can_mean_is_refused(text: str, name: str | None, told: str) -> None:
    with pytest.raises(Refused, match=told) as refused:
        a_store().look(text).operation(name)

    assert refused.value.limit is None
    assert refused.value.errors[0].extensions == {"code": "INVALID"}


def test_depth_is_that_of_each_operation() -> None:
    document = a_store().look("query A { name } query B { deeper { ...F } } fragment F on Query { deeper { name } }")

    assert [document.operation(name).depth for name in "AB"] == [1, 3]


def test_introspection_is_an_operation_like_others() -> None:
    assert a_store().look(get_introspection_query()).operation().kind == "query"


def test_an_operation_has_one_plan() -> None:
    operation = a_store().look("{ name }").operation()

    assert operation.plan is operation.plan


def test_a_flood_of_new_texts_leaves_those_that_are_asked_again(counted: Counted) -> None:
    store = Documents(CORE, Limits(), count=20)
    hot = [f"query Hot{number} {{ name }}" for number in range(10)]
    for text in hot * 2:
        store.look(text)

    for number in range(500):
        store.look(f"query Flood{number} {{ name }}")

    assert len(store) == 20
    read = counted.parsed
    for text in hot:
        assert isinstance(store.find(text), Document)
    assert counted.parsed == read


def test_of_those_that_are_asked_again_the_last_ones_asked_stay() -> None:
    store = Documents(CORE, Limits(), count=5)
    texts = [f"query Q{number} {{ name }}" for number in range(4)]
    for text in [*texts * 2, texts[0], "query New { name }", "query New { name }"]:
        store.look(text)

    for number in range(10):
        store.look(f"query Flood{number} {{ name }}")

    assert [isinstance(store.find(text), Document) for text in texts] == [True, False, True, True]


def test_long_documents_are_few() -> None:
    texts = [f"{{ deeper {{ {'name ' * 40} }} a{number:02}: name }}" for number in range(30)]
    store = Documents(CORE, Limits(), characters=10 * len(texts[0]))
    for text in texts:
        store.look(text)

    assert len(store) == 10
    store.look(f"{{ deeper {{ {'name ' * 41} }} {' ' * 3 * len(texts[0])} }}")
    assert len(store) == 10, "what would take a third of the room is not kept, and pushes nothing out"
    assert all(isinstance(store.find(text), Document) for text in texts[-10:])


def test_a_document_that_is_pushed_out_is_gone() -> None:
    store = Documents(CORE, Limits(), count=1)
    document = weakref.ref(store.look("{ name }"))

    store.look("{ deeper { name } }")

    gc.collect()
    assert document() is None


def test_how_many_are_stored_is_shown() -> None:
    def stored() -> float:
        return REGISTRY.get_sample_value("voltgraph_graphql_documents_stored") or 0

    before = stored()
    store = Documents(CORE, Limits(), count=3)
    for number in range(5):
        store.look(f"query Q{number} {{ name }}")

    assert stored() == before + 3


@given(
    st.integers(1, 8),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 20)), max_size=120),
)
def test_what_is_recent_is_bounded_and_never_wrong(count: int, weight: int, steps: list[tuple[int, int]]) -> None:
    recent: Recent[int] = Recent(count=count, weight=weight)
    weights: dict[int, int] = {}
    for key, heavy in steps:
        found = recent.get(bytes([key]))
        assert found in (None, key)
        if found is None:
            weights[key] = heavy
            recent.put(bytes([key]), key, heavy)
        kept = [*recent._once.items(), *recent._again.items()]
        assert len(recent) == len(kept) == len({name for name, _ in kept}) <= count
        assert recent._weight_of_all == sum(one for _, (_, one) in kept) <= weight
        assert recent._weight_of_again == sum(one for _, one in recent._again.values())
        assert all(weights[value] == one for _, (value, one) in kept)

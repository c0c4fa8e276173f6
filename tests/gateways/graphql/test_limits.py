from random import Random
from typing import Any

import pytest
from graphql import get_introspection_query
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from gateways.graphql import documents
from gateways.graphql.documents import Documents
from gateways.graphql.limits import Limits, Refused
from gateways.graphql.scan import measured, scan
from tests.gateways.graphql.conftest import a_schema
from tests.gateways.graphql.writing import Asked, Writer, asked

CORE = a_schema()._schema
LIMITS = Limits()
BODY_CHARACTERS = 1_000_000


def limit_of(text: str, limits: Limits = LIMITS) -> str | None:
    """Which limit refuses a text."""
    try:
        scan(text, limits)
    except Refused as error:
        return error.limit
    return None


def nested(depth: int) -> str:
    return "{ " + "deeper { " * (depth - 1) + "name" + " }" * depth


def chained(links: int) -> str:
    """Each fragment spreads the next one twice: unfolded there are 2 to the power of `links`."""
    spreads = "".join(
        f"fragment F{n} on Query {{ deeper {{ ...F{n + 1} }} again: deeper {{ ...F{n + 1} }} }}" for n in range(links)
    )
    return f"{{ ...F0 }} {spreads} fragment F{links} on Query {{ name }}"


def exactly(found: Asked, **less: int) -> Limits:
    """Limits that a document just keeps, but for those of which there is less."""
    operations = found.extents
    just = {
        "characters": BODY_CHARACTERS,
        "tokens": found.tokens,
        "aliases": found.aliases,
        "directives": found.directives,
        "definitions": found.definitions,
        "repeats": found.repeats,
        "nesting": found.nesting,
        "depth": max((one.depth for one in operations), default=0),
        "fields": max((one.fields for one in operations), default=0),
        "root_fields": max((one.root_fields for one in operations), default=0),
    }
    return Limits(**{name: value - less.get(name, 0) for name, value in just.items()})


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**63))
def test_the_text_tells_what_the_tree_would(seed: int) -> None:
    text = Writer(Random(seed)).document()
    found = asked(text)

    told = measured(text)

    assert told is not None
    assert told.extents() == found.extents
    for name in ("aliases", "directives", "definitions", "repeats", "nesting"):
        assert getattr(told, name) == getattr(found, name), name


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**63))
def test_what_is_allowed_is_never_refused_and_one_more_is(seed: int) -> None:
    text = Writer(Random(seed)).document()
    found = asked(text)
    limits = exactly(found)

    assert limit_of(text, limits) is None
    for name in ("tokens", "aliases", "directives", "definitions", "repeats", "nesting", "depth", "fields"):
        if getattr(limits, name):
            assert limit_of(text, exactly(found, **{name: 1})) == name


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='{}()[]:@.#"\\\n\r ,$!=&|aon1-é\ufeff', max_size=60))
def test_what_is_no_document_is_left_to_the_parser(text: str) -> None:
    """Whatever it is, the scan ends and does not fail."""
    assert limit_of(text) is None


@pytest.mark.parametrize("nothing", ["", "type A { a: Int }", "{ a", "} {", "{ a } }", "a { b }", "query A B { a }"])
def test_what_is_not_made_of_operations_and_fragments_is_not_measured(nothing: str) -> None:
    assert not scan(nothing, LIMITS)


def test_graphiqls_introspection_is_within_the_limits() -> None:
    text = get_introspection_query(
        schema_description=True, specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )

    (extent,) = scan(text, LIMITS) or []

    assert extent.depth == 1, "introspection is not deep"


def test_fields_of_introspection_are_not_deep_wherever_they_are_asked() -> None:
    deep = "types { fields { type { ofType { ofType { ofType { name } } } } } }"

    assert limit_of(f"{{ __schema {{ {deep} }} }}", Limits(depth=1)) is None
    assert limit_of(f"{{ s: __schema {{ ...S }} }} fragment S on __Schema {{ {deep} }}", Limits(depth=1)) is None
    assert limit_of("{ deeper { ... on Query { name } } }", Limits(depth=1)) == "depth"


def test_fragments_count_where_they_are_spread() -> None:
    fragment = "fragment Deep on Query { deeper { deeper { name } } }"
    limits = Limits(depth=5)

    assert limit_of(f"{{ deeper {{ deeper {{ ...Deep }} }} }} {fragment}", limits) is None
    assert limit_of(f"{{ deeper {{ deeper {{ deeper {{ ...Deep }} }} }} }} {fragment}", limits) == "depth"
    inline = f"{{ deeper {{ deeper {{ ... on Query {{ deeper {{ ...Deep }} }} }} }} }} {fragment}"
    assert limit_of(inline, limits) == "depth"


def test_a_fragment_is_at_the_root_once_and_unfolded_as_often_as_it_is_spread() -> None:
    (extent,) = scan("{ ...A ...A deeper { ...A } } fragment A on Query { name other: name }", LIMITS) or []

    assert (extent.root_fields, extent.fields) == (3, 7)


def test_fragments_that_spread_themselves_are_left_to_validation() -> None:
    text = "{ ...A } fragment A on Query { deeper { ...A } }"

    with pytest.raises(Refused) as refused:
        Documents(CORE, LIMITS).look(text)

    assert refused.value.limit is None
    assert "spread fragment 'A' within itself" in refused.value.errors[0].message


def test_a_chain_of_fragments_is_unfolded_once_for_each() -> None:
    wide = Limits(depth=1_000, definitions=1_000, aliases=1_000, fields=2**82)
    told = measured(chained(80))

    assert told is not None
    (extent,) = told.extents()
    assert extent.fields == 2**80 + 2 * (2**80 - 1)
    assert limit_of(chained(80), wide) is None
    assert limit_of(chained(80), Limits(depth=1_000, definitions=1_000, aliases=1_000)) == "fields"


def test_a_chain_too_long_to_follow_is_too_deep() -> None:
    endless = "".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(3_000))

    limits = Limits(characters=BODY_CHARACTERS, tokens=100_000, definitions=100_000)
    assert limit_of(f"{{ ...F0 }} {endless}", limits) == "depth"


ABUSES = {
    "characters": "{ " + "name " * (BODY_CHARACTERS // 5) + "}",
    "tokens": "{ " + "name " * 5_000 + "}",
    "depth": nested(30),
    "nesting": nested(300),
    "root_fields": "{ " + " ".join(f"a{n}: name" for n in range(31)) + " }",
    "aliases": "{ " + " ".join(f"a{n}: name" for n in range(300)) + " }",
    "directives": "{ name " + "@include(if: true) " * 250 + "}",
    "definitions": chained(80).replace("again: ", ""),
    "repeats": "{ deeper { " + "name " * 900 + "} }",
    "fields": chained(11),
}


@pytest.mark.parametrize(("limit", "text"), ABUSES.items())
def test_what_asks_for_too_much_is_refused_before_it_is_parsed(
    limit: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    monkeypatch.setattr(documents, "parse", parsed.append)
    refused = REGISTRY.get_sample_value("voltgraph_graphql_refusals_total", {"limit": limit}) or 0

    for _ in range(2):
        with pytest.raises(Refused) as error:
            Documents(CORE, LIMITS).look(text)
        assert error.value.limit == limit
        assert [one.extensions for one in error.value.errors] == [{"code": "LIMIT", "limit": limit}]
    assert REGISTRY.get_sample_value("voltgraph_graphql_refusals_total", {"limit": limit}) == refused + 2
    assert parsed == []


@pytest.mark.parametrize(
    "text",
    [
        '{ echo(text: "{{{{{{{{ a: b @c ...") }',
        '{ echo(text: "\\"{{{{{{{{") }',
        '{ echo(text: """ {{{{{{{{ \\""" "{{" """) }',
        "{ name # {{{{{{{{ a: b @c\n}",
        "{ deeper(filter: {a: {b: {c: {d: {e: {f: 1}}}}}}) { name } }",
        "query Q($in: In = {a: {b: {c: {d: {e: {f: 1}}}}}}) { name }",
    ],
)
def test_braces_that_select_nothing_are_not_deep(text: str) -> None:
    limits: dict[str, Any] = {"depth": 2, "nesting": 2, "aliases": 0, "directives": 0}
    (extent,) = scan(text, Limits(**limits)) or []

    assert extent.root_fields == 1

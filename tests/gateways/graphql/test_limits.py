from typing import Any

import pytest
from graphql import parse

from gateways.graphql.limits import is_deeper
from tests.gateways.graphql.conftest import Caller, a_schema

pytestmark = pytest.mark.anyio

SCHEMA = a_schema()


def nested(depth: int) -> str:
    return "{ " + "deeper { " * (depth - 1) + "name" + " }" * depth


async def codes(query: str) -> list[Any]:
    result = await SCHEMA.execute(query, context_value=Caller(None))
    return [(error.extensions or {}).get("code") for error in result.errors or []]


async def test_what_is_nested_too_deep_is_refused() -> None:
    assert await codes(nested(5)) == []
    assert await codes(nested(6)) == ["LIMIT"]


async def test_fragments_count_where_they_are_spread() -> None:
    fragment = "fragment Deep on Query { deeper { deeper { name } } }"

    assert await codes(f"{{ deeper {{ deeper {{ ...Deep }} }} }} {fragment}") == []
    assert await codes(f"{{ deeper {{ deeper {{ deeper {{ ...Deep }} }} }} }} {fragment}") == ["LIMIT"]
    assert await codes(f"{{ deeper {{ deeper {{ ... on Query {{ deeper {{ ...Deep }} }} }} }} }} {fragment}") == [
        "LIMIT"
    ]


async def test_a_document_that_is_too_long_is_refused() -> None:
    assert await codes("{ " + "name " * 197 + "}") == []
    assert await codes("{ " + "name " * 300 + "}") == ["LIMIT"]


async def test_introspection_is_not_too_deep() -> None:
    deep = "{ __schema { types { fields { type { ofType { ofType { ofType { name } } } } } } } }"

    assert await codes(deep) == []


async def test_fragments_that_spread_themselves_are_left_to_validation() -> None:
    result = await SCHEMA.execute("{ ...A } fragment A on Query { deeper { ...A } }", context_value=Caller(None))

    assert "spread fragment 'A' within itself" in str((result.errors or [])[0])


def test_each_fragment_is_measured_once() -> None:
    """Each spreads the next one twice: unfolded there are 2**30 of them."""
    chain = "".join(
        f"fragment F{n} on Query {{ a: deeper {{ ...F{n + 1} }} b: deeper {{ ...F{n + 1} }} }}" for n in range(30)
    )
    document = parse(f"{{ ...F0 }} {chain} fragment F30 on Query {{ name }}")

    assert is_deeper(document, 30)
    assert not is_deeper(document, 31)


def test_a_chain_too_long_to_follow_is_too_deep() -> None:
    chain = "".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(2_000))

    assert is_deeper(parse(f"{{ ...F0 }} {chain} fragment F2000 on Query {{ name }}"), 15)


async def test_the_limits_hold_for_subscriptions_too() -> None:
    stream = await SCHEMA.subscribe(nested(9).replace("{", "subscription {", 1), context_value=Caller(None))
    codes = [(error.extensions or {}).get("code") async for result in stream for error in result.errors or []]

    assert codes == ["LIMIT"]

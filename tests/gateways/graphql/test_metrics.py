from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.gateways.graphql.conftest import Caller, a_schema

pytestmark = pytest.mark.anyio

SCHEMA = a_schema()


def counted(kind: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("voltgraph_graphql_operations_total", {"kind": kind, "outcome": outcome}) or 0.0


def running(kind: str) -> float:
    return REGISTRY.get_sample_value("voltgraph_graphql_operations_running", {"kind": kind}) or 0.0


@pytest.mark.parametrize(
    ("query", "kind", "outcome"),
    [
        ("{ name }", "query", "OK"),
        ("mutation { act }", "mutation", "OK"),
        ("{ deeper { deeper { deeper { deeper { deeper { name } } } } } }", "query", "LIMIT"),
        ("{", "unknown", "unknown"),
    ],
)
async def test_operations_are_counted_by_how_they_end(query: str, kind: str, outcome: str) -> None:
    before = counted(kind, outcome)

    await SCHEMA.execute(query, context_value=Caller(None))

    assert counted(kind, outcome) == before + 1
    assert running(kind) == 0


async def test_a_subscription_counts_when_it_ends_and_runs_until_then() -> None:
    before = counted("subscription", "OK")
    items_before = REGISTRY.get_sample_value("voltgraph_graphql_items_total") or 0.0

    stream: Any = await SCHEMA.subscribe("subscription { forever }", context_value=Caller(None))
    await anext(stream)
    await anext(stream)
    assert (running("subscription"), counted("subscription", "OK")) == (1, before)
    await stream.aclose()

    assert (running("subscription"), counted("subscription", "OK")) == (0, before + 1)
    assert REGISTRY.get_sample_value("voltgraph_graphql_items_total") == items_before + 2

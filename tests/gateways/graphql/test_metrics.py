from typing import Any

import pytest
import strawberry
from prometheus_client import REGISTRY
from uuid_utils.compat import uuid7

from gateways.graphql import Answer, Call, Engine, Executor, Limits, Rights, metrics
from tests.gateways.graphql.conftest import Caller, Mutation, Query, Subscription

pytestmark = pytest.mark.anyio

SCHEMA = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription, execution_context_class=Executor)
ENGINE = Engine(SCHEMA, limits=Limits(depth=5))
RIGHTS = Rights("ada")
DEEP = "{ deeper { deeper { deeper { deeper { deeper { name } } } } } }"


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"voltgraph_graphql_{name}", labels) or 0.0


def counted(kind: str, operation: str, outcome: str) -> float:
    return sample("operations_total", kind=kind, operation=operation, outcome=outcome)


def measured(operation: str) -> list[float]:
    """How often each phase was."""
    phases = ("prepare", "execute", "encode")
    return [sample("phase_seconds_count", phase=phase, operation=operation) for phase in phases]


def running(kind: str) -> float:
    return sample("operations_running", kind=kind)


async def answer(query: str, **call: Any) -> Answer:
    return await ENGINE.execute(Call(query, **call), Caller(None), RIGHTS)


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests have names of their own."""
    monkeypatch.setattr(metrics, "_METERS", {})


async def test_strangers_names_have_no_series() -> None:
    before = counted("query", "other", "OK")

    await ENGINE.execute(Call("query Strange { name }"), Caller(None), Rights("nobody", named=False))

    assert counted("query", "other", "OK") == before + 1
    assert counted("query", "Strange", "OK") == 0


@pytest.fixture
def name() -> str:
    """Of an operation that nobody has asked before."""
    return f"Of{uuid7().hex}"


@pytest.mark.parametrize(
    ("query", "kind", "operation", "outcome"),
    [
        ("{ name }", "query", "", "OK"),
        ("query Mine { name }", "query", "Mine", "OK"),
        ("mutation Ours { act }", "mutation", "Ours", "OK"),
        ("query Mine($d: Boolean!) { name @skip(if: $d) }", "query", "Mine", "unknown"),
        (f"query Deep {DEEP}", "unknown", "", "LIMIT"),
        ("query Mine {", "unknown", "", "INVALID"),
        ("query Mine { nothing }", "unknown", "", "INVALID"),
    ],
)
async def test_operations_are_counted_by_how_they_end(query: str, kind: str, operation: str, outcome: str) -> None:
    before = counted(kind, operation, outcome)

    await answer(query)

    assert counted(kind, operation, outcome) == before + 1
    assert (running("query"), running("mutation")) == (0, 0)


async def test_each_phase_of_an_operation_is_measured_once(name: str) -> None:
    (await answer(f"query {name} {{ name }}")).encoded()

    assert measured(name) == [1, 1, 1]


async def test_of_a_subscription_each_event_is_measured(name: str) -> None:
    asked = Call(f"subscription {name} {{ ticks(count: 3) {{ number }} }}")
    async for event in ENGINE.stream(asked, Caller(None), RIGHTS):
        event.encoded()

    assert measured(name) == [1, 3, 3]


async def test_a_subscription_counts_when_it_ends_and_runs_until_then(name: str) -> None:
    items_before = sample("items_total")

    stream = ENGINE.stream(Call(f"subscription {name} {{ ticks(count: 9) {{ number }} }}"), Caller(None), RIGHTS)
    await anext(stream)
    await anext(stream)
    assert (running("subscription"), counted("subscription", name, "OK")) == (1, 0)
    await stream.aclose()

    assert (running("subscription"), counted("subscription", name, "OK")) == (0, 1)
    assert sample("items_total") == items_before + 2


async def test_what_is_refused_is_counted_by_its_limit() -> None:
    before = sample("refusals_total", limit="depth")

    for _ in range(2):
        await answer(f"query Deeper {DEEP}")

    assert sample("refusals_total", limit="depth") == before + 2


async def test_documents_are_counted_by_what_was_known_of_them(name: str) -> None:
    def looked_up() -> dict[str, float]:
        return {result: sample("documents_total", result=result) for result in ("hit", "miss", "known_bad", "refused")}

    before, stored = looked_up(), sample("documents_stored")

    for query in (f"query {name} {{ name }}", f"query {name} {{ nothing }}"):
        for _ in range(3):
            await answer(query)

    new = {result: count - before[result] for result, count in looked_up().items()}
    assert new == {"hit": 2, "miss": 1, "known_bad": 2, "refused": 1}
    assert sample("documents_stored") == stored + 1


async def test_names_that_clients_invent_do_not_become_series_without_end(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(metrics, "_METERS", {})
    monkeypatch.setattr(metrics, "_NAMES_MAX", 2)
    before = counted("query", "other", "OK")

    for number in range(4):
        await answer(f"query {name}{number} {{ name }}")

    assert [counted("query", f"{name}{number}", "OK") for number in range(4)] == [1, 1, 0, 0]
    assert counted("query", "other", "OK") == before + 2


async def test_a_name_too_long_for_a_label_is_one_of_the_others() -> None:
    before = counted("query", "other", "OK")

    await answer(f"query {'x' * 5_000} {{ name }}")

    assert counted("query", "other", "OK") == before + 1

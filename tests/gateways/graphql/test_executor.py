import asyncio
from typing import Any

import pytest
import strawberry
from graphql import OperationDefinitionNode, parse
from graphql.execution import create_source_event_stream, map_source_to_response_event

from gateways.graphql.executor import Executor
from gateways.graphql.plans import Plan
from tests.gateways.graphql.conftest import Caller, Query, Subscription, Tick, a_schema

pytestmark = pytest.mark.anyio

EVENTS = 10_000


class Watched(Executor):
    """Counts what the executor of a subscription remembers."""

    remembered: list[int]

    def build_per_event_executor(self, payload: Any) -> Any:
        Watched.remembered.append(len(self._relevant_sub_fields))
        return super().build_per_event_executor(payload)


async def ticks(count: int, executor: type[Executor], context: Caller) -> list[Any]:
    schema = strawberry.Schema(query=Query, subscription=Subscription, execution_context_class=executor)
    query = f"subscription {{ ticks(count: {count}) {{ number execution }} }}"
    stream = await schema.subscribe(query, context_value=context)
    return [result.data["ticks"] async for result in stream if result.data]


async def test_what_a_subscription_remembers_does_not_grow_with_its_events() -> None:
    """graphql-core 3.3 adds an entry for each."""
    Watched.remembered = []

    told = await ticks(EVENTS, Watched, Caller(None))

    assert len(told) == len(Watched.remembered) == EVENTS
    assert set(Watched.remembered[1:]) == {1}


async def test_what_a_plan_remembers_does_not_grow_with_its_executions() -> None:
    plan = a_plan("subscription { ticks(count: 5) { number execution } }")
    remembered = set()

    for _ in range(100):
        executor = Executor.of(plan, context=Caller(None))
        assert isinstance(executor, Executor)
        source: Any = create_source_event_stream(executor)
        stream = map_source_to_response_event(executor, await source if executor.is_awaitable(source) else source)
        assert [result.data["ticks"]["number"] async for result in stream if result.data] == [0, 1, 2, 3, 4]
        remembered.add(len(executor._relevant_sub_fields))

    assert remembered == {1}


async def test_every_event_has_a_context_of_its_own() -> None:
    context = Caller(None)

    told = await ticks(10, Executor, context)

    executions = {tick["execution"] for tick in told}
    assert len(executions) == 10
    assert str(context.id) not in executions


async def test_operations_of_one_socket_do_not_share_a_context() -> None:
    context = Caller(None)
    seen = await asyncio.gather(*(ticks(1, Executor, context) for _ in range(3)))

    assert len({one[0]["execution"] for one in seen}) == 3


async def test_an_event_that_leaves_nothing_behind_leaves_its_executor_to_the_next() -> None:
    begun = an_executor("subscription { ticks(count: 2) { number } }")

    first = begun.for_event(Tick(number=1))
    assert first is not begun
    assert first.execute_operation(False).data == {"ticks": {"number": 1}}
    second = first.for_event(Tick(number=2))

    assert second is first
    assert second.execute_operation(False).data == {"ticks": {"number": 2}}


async def test_an_event_that_shows_its_context_to_a_resolver_keeps_its_executor_for_itself() -> None:
    executor = an_executor("subscription { ticks(count: 3) { number execution } }")
    seen = set()

    for number in range(3):
        executor = executor.for_event(Tick(number=number))
        seen.add(executor.execute_operation(False).data["ticks"]["execution"])

    assert len(seen) == 3


async def test_an_event_that_fails_keeps_its_error_for_itself() -> None:
    odd: Any = "no number"
    failing = an_executor("subscription { ticks(count: 2) { number } }").for_event(Tick(number=odd))
    [error] = failing.execute_operation(False).errors
    assert error.path == ["ticks", "number"]

    result = failing.for_event(Tick(number=2)).execute_operation(False)

    assert (result.data, result.errors) == ({"ticks": {"number": 2}}, None)


def an_executor(text: str) -> Executor:
    executor = Executor.of(a_plan(text), context=Caller(None))
    assert isinstance(executor, Executor)
    return executor


def a_plan(text: str) -> Plan:
    document = parse(text)
    [operation] = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    return Plan(a_schema()._schema, document, operation)

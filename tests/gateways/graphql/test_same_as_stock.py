"""Whatever a schema, its data and a document are, the answer is byte for byte what stock Strawberry answers."""

import asyncio
import gc
import logging
import re
from collections.abc import Iterator
from random import Random
from typing import Any
from unittest.mock import patch

import orjson
import pytest
import strawberry
from graphql import GraphQLError, OperationDefinitionNode, parse, validate
from graphql.execution import create_source_event_stream, map_source_to_response_event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.extensions import ParserCache, ValidationCache

from gateways.graphql import selections
from gateways.graphql.executor import Executor
from gateways.graphql.plans import Plan
from tests.gateways.graphql.generated import CONFIG, Author, Shape, World, subscription_of, unawaited, variables

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
CACHES = [ParserCache, ValidationCache]  # so that the time goes into executions
EXAMPLES = settings(max_examples=120, deadline=None, suppress_health_check=[*HealthCheck])
SEEDS = st.randoms(use_true_random=True)
FAULTS = st.sampled_from([0.0, 0.05, 0.2])
HOT = st.sampled_from([0, 2, 64])  # uses after which a selection is compiled


# What waits for a resolver and is cancelled before it starts, because a sibling failed: stock leaves as much of it,
# under other names. What the data gives to await is counted (`unawaited`).
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@pytest.fixture(autouse=True)
def _left_behind() -> Iterator[None]:
    yield
    gc.collect()  # here, where the warning is ignored


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    logging.getLogger("strawberry.execution").disabled = True  # it writes each error down, at length
    with asyncio.Runner() as runner:
        yield runner
    logging.getLogger("strawberry.execution").disabled = False


async def answer(data: Any, errors: list[GraphQLError] | None) -> tuple[str, str, int]:
    """As bytes; as Python has it, which tells 1 from 1.0 and from True; and how many awaitables nobody has awaited."""
    told = {"data": data, "errors": [one.formatted for one in errors or ()]}
    encoded = ADDRESS.sub("", orjson.dumps(told, default=repr, option=orjson.OPT_NON_STR_KEYS).decode())
    seen = ADDRESS.sub("", repr((told, [one.original_error for one in errors or ()])))
    while left := asyncio.all_tasks() - {asyncio.current_task()}:  # of siblings of what failed
        await asyncio.wait(left)
    return encoded, seen, unawaited()


async def stock(schema: strawberry.Schema, query: str, values: dict[str, Any], root: Any) -> tuple[str, str, int]:
    result = await schema.execute(query, variable_values=values, root_value=root)
    return await answer(result.data, result.errors)


async def planned(plan: Plan, values: dict[str, Any], root: Any) -> tuple[str, str, int]:
    executor = Executor.of(plan, context=None, variables=values, root=root)
    if isinstance(executor, list):
        return await answer(None, executor)
    result = executor.execute_operation()
    if executor.is_awaitable(result):
        result = await result
    return await answer(result.data, result.errors)


def plan_of(schema: strawberry.Schema, text: str) -> Plan:
    document = parse(text)
    assert validate(schema._schema, document) == []
    [operation] = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    return Plan(schema._schema, document, operation)


def schema_of(world: World, executor: type[Executor] | None = None) -> strawberry.Schema:
    types = [one.shown for one in world.types if one.is_object]
    return strawberry.Schema(
        world.query.shown,
        subscription=subscription_of(world),
        types=types,
        config=CONFIG,
        execution_context_class=executor,
        extensions=CACHES,
    )


def same(expected: tuple[str, str, int], seen: tuple[str, str, int]) -> None:
    assert expected[1] == seen[1]
    assert expected == seen


@EXAMPLES
@given(SEEDS, FAULTS, HOT)
def test_queries_are_answered_as_stock_answers_them(
    runner: asyncio.Runner, random: Random, faults: float, hot: int
) -> None:
    world = World(random, faults=faults)
    ours, bare = schema_of(world, Executor), schema_of(world)
    root = world.thing(world.query)

    with patch.object(selections, "HOT", hot):
        for _ in range(3):
            query = Author(world).query()
            plan = plan_of(ours, query)
            for values in [variables(random) for _ in range(3)]:
                expected = runner.run(stock(bare, query, values, root))
                same(runner.run(planned(plan, values, root)), expected)
                same(runner.run(stock(ours, query, values, root)), expected)


@settings(EXAMPLES, max_examples=60)
@given(SEEDS, FAULTS, HOT)
def test_events_are_answered_as_stock_answers_them(
    runner: asyncio.Runner, random: Random, faults: float, hot: int
) -> None:
    world = World(random, faults=faults)
    ours, bare = schema_of(world, Executor), schema_of(world)
    shape = Shape(world.event, nullable=True)
    events = [world.value(shape) for _ in range(5)]

    with patch.object(selections, "HOT", hot):
        for _ in range(2):
            query = Author(world).subscription("events")
            plan = plan_of(ours, query)
            for values in [variables(random) for _ in range(2)]:
                expected = runner.run(followed(bare, query, values, events))
                assert runner.run(followed_by_plan(plan, values, events)) == expected
                assert runner.run(followed(ours, query, values, events)) == expected


async def followed(schema: strawberry.Schema, query: str, values: dict[str, Any], events: Any) -> list[Any]:
    stream = await schema.subscribe(query, variable_values=values, root_value=events)
    return [await answer(result.data, result.errors) async for result in stream]


async def followed_by_plan(plan: Plan, values: dict[str, Any], events: Any) -> list[Any]:
    executor = Executor.of(plan, context=None, variables=values, root=events)
    assert isinstance(executor, Executor)
    source: Any = create_source_event_stream(executor)
    stream = map_source_to_response_event(executor, await source if executor.is_awaitable(source) else source)
    return [await answer(result.data, result.errors) async for result in stream]

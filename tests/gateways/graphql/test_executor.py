import asyncio
from typing import Any

import pytest
import strawberry

from gateways.graphql import Executor
from tests.gateways.graphql.conftest import Caller, Query, Subscription

pytestmark = pytest.mark.anyio


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

    told = await ticks(1_000, Watched, Caller(None))

    assert len(told) == len(Watched.remembered) == 1_000
    assert max(Watched.remembered) == 0


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

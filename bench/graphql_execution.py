"""Execution alone, in process: lists, columns and the events of a subscription, ours beside stock Strawberry.

Time is the thread's own on its core, so that whatever else the machine does is left out.
"""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from statistics import median
from time import thread_time
from typing import Any

from bench.graphql_schema import CACHES, COLUMNS, EVENTS, FIELDS, LIST, UNLIMITED, build
from bench.rows import Row, table
from gateways.graphql import Call, Engine, Executor, Limits, Rights

ROUNDS = 15
EVENT_ROUNDS = 5
EVENT_COUNT = 2_000
REMEMBERED = 10_000  # events after which what is still held is counted

RIGHTS = Rights("bench")
ENGINE = Engine(build(executor=Executor), limits=Limits(cost=UNLIMITED))
STOCK = build(extensions=CACHES)

Answers = Callable[[str], Awaitable[Any]]
Events = Callable[[int], AsyncGenerator[Any, None]]


def run() -> list[Row]:
    return asyncio.run(_measured())


async def _measured() -> list[Row]:
    lists = [
        await _execution("1,000 objects of 8 fields", LIST),
        await _execution("10 series of 1,440 values", COLUMNS),
    ]
    return [*lists, await _events(), await _memory()]


async def _execution(what: str, query: str) -> Row:
    """From the text to the data as Python objects, documents remembered on both sides."""

    async def ours() -> Any:
        return (await ENGINE.execute(Call(query), None, RIGHTS)).data

    async def stock() -> Any:
        return (await STOCK.execute(query)).data

    assert await ours() == await stock()
    took_ms: dict[Callable[[], Awaitable[Any]], list[float]] = {ours: [], stock: []}
    for _ in range(ROUNDS):
        for side, taken in took_ms.items():
            started = thread_time()
            await side()
            taken.append((thread_time() - started) * 1_000)
    ours_ms, stock_ms = median(took_ms[ours]), median(took_ms[stock])
    beside = f"stock with its caches {stock_ms:.2f} ms"
    return Row(f"GraphQL execution: {what}", f"{ours_ms:.2f} ms", beside, stock_ms / ours_ms)


async def _events() -> Row:
    took_us: dict[Events, list[float]] = {_ours: [], _stock: []}
    for _ in range(EVENT_ROUNDS):
        for side, taken in took_us.items():
            started = thread_time()
            await _drain(side(EVENT_COUNT), EVENT_COUNT)
            taken.append((thread_time() - started) / EVENT_COUNT * 1e6)
    ours_us, stock_us = median(took_us[_ours]), median(took_us[_stock])
    what = f"GraphQL: an event of a subscription, {len(FIELDS.split())} fields"
    return Row(what, f"{ours_us:.1f} µs", f"stock {stock_us:.1f} µs", stock_us / ours_us)


async def _memory() -> Row:
    """What a subscription holds on to while it lives; exact, as Python's own allocator counts it."""
    ours_kib, stock_kib = await _held_kib(_ours), await _held_kib(_stock)
    what = f"GraphQL: memory of a living subscription after {REMEMBERED:,} events"
    return Row(what, f"{ours_kib:,.0f} KiB more", f"stock {stock_kib:,.0f} KiB more", stock_kib / max(ours_kib, 1.0))


async def _held_kib(side: Events) -> float:
    warm = 100
    async with aclosing(side(warm + REMEMBERED + 1)) as events:
        await _take(events, warm)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        await _take(events, REMEMBERED)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return (after - before) / 1024


async def _ours(count: int) -> AsyncGenerator[Any, None]:
    async with aclosing(ENGINE.stream(Call(EVENTS, {"events": count}), None, RIGHTS)) as answers:
        async for answer in answers:
            assert not answer.errors, answer.errors
            yield answer.data


async def _stock(count: int) -> AsyncGenerator[Any, None]:
    async with aclosing(await STOCK.subscribe(EVENTS, variable_values={"events": count})) as results:
        async for result in results:
            assert not result.errors, result.errors
            yield result.data


async def _take(events: AsyncGenerator[Any, None], count: int) -> None:
    for _ in range(count):
        await anext(events)


async def _drain(events: AsyncGenerator[Any, None], expected: int) -> None:
    count = 0
    async for _ in events:
        count += 1
    assert count == expected, count


if __name__ == "__main__":
    print(table(run()))

"""Everything about subscriptions, beside stock Strawberry with the same types on plain queues in its own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop

from bench import subscriptions_fanout, subscriptions_idle, subscriptions_outage
from bench.rows import Row, table
from bench.subscriptions_sides import OURS, STOCK, Side, ours, stock


def run() -> list[Row]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measured())


async def _measured() -> list[Row]:
    async with _sides() as sides:
        rows = await subscriptions_fanout.measured(sides)
    async with _sides() as sides:  # fresh, since a process gives little of its memory back
        rows += await subscriptions_idle.measured(sides)
    return [*rows, *await subscriptions_outage.measured()]


@asynccontextmanager
async def _sides() -> AsyncIterator[dict[str, Side]]:
    async with ours() as mine, stock() as other:
        yield {OURS: mine, STOCK: other}


if __name__ == "__main__":
    print(table(run()))

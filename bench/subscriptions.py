"""Everything about subscriptions, beside stock Strawberry with the same types on plain queues in its own process."""

import asyncio

import uvloop

from bench import subscriptions_fanout, subscriptions_idle, subscriptions_outage
from bench.rows import Row, table
from bench.subscriptions_sides import OURS, STOCK, Side, ours, stock


def run() -> list[Row]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measured())


async def _measured() -> list[Row]:
    async with ours() as mine, stock() as other:
        sides: dict[str, Side] = {OURS: mine, STOCK: other}
        rows = [*await subscriptions_fanout.measured(sides), *await subscriptions_idle.measured(sides)]
    return [*rows, *await subscriptions_outage.measured()]


if __name__ == "__main__":
    print(table(run()))

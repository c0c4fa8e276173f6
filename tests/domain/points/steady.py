"""A process of its own that goes on recording one point: `python -m … <settings> <tenant> <address>`.

For each line that it is told it records another number, and says how many those are.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain import points
from domain.actor import system
from domain.points import Reading
from voltgraph.settings import Settings
from voltgraph.wiring import House

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def main(urls: dict[str, str], tenant_id: UUID, address: str) -> None:
    settings = Settings(database_url=urls["database"], redis_url=urls["redis"], secret_key="a key of the tests alone")
    async with House.built(settings) as house:
        count = 0
        while await asyncio.to_thread(sys.stdin.readline):
            count += 1
            async with house.workplace.open_work(system(tenant_id)) as work:
                await points.record(work, [Reading(address, NOON + timedelta(seconds=count), count)])
            print(count, flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), UUID(sys.argv[2]), sys.argv[3]))

"""A process of its own that records readings when it is told to go: `python -m … <settings> <tenant> <addresses>`."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from uuid import UUID

from domain import points
from domain.actor import system
from domain.points import Reading
from voltgraph.settings import Settings
from voltgraph.wiring import House

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def main(urls: dict[str, str], tenant_id: UUID, addresses: list[str]) -> None:
    settings = Settings(database_url=urls["database"], redis_url=urls["redis"], secret_key="a key of the tests alone")
    async with House.built(settings) as house:
        print("ready", flush=True)
        sys.stdin.readline()
        async with house.workplace.open_work(system(tenant_id)) as work:
            recorded = await points.record(work, [Reading(address, NOON, 1) for address in addresses])
        print(json.dumps([recorded.recorded, [error.message for error in recorded.errors]]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), UUID(sys.argv[2]), json.loads(sys.argv[3])))

"""A process of its own that records readings when it is told to go.

`python -m … <settings> <tenant> <batches>`, each batch a list of addresses and seconds after noon: the reading's value.
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


async def main(urls: dict[str, str], tenant_id: UUID, batches: list[list[tuple[str, int]]]) -> None:
    settings = Settings(database_url=urls["database"], redis_url=urls["redis"], secret_key="a key of the tests alone")
    async with House.built(settings) as house:
        print("ready", flush=True)
        sys.stdin.readline()
        done = []
        for batch in batches:
            readings = [Reading(address, NOON + timedelta(seconds=second), second) for address, second in batch]
            async with house.workplace.open_work(system(tenant_id)) as work:
                done.append(await points.record(work, readings))
        errors = [error.message for recorded in done for error in recorded.errors]
        print(json.dumps([sum(recorded.recorded for recorded in done), errors]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), UUID(sys.argv[2]), json.loads(sys.argv[3])))

"""Readings per second through `points.record`, beside a bare binary COPY of the same rows into an identical table.

An edge sends all its points at once: a batch is one owner's 500 points, 50 owners send at a time. Everything is on:
indexes, upsert, latest values in Redis, news on the bus.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from time import perf_counter

import asyncpg
from uuid_utils.compat import uuid7

from bench.rows import Row, table
from domain import points, tenants
from domain.actor import Actor, system
from domain.points import Owner, OwnerKind, Reading
from domain.work import Workplace
from voltgraph.database import plain_url
from voltgraph.embedded import Urls, throwaway
from voltgraph.migrate import migrate
from voltgraph.settings import Settings
from voltgraph.wiring import House

OWNERS = 50
POINTS_PER_OWNER = 500
ROUNDS = 12
COPY_ROWS = 10_000
START = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=ROUNDS)  # what is measured now


def run() -> list[Row]:
    with throwaway(fast=False) as urls:
        return asyncio.run(_measured(urls))


async def _measured(urls: Urls) -> list[Row]:
    await migrate(urls.database_owner, urls.database)
    settings = Settings(database_url=urls.database, redis_url=urls.redis, secret_key="only for this benchmark")
    actor = system(uuid7())
    async with House.built(settings) as house:
        async with house.workplace.open_work(actor) as work:
            await tenants.create(work, slug="bench")
        batches = _batches()
        await _record_all(house.workplace, actor, batches[:OWNERS])  # creates the points
        ours = await _rate(_record_all(house.workplace, actor, batches[OWNERS:]), batches[OWNERS:])
    bare = await _rate(_copy_all(plain_url(urls.database_owner), batches[OWNERS:]), batches[OWNERS:])
    return [Row("readings recorded", f"{ours:,.0f}/s", f"bare COPY {bare:,.0f}/s", ours / bare)]


def _batches() -> list[list[Reading]]:
    chance = Random(1)
    return [
        [
            Reading(f"edge/{owner}/meter/{point}", START + timedelta(seconds=turn), chance.uniform(0, 11_000))
            for point in range(POINTS_PER_OWNER)
        ]
        for turn in range(ROUNDS + 1)
        for owner in range(OWNERS)
    ]


async def _rate(doing: object, batches: list[list[Reading]]) -> float:
    started = perf_counter()
    await doing  # type: ignore[misc]
    return sum(map(len, batches)) / (perf_counter() - started)


async def _record_all(workplace: Workplace, actor: Actor, batches: list[list[Reading]]) -> None:
    owners = [Owner(OwnerKind.STATION, uuid7()) for _ in range(OWNERS)]

    async def send(number: int) -> None:
        for batch in batches[number::OWNERS]:
            async with workplace.open_work(actor) as work:
                recorded = await points.record(work, batch, owner=owners[number])
            assert recorded.recorded == len(batch), recorded.errors[0]

    await asyncio.gather(*(send(number) for number in range(OWNERS)))


async def _copy_all(url: str, batches: list[list[Reading]]) -> None:
    """The least that PostgreSQL can do with these rows, in the same partition layout's columns and key."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("create table bare (like reading including defaults, primary key (series, at))")
        series = {address: number for number, address in enumerate({r.address: None for b in batches for r in b})}
        rows = [(series[r.address], r.at, r.value, r.text, 0) for batch in batches for r in batch]
        for start in range(0, len(rows), COPY_ROWS):
            await connection.copy_records_to_table("bare", records=rows[start : start + COPY_ROWS])
    finally:
        await connection.close()


if __name__ == "__main__":
    print(table(run()))

"""Readings per second through `points.record`, beside a bare binary COPY of the same rows into a table with that key.

An edge sends all its points at once, of just now: a batch is one owner's 500 points, 50 owners send at a time.
Everything is on: indexes, upsert, latest values in Redis, news on the bus, which one listener hears all of. The two
take turns. The COPY is asyncpg's, from tuples; and once more from bytes that were made before, which leaves to it
nothing but PostgreSQL's part. Then all of it is rolled up at once, which a server does beside, some minutes later: the
second row counts that time as well.
"""

import asyncio
import gc
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from random import Random
from time import perf_counter

import asyncpg
from uuid_utils.compat import uuid7

from bench.rows import Row, table
from domain import points, tenants
from domain.actor import Actor, system
from domain.bus import Bus, Ear
from domain.points import Owner, OwnerKind, Reading
from domain.work import Workplace
from gateways.redis.line import in_parts
from gateways.timescale.encoding import COLUMNS, encoded
from voltgraph.database import plain_url
from voltgraph.embedded import Urls, throwaway
from voltgraph.migrate import migrate
from voltgraph.settings import Settings
from voltgraph.wiring import House

OWNERS = 50
POINTS_PER_OWNER = 500
ROUNDS = 16
TURNS = 4
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
        gc.freeze()  # what is to be sent is no garbage of the server's
        bare = await asyncpg.connect(plain_url(urls.database_owner))
        await bare.execute("create table bare (like reading including defaults, primary key (series, at))")
        await bare.execute("create table prepared (like bare including all)")
        await _record_all(house.workplace, actor, batches[:OWNERS])  # creates the points
        seconds = [0.0, 0.0, 0.0]
        async with house.workplace.port(Bus).listen(points.every_topic(actor.tenant_id), limit=10_000) as ear:  # type: ignore[type-abstract]
            listening = asyncio.create_task(_heard(ear))
            for start in range(OWNERS, len(batches), OWNERS * ROUNDS // TURNS):
                turn = batches[start : start + OWNERS * ROUNDS // TURNS]
                seconds[0] += await _seconds(_record_all(house.workplace, actor, turn))
                rows = _rows(turn)
                seconds[1] += await _seconds(_copy_all(bare, rows))
                parts = [encoded(part, numbered=False) for part in in_parts(rows, COPY_ROWS)]
                seconds[2] += await _seconds(_copy_prepared(bare, parts))
            listening.cancel()
        await bare.close()
        rolling_s = await _seconds(house.store.roll(until=datetime.now(UTC) + timedelta(minutes=2)))
    ours, tuples, prepared = (len(batches[OWNERS:]) * POINTS_PER_OWNER / each for each in seconds)
    rolled = len(batches[OWNERS:]) * POINTS_PER_OWNER / (seconds[0] + rolling_s)
    return [
        Row("readings recorded", f"{ours:,.0f}/s", f"bare COPY {tuples:,.0f}/s", ours / tuples),
        Row("readings recorded and rolled up", f"{rolled:,.0f}/s", f"bare COPY {tuples:,.0f}/s", rolled / tuples),
        Row("readings recorded", f"{ours:,.0f}/s", f"COPY of bytes made before {prepared:,.0f}/s", ours / prepared),
    ]


async def _heard(ear: Ear) -> None:
    async for _ in ear:
        pass


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


async def _seconds(doing: Awaitable[None]) -> float:
    started = perf_counter()
    await doing
    return perf_counter() - started


async def _record_all(workplace: Workplace, actor: Actor, batches: list[list[Reading]]) -> None:
    owners = [Owner(OwnerKind.STATION, uuid7()) for _ in range(OWNERS)]

    async def send(number: int) -> None:
        for batch in batches[number::OWNERS]:
            async with workplace.open_work(actor) as work:
                recorded = await points.record(work, batch, owner=owners[number])
            assert recorded.recorded == len(batch), recorded.errors[0]

    await asyncio.gather(*(send(number) for number in range(OWNERS)))


def _rows(batches: list[list[Reading]]) -> list[points.Row]:
    series = {address: number for number, address in enumerate({r.address: None for b in batches for r in b})}
    return [points.Row(series[r.address], r.at, r.value, r.text, r.quality) for batch in batches for r in batch]


async def _copy_all(connection: asyncpg.Connection, rows: list[points.Row]) -> None:
    """The least that PostgreSQL can do with these rows, in the same columns and key."""
    for part in in_parts(rows, COPY_ROWS):
        records = [(series, at, value, text, 0, 0, version) for series, at, value, text, _, _, version in part]
        await connection.copy_records_to_table("bare", records=records, columns=COLUMNS)


async def _copy_prepared(connection: asyncpg.Connection, parts: list[BytesIO]) -> None:
    for part in parts:
        await connection.copy_to_table("prepared", source=part, columns=COLUMNS, format="binary")


if __name__ == "__main__":
    print(table(run()))

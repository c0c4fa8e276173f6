"""Readings per second through `points.record`, beside a bare binary COPY of the same rows into a table with that key.

An edge sends all its points at once, of just now: a batch is one owner's 500 points, 50 owners send at a time.
Everything is on: indexes, upsert, latest values in Redis, news on the bus, which one listener hears all of. The two
take turns. The COPY is asyncpg's, from tuples that were made before; and once more from bytes that were, which leaves
to it nothing but PostgreSQL's part. Then all of it is rolled up at once, which a server does beside, some minutes
later: the second row counts that time as well.

The third row is of batches that have nothing in common: each is of other points than the one before it (four fifths
of its owner's, in another order), and each of its readings has a time of its own.
"""

import asyncio
import gc
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from random import Random
from time import perf_counter

import asyncpg
import uvloop
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
VARIED_POINTS = 400
ROUNDS = 4  # in each turn
TURNS = 4
COPY_ROWS = 10_000
# What is measured now, but a little ahead: however long it takes to begin, none of it is late.
START = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
VARIED_AFTER_S = 600  # that much later, when what came before is rolled up
CHANCE = Random(1)

Batches = list[list[Reading]]


def run() -> list[Row]:
    with throwaway(fast=False) as urls, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measured(urls))  # on the loop that a server has


async def _measured(urls: Urls) -> list[Row]:
    await migrate(urls.database_owner, urls.database)
    settings = Settings(database_url=urls.database, redis_url=urls.redis, secret_key="only for this benchmark")
    actor = system(uuid7())
    async with House.built(settings) as house:
        async with house.workplace.open_work(actor) as work:
            await tenants.create(work, slug="bench")
        first = _batches(range(-1, 0))
        turns = [(_batches(_seconds_of(turn)), _varied(_seconds_of(turn, VARIED_AFTER_S))) for turn in range(TURNS)]
        gc.freeze()  # what is to be sent is no garbage of the server's
        bare = await asyncpg.connect(plain_url(urls.database_owner))
        await bare.execute("create table bare (like reading including defaults, primary key (series, at))")
        await bare.execute("create table prepared (like bare including all)")
        await _record_all(house.workplace, actor, first)  # creates the points
        ours_s = varied_s = tuples_s = prepared_s = 0.0
        async with house.workplace.port(Bus).listen(points.every_topic(actor.tenant_id), limit=10_000) as ear:  # type: ignore[type-abstract]
            listening = asyncio.create_task(_heard(ear))
            for same, _ in turns:
                ours_s += await _seconds(_record_all(house.workplace, actor, same))
                rows = list(in_parts(_rows(same), COPY_ROWS))
                records = [
                    [(row.series, row.at, row.value, row.text, 0, 0, row.version) for row in part] for part in rows
                ]
                tuples_s += await _seconds(_copy_all(bare, records))
                parts = [encoded(part, numbered=False) for part in rows]
                prepared_s += await _seconds(_copy_prepared(bare, parts))
            rolling_s = await _seconds(house.store.roll(until=START + timedelta(minutes=2)))
            for _, varied in turns:
                varied_s += await _seconds(_record_all(house.workplace, actor, varied))
            listening.cancel()
        await bare.close()
    count = TURNS * ROUNDS * OWNERS * POINTS_PER_OWNER
    varied_count = TURNS * ROUNDS * OWNERS * VARIED_POINTS
    ours, tuples, prepared = count / ours_s, count / tuples_s, count / prepared_s
    rolled = count / (ours_s + rolling_s)
    other = varied_count / varied_s
    copied = f"bare COPY {tuples:,.0f}/s"
    return [
        Row("readings recorded", f"{ours:,.0f}/s", copied, ours / tuples),
        Row("readings recorded and rolled up", f"{rolled:,.0f}/s", copied, rolled / tuples),
        Row("readings recorded, of other points and times in each batch", f"{other:,.0f}/s", copied, other / tuples),
        Row("readings recorded", f"{ours:,.0f}/s", f"COPY of bytes made before {prepared:,.0f}/s", ours / prepared),
    ]


async def _heard(ear: Ear) -> None:
    async for _ in ear:
        pass


def _seconds_of(turn: int, after_s: int = 0) -> range:
    return range(after_s + turn * ROUNDS, after_s + (turn + 1) * ROUNDS)


def _batches(seconds: range) -> Batches:
    return [
        [
            Reading(f"edge/{owner}/meter/{point}", START + timedelta(seconds=second), CHANCE.uniform(0, 11_000))
            for point in range(POINTS_PER_OWNER)
        ]
        for second in seconds
        for owner in range(OWNERS)
    ]


def _varied(seconds: range) -> Batches:
    return [
        [
            reading._replace(at=reading.at + timedelta(microseconds=CHANCE.randrange(1_000_000)))
            for reading in CHANCE.sample(batch, VARIED_POINTS)
        ]
        for batch in _batches(seconds)
    ]


async def _seconds(doing: Awaitable[None]) -> float:
    started = perf_counter()
    await doing
    return perf_counter() - started


async def _record_all(workplace: Workplace, actor: Actor, batches: Batches) -> None:
    owners = [Owner(OwnerKind.STATION, uuid7()) for _ in range(OWNERS)]

    async def send(number: int) -> None:
        for batch in batches[number::OWNERS]:
            async with workplace.open_work(actor) as work:
                recorded = await points.record(work, batch, owner=owners[number])
            assert recorded.recorded == len(batch), recorded.errors[0]

    await asyncio.gather(*(send(number) for number in range(OWNERS)))


def _rows(batches: Batches) -> list[points.Row]:
    series = {address: number for number, address in enumerate({r.address: None for b in batches for r in b})}
    return [points.Row(series[r.address], r.at, r.value, r.text, r.quality) for batch in batches for r in batch]


async def _copy_all(connection: asyncpg.Connection, parts: Sequence[Sequence[tuple[object, ...]]]) -> None:
    """The least that PostgreSQL can do with these rows, in the same columns and key."""
    for records in parts:
        await connection.copy_records_to_table("bare", records=records, columns=COLUMNS)


async def _copy_prepared(connection: asyncpg.Connection, parts: list[BytesIO]) -> None:
    for part in parts:
        await connection.copy_to_table("prepared", source=part, columns=COLUMNS, format="binary")


if __name__ == "__main__":
    print(table(run()))

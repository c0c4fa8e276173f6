"""From a charger's frame to a subscriber's, one worker with Redis; beside a bare Redis round trip and a bare commit."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from statistics import median, quantiles
from time import perf_counter

import asyncpg
from redis.asyncio import Redis

from bench.charger import BOOT, Charger, meter
from bench.rows import Row
from bench.serving import Server, data_folder, server
from voltgraph.client import subscribed
from voltgraph.database import plain_url
from voltgraph.embedded import find

SAMPLES = 400
WARM = 100
PAUSE_S = 0.03  # a station that sends more than 50 messages a second is made to wait


def run() -> list[Row]:
    with data_folder() as folder, server(folder) as running:
        return asyncio.run(_measured(running))


async def _measured(running: Server) -> list[Row]:
    urls = find(running.data_dir)
    assert urls is not None
    redis_ms = await _redis_round_trips(urls.redis)
    commit_ms = await _commits(plain_url(urls.database))
    ours_ms = await _frame_to_frame(running)
    floor = median(redis_ms) + median(commit_ms)
    return [
        Row(
            "charger frame in → subscriber frame out (a session's meter value)",
            _shown(ours_ms),
            f"Redis round trip {_shown(redis_ms)}; commit {_shown(commit_ms)}",
            median(ours_ms) / floor,
        )
    ]


async def _frame_to_frame(running: Server) -> list[float]:
    charger = await Charger.connected(running.ocpp("LATENCY"))
    await charger.call("BootNotification", BOOT)
    start = {"connectorId": 1, "idTag": "BENCH", "meterStart": 0, "timestamp": _now()}
    transaction_id = (await charger.call("StartTransaction", start))["transactionId"]
    query = "subscription { sessionUpdates { kind session { energyWh } } }"
    taken: list[float] = []
    async with aclosing(subscribed(running.graphql, running.secret, query)) as items:
        await anext(items)  # the snapshot: from here on the news stream
        for turn in range(1, SAMPLES + WARM + 1):
            started = perf_counter()
            answered = asyncio.ensure_future(charger.call("MeterValues", meter(transaction_id, _now(), turn)))
            async for item in items:
                if item["sessionUpdates"]["session"]["energyWh"] >= turn:
                    break
            taken.append((perf_counter() - started) * 1_000)
            await answered
            await asyncio.sleep(PAUSE_S)
    await charger.close()
    return taken[WARM:]


async def _redis_round_trips(url: str) -> list[float]:
    """PUBLISH on one connection, heard on another."""
    async with Redis.from_url(url, protocol=2) as speaker, Redis.from_url(url, protocol=2).pubsub() as listener:
        await listener.subscribe("bench")
        await listener.get_message(timeout=5)
        taken = []
        for _ in range(SAMPLES):
            started = perf_counter()
            await speaker.publish("bench", b"x" * 300)
            while (await listener.get_message(ignore_subscribe_messages=True, timeout=5)) is None:
                pass
            taken.append((perf_counter() - started) * 1_000)
        return taken


async def _commits(url: str) -> list[float]:
    """One row written and committed, synchronously on disk as the server's own are."""
    connection = await asyncpg.connect(url)
    try:
        query = "insert into reading (series, at, value) values (-1, now(), $1) on conflict do nothing"
        taken = []
        for turn in range(SAMPLES):
            started = perf_counter()
            await connection.execute(query, float(turn))
            taken.append((perf_counter() - started) * 1_000)
        return taken
    finally:
        await connection.close()


def _shown(taken_ms: list[float]) -> str:
    return f"p50 {median(taken_ms):.2f} ms, p99 {quantiles(taken_ms, n=100)[98]:.2f} ms"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

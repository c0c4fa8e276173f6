"""A day of ten points by the minute (1,440 rows) over GraphQL, beside the history store's own answer to the same.

Both are asked in turn. What the store takes alone is its SQL and asyncpg's decoding of it; the rest of an answer is
the Work, the columns, GraphQL, JSON and HTTP. The ratio is that rest's share of the whole.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg
import httpx2

from bench.rows import Row, table
from bench.serving import Server, data_folder, server
from domain.points import Figure, Quality
from gateways.timescale import TimescaleStore
from voltgraph.database import plain_url
from voltgraph.embedded import find

POINTS = 10
ROWS = 1_440
TURNS = 40
WARM = 5
START = datetime(2026, 6, 1, tzinfo=UTC)
END = START + timedelta(minutes=ROWS)
ADDRESSES = [f"bench/{number}" for number in range(POINTS)]
RECORD = "mutation ($readings: [ReadingInput!]!) { recordReadings(readings: $readings) { recorded } }"
HISTORY = """
query ($points: [String!]!, $from: DateTime!, $to: DateTime!, $resolution: String) {
  history(points: $points, from: $from, to: $to, resolution: $resolution, timezone: "UTC") {
    timestamps series { address unit values }
  }
}
"""
PERIOD = {"points": ADDRESSES, "from": START.isoformat(), "to": END.isoformat()}


def run() -> list[Row]:
    with data_folder() as folder, server(folder) as running:
        return asyncio.run(_measured(running))


async def _measured(running: Server) -> list[Row]:
    urls = find(running.data_dir)
    assert urls is not None
    headers = {"authorization": f"Bearer {running.secret}"}
    async with (
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{running.port}", headers=headers, timeout=60) as http,
        TimescaleStore(plain_url(urls.database)) as store,
    ):
        chance = Random(1)
        for address in ADDRESSES:
            at = [(START + timedelta(minutes=row, seconds=7)).isoformat() for row in range(ROWS)]
            readings = [{"address": address, "at": one, "value": chance.uniform(0, 11_000)} for one in at]
            await _asked(http, RECORD, {"readings": readings})
        series = await _series(plain_url(urls.database_owner))
        edges = [START + timedelta(minutes=row) for row in range(ROWS + 1)]

        async def means() -> None:
            await store.figures(series, edges=edges, wanted=[Figure.MEAN])

        async def raw() -> None:
            await store.raw(series, start=START, end=END, limit=200_000, worst=Quality.BAD)

        return [
            await _row("means of a minute", running, lambda: _history(http, "PT1M"), means),
            await _row("raw", running, lambda: _history(http, None), raw),
        ]


async def _row(
    what: str, running: Server, whole: Callable[[], Awaitable[None]], store: Callable[[], Awaitable[None]]
) -> Row:
    whole_ms, store_ms = list[float](), list[float]()
    for asking in (whole, store) * WARM:
        await asking()
    cpu_s = running.cpu_s()
    for _ in range(TURNS):
        for asking, taken in ((whole, whole_ms), (store, store_ms)):
            started = perf_counter()
            await asking()
            taken.append((perf_counter() - started) * 1_000)
    cpu_ms = (running.cpu_s() - cpu_s) / TURNS * 1_000
    return Row(
        f"1,440 x 10 values over GraphQL, {what}: the share outside the history store",
        f"p50 {median(whole_ms):.1f} ms, {cpu_ms:.1f} ms of server CPU",
        f"the store alone {median(store_ms):.1f} ms",
        1 - median(store_ms) / median(whole_ms),
    )


async def _history(http: httpx2.AsyncClient, resolution: str | None) -> None:
    """Not decoded: what a client makes of it is the client's."""
    answer = await http.post("/graphql", json={"query": HISTORY, "variables": PERIOD | {"resolution": resolution}})
    assert answer.content.count(b",") > POINTS * ROWS


async def _asked(http: httpx2.AsyncClient, query: str, variables: dict[str, Any]) -> Any:
    answer = (await http.post("/graphql", json={"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


async def _series(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch("select distinct series from reading")
        return [row["series"] for row in found]
    finally:
        await connection.close()


if __name__ == "__main__":
    print(table(run()))

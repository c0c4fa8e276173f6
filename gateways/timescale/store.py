"""The history store on PostgreSQL, on connections of its own: what is written here is in nobody's transaction."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any, Self

import asyncpg

from domain.points import Figure, Figures, HistoryStore, Quality, Refused, Row, Sample, Track
from gateways.timescale import figures, forgetting, queries
from gateways.timescale.faults import translated
from gateways.timescale.partitions import Partitions
from gateways.timescale.roller import Rolled, Roller, rolled
from gateways.timescale.writer import BUFFER_ROWS, FLUSH_ROWS, STAGING, Writer

WRITERS = 2  # while one waits for its commit, the other encodes
READERS = 4
CONNECT_S = 5.0
COMMAND_S = 60.0
# With a partition a month, planning takes longer than what is planned; which ones it needs, a plan finds out by itself.
# JIT would be compiled for a plan that is for all partitions and reads a few rows.
PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "jit": "off"}
FORGET_SERIES = 500


class TimescaleStore(HistoryStore):
    """`async with TimescaleStore("postgresql://…") as store`, or `start` and `stop`."""

    def __init__(self, url: str, *, flush_rows: int = FLUSH_ROWS, buffer_rows: int = BUFFER_ROWS) -> None:
        self._writing = _pool(url, WRITERS, init=_with_staging, reset=_unchanged)
        self._reading = _pool(url, READERS, reset=_unchanged, settings=PLANNED_ONCE)
        self._rolling = _pool(url, 1, command_timeout=None)
        self._roller = Roller(self._rolling)
        self._partitions = Partitions(self._reading)
        self._writer = Writer(
            self._writing, self._partitions, turns=WRITERS, flush_rows=flush_rows, buffer_rows=buffer_rows
        )
        self._ahead: asyncio.Task[None] | None = None

    @property
    def buffered(self) -> int:
        """Rows that were handed over and are not committed yet."""
        return self._writer.buffered

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        await asyncio.gather(self._writing, self._reading, self._rolling)
        self._ahead = asyncio.create_task(self._partitions.keep_ahead(), name="history partitions")

    async def stop(self) -> None:
        """What was handed over is committed first; what comes now is refused."""
        await self._writer.stop()
        self._partitions.stop()
        if self._ahead is not None:
            await self._ahead
        await asyncio.gather(self._writing.close(), self._reading.close(), self._rolling.close())

    @asynccontextmanager
    async def rolling(self) -> AsyncIterator[None]:
        """Keeps the roll-ups while it is entered, in turn with other processes."""
        async with self._roller.running():
            yield

    async def roll(self, *, until: datetime | None = None) -> None:
        """Rolls up what is not, until that moment (by default some minutes ago), and what came late; waits its turn."""
        with translated():
            await self._roller.roll(until=until, wait=True)

    async def rolled(self) -> Rolled:
        """How far the roll-ups are behind."""
        async with self._asking() as connection:
            return await rolled(connection)

    async def is_hypertable(self) -> bool:
        """Whether TimescaleDB keeps the readings, or partitions do."""
        async with self._asking() as connection:
            return bool(await connection.fetchval("select reading_is_hypertable()"))

    async def write(self, rows: Sequence[Row]) -> list[Refused]:
        return await self._writer.write(rows)

    async def raw(
        self,
        series: Sequence[int],
        *,
        start: datetime,
        end: datetime,
        limit: int,
        worst: Quality = Quality.BAD,
        as_of: datetime | None = None,
    ) -> list[Track]:
        async with self._asking() as connection:
            return await queries.raw(connection, series, start=start, end=end, limit=limit, worst=worst, as_of=as_of)

    async def figures(
        self,
        series: Sequence[int],
        *,
        edges: Sequence[datetime],
        wanted: Collection[Figure],
        worst: Quality = Quality.UNCERTAIN,
        as_of: datetime | None = None,
    ) -> list[Figures]:
        async with self._asking() as connection:
            return await figures.figures(connection, series, edges=edges, wanted=wanted, worst=worst, as_of=as_of)

    async def last_before(
        self,
        series: Sequence[int],
        *,
        at: datetime,
        worst: Quality = Quality.UNCERTAIN,
        as_of: datetime | None = None,
    ) -> list[Sample | None]:
        async with self._asking() as connection:
            return await queries.last_before(connection, series, at=at, worst=worst, as_of=as_of)

    async def rows(
        self,
        series: Sequence[int],
        *,
        start: datetime,
        end: datetime,
        worst: Quality = Quality.BAD,
        as_of: datetime | None = None,
    ) -> AsyncIterator[Sequence[Row]]:
        async with self._asking() as connection:
            parts = queries.rows(connection, series, start=start, end=end, worst=worst, as_of=as_of)
            async with aclosing(parts):
                async for part in parts:
                    yield part

    async def forget(self, series: Sequence[int], *, before: datetime) -> None:
        """A little at a time, so that nobody waits for it; roll-ups and superseded versions too."""
        for start in range(0, len(series), FORGET_SERIES):
            async with self._asking() as connection:
                await forgetting.forget(connection, series[start : start + FORGET_SERIES], before)

    async def forget_all(self, *, before: datetime) -> None:
        """The months that have ended by then, as wholes."""
        async with self._asking() as connection:
            await forgetting.forget_months(connection, before)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[asyncpg.Connection]:
        with translated():
            async with self._reading.acquire(timeout=CONNECT_S) as connection:
                yield connection


def _pool(
    url: str, size: int, *, command_timeout: float | None = COMMAND_S, settings: Mapping[str, str] = {}, **more: Any
) -> asyncpg.Pool:
    """Connects when it is needed, so that a process may start before its database does; keeps what it has planned."""
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        max_inactive_connection_lifetime=0,
        max_cached_statement_lifetime=0,
        timeout=CONNECT_S,
        command_timeout=command_timeout,
        server_settings={"application_name": "voltgraph history", **settings},
        **more,
    )


async def _with_staging(connection: asyncpg.Connection) -> None:
    await connection.execute(STAGING)


async def _unchanged(_connection: asyncpg.Connection) -> None:
    """Nobody sets anything on these connections: what asyncpg would set back costs as much as a question."""

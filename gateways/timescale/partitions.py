"""One partition per month, made before its first row comes; where there is none, rows wait in the default one."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import asyncpg
import structlog

from gateways.timescale.faults import is_lost

log = structlog.get_logger()

OLDEST = date(2000, 1, 1)  # months before, and far ahead, are those of clocks that are wrong: they get no partition
LOOK_S = 6 * 3600.0
RETRY_S = 60.0

_ENSURE = "select ensure_reading_partition($1, $2)"
TABLES = ("reading", "reading_rollup")


class Partitions:
    """Which months this process knows to have a partition; making one is the owner's right, lent by a function."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._there: set[date] = set()
        self._not_before: dict[date, float] = {}  # months that could not get one, and when to try again
        self._stopping = asyncio.Event()

    async def keep_ahead(self) -> None:
        """This month's and the next one's, until `stop`."""
        while not self._stopping.is_set():
            pause_s = LOOK_S
            try:
                async with self._pool.acquire() as connection:
                    await self.ensure(connection, [_this_month(), _next(_this_month())])
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("partitions not made ahead", reason=str(error) or type(error).__name__)
                pause_s = RETRY_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    def stop(self) -> None:
        """Asked for rather than cancelled: a cancelled statement takes longer to clean up than this one takes."""
        self._stopping.set()

    async def ensure(self, connection: asyncpg.Connection, months: Iterable[date]) -> None:
        """Never in the way of the rows: what cannot be made now is tried again later."""
        for month in months:
            if month in self._there or not OLDEST <= month <= _next(_this_month()):
                continue
            if time.monotonic() < self._not_before.get(month, 0.0):
                continue
            try:
                for table in TABLES:
                    await connection.execute(_ENSURE, month, table)
            except asyncpg.PostgresError as error:
                if is_lost(error):
                    raise
                self._not_before[month] = time.monotonic() + RETRY_S
                log.warning("no partition yet, rows wait in the default one", month=f"{month:%Y-%m}", reason=str(error))
            else:
                self._there.add(month)


def _this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)

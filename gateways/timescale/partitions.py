"""One partition per month, made before its first row comes; where there is none, rows wait in the default one."""

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import asyncpg
import structlog

from gateways.timescale.faults import is_lost

log = structlog.get_logger()

OLDEST = date(2000, 1, 1)  # months before, and far ahead, are those of clocks that are wrong: they get no partition
AHEAD = timedelta(days=45)
LOOK_S = 6 * 3600.0
RETRY_S = 60.0

_ENSURE = "select ensure_reading_partition($1)"


class Partitions:
    """Which months this process knows to have a partition; making one is the owner's right, lent by a function."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._there: set[date] = set()
        self._not_before: dict[date, float] = {}  # months that could not get one, and when to try again

    async def keep_ahead(self) -> None:
        """This month's and the next one's, for as long as the process lives."""
        while True:
            today = datetime.now(UTC).date()
            try:
                async with self._pool.acquire() as connection:
                    await self.ensure(connection, {first_of(today), first_of(today + AHEAD)})
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("partitions not made ahead", reason=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(LOOK_S)

    async def ensure(self, connection: asyncpg.Connection, months: Iterable[date]) -> None:
        """Never in the way of the rows: what cannot be made now is tried again later."""
        latest = first_of(datetime.now(UTC).date() + AHEAD)
        for month in months:
            if month in self._there or not OLDEST <= month <= latest:
                continue
            if time.monotonic() < self._not_before.get(month, 0.0):
                continue
            try:
                await connection.execute(_ENSURE, month)
            except asyncpg.PostgresError as error:
                if is_lost(error):
                    raise
                self._not_before[month] = time.monotonic() + RETRY_S
                log.warning("no partition yet, rows wait in the default one", month=f"{month:%Y-%m}", reason=str(error))
            else:
                self._there.add(month)


def first_of(day: date) -> date:
    return day.replace(day=1)

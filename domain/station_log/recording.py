"""The way of what was said from the line into the table: never in the way of a charge.

Whoever holds a line hands over what was said as it is, and goes on. Some moments later it is written down: put into
words, masked, kept, in one statement per tenant, and then told to those who follow. What finds no room, because the
database is away or has too much to do, is lost, the oldest first, and how much that was is an entry of its own.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Gauge

from domain.bus import Bus
from domain.errors import Unavailable
from domain.outage import Outage
from domain.station_log.buffer import Buffer, Owed, Scribe
from domain.station_log.keeping import Keeper
from domain.station_log.models import Entry
from domain.station_log.news import tell
from domain.station_log.rules import StationLogRules
from domain.station_log.strangers import Stranger, Strangers
from domain.work import Workplace

log = structlog.get_logger()

BUFFERED = Gauge("voltgraph_station_log_buffered", "Entries that are not kept yet", multiprocess_mode="livesum")

FLUSH_S = 0.5
RETRY_S = 2.0
AT_ONCE = 500
IN_A_ROW = 50  # put into words before others have their turn
BUFFER_ENTRIES = 20_000
BUFFER_CHARACTERS = 16 * 1024 * 1024
_ENDING_S = 5.0
_AHEAD = timedelta(hours=12)


class Recorder:
    """Of one process."""

    def __init__(
        self,
        workplace: Workplace,
        rules: StationLogRules,
        *,
        entries: int = BUFFER_ENTRIES,
        characters: int = BUFFER_CHARACTERS,
    ) -> None:
        self.rules = rules
        self._workplace = workplace
        self._buffer = Buffer(entries, characters)
        self._strangers = Strangers(workplace)
        self._keeper = Keeper(workplace)
        self._not_before = 0.0
        self._outage = Outage(lasting_s=0)
        self._flushing = asyncio.Lock()

    def take(self, scribe: Scribe, said: Any, characters: int) -> None:
        """For every message, so it must cost next to nothing. `characters` is how much room it takes, about."""
        self._buffer.take(scribe, said, characters)

    def turn_away(self, stranger: Stranger, **facts: Any) -> None:
        self._strangers.turn_away(stranger, facts)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What was handed over is kept before this is left, if that is possible."""
        stopping = asyncio.Event()
        task = asyncio.create_task(self._run(stopping), name="station log")
        try:
            yield
        finally:
            stopping.set()
            await asyncio.wait({task}, timeout=_ENDING_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def flush(self) -> None:
        """All that waits, unless the database is away."""
        async with self._flushing:
            await self._meet_strangers()
            while not self._buffer.is_empty:
                if not await self._round():
                    return

    async def _run(self, stopping: asyncio.Event) -> None:
        is_last = False
        while not is_last:
            with suppress(TimeoutError):
                is_last = await asyncio.wait_for(stopping.wait(), FLUSH_S)
            try:
                await self.flush()
                await self._look_ahead()
            except Exception:
                log.exception("station log interrupted")

    async def _round(self) -> bool:
        """Whether another one makes sense."""
        fresh = await self._put_down()
        has_kept = await self._keep()
        BUFFERED.set(len(self._buffer))
        await self._tell(fresh)
        return has_kept or self._buffer.said > 0

    async def _put_down(self) -> list[Owed]:
        fresh = []
        for turn in range(AT_ONCE):
            if turn % IN_A_ROW == IN_A_ROW - 1:
                await asyncio.sleep(0)
            if not self._buffer.said:
                break
            owed = self._buffer.put_next()
            if owed is not None:
                self._buffer.owe(owed)
                fresh.append(owed)
        return fresh

    async def _keep(self) -> bool:
        """The oldest that are owed; False while the database cannot take them."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before:
            return False
        self._buffer.admit_losses(self._workplace.clock())
        batch = self._buffer.next_owed(AT_ONCE)
        by_tenant = _by_tenant(batch)
        try:
            await self._keeper.ensure({owed.entry.at.date() for owed in batch})
            for tenant_id in list(by_tenant):
                await self._keeper.keep(tenant_id, by_tenant[tenant_id])
                del by_tenant[tenant_id]
        except Exception as error:
            self._not_before = loop.time() + RETRY_S
            self._buffer.owe_again([owed for owed in batch if owed.tenant_id in by_tenant])
            self._failed(error)
            return False
        if self._outage.worked():
            log.info("station log is kept again")
        return True

    def _failed(self, error: Exception) -> None:
        if self._outage.failed():
            log.warning("station log cannot be kept", reason=str(error) or type(error).__name__)

    async def _tell(self, fresh: Sequence[Owed]) -> None:
        """Only now: whoever began to follow before it was kept hears it here, whoever did later finds it there."""
        bus = self._workplace.port(Bus)  # type: ignore[type-abstract]
        for tenant_id, entries in _by_tenant(fresh).items():
            try:
                await tell(bus, tenant_id, entries)
            except Unavailable:
                return  # whoever listens hears of the gap

    async def _meet_strangers(self) -> None:
        try:
            for owed in await self._strangers.met():
                self._buffer.owe(owed)
        except Exception as error:
            log.warning("station log does not know who was turned away", reason=str(error))

    async def _look_ahead(self) -> None:
        """Tomorrow's partition, before anybody waits for it."""
        day = (self._workplace.clock() + _AHEAD).date()
        try:
            await self._keeper.ensure([day])
        except Exception as error:
            self._failed(error)


def _by_tenant(batch: Sequence[Owed]) -> dict[UUID, list[Entry]]:
    groups: defaultdict[UUID, list[Entry]] = defaultdict(list)
    for owed in batch:
        groups[owed.tenant_id].append(owed.entry)
    return groups

"""The table: one statement per tenant and batch, a partition for each day, and an end to what is old."""

from collections.abc import Iterable, Sequence
from datetime import date
from time import perf_counter
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import text
from sqlmodel import col, delete

from domain import outbox, stations
from domain.actor import Permission, system
from domain.errors import Conflict, Invalid
from domain.station_log.buffer import LOST
from domain.station_log.models import Entry, StationLogEntry
from domain.station_log.rules import StationLogRules
from domain.work import Work, Workplace

log = structlog.get_logger()

KEPT = Counter("voltgraph_station_log_entries", "Entries of the station log that were kept")
FLUSHES = Histogram("voltgraph_station_log_flush_seconds", "One tenant's entries into the table, with the commit")

_ENSURE = text("select ensure_station_log_partition(:day)")
_DROP = text("select drop_station_log_partitions(:days)")

# By hand, since SQLAlchemy takes ten times as long. What a deleted station says is nobody's.
_KEEP = """
insert into station_log (id, station_id, at, direction, kind, action, message_id, payload, duration_ms, error_code)
select said.* from unnest(
    $1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::double precision[], $10::text[]
) as said (id, station_id, at, direction, kind, action, message_id, payload, duration_ms, error_code)
where exists (select from station where station.id = said.station_id)
"""


class Keeper:
    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._days: set[date] = set()

    async def keep(self, tenant_id: UUID, entries: Sequence[Entry]) -> None:
        """Raises what may pass; what will be no better tomorrow is lost."""
        started = perf_counter()
        try:
            async with self._workplace.open_work(system(tenant_id, "station log")) as work:
                connection = await outbox.raw(await work.session.connection())
                await connection.execute(_KEEP, *map(list, zip(*entries, strict=True)))
        except (Invalid, Conflict) as error:
            LOST.inc(len(entries))
            log.error("station log entries refused", tenant=str(tenant_id), count=len(entries), reason=error.message)
        else:
            KEPT.inc(len(entries))
            FLUSHES.observe(perf_counter() - started)

    async def ensure(self, days: Iterable[date]) -> None:
        """That they have partitions; making one is the owner's right, lent by a function."""
        for day in days:
            if day not in self._days:
                async with self._workplace.engine.begin() as connection:
                    await connection.execute(_ENSURE, {"day": day})
                self._days.add(day)


async def forget_old(workplace: Workplace) -> int:
    """The days that are older than the house wants them; how many those were."""
    days = workplace.port(StationLogRules).days
    async with workplace.engine.begin() as connection:
        dropped: int = await connection.scalar(_DROP, {"days": days}) or 0
    return dropped


async def forget(work: Work, deleted: stations.StationDeleted) -> None:
    """What a station said goes with it."""
    work.require(Permission.MANAGE)
    await work.session.exec(delete(StationLogEntry).where(col(StationLogEntry.station_id) == deleted.station_id))

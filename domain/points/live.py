"""What viewers see of readings: the latest value of each point in Redis, then the news of it on the bus.

Readings are committed before any of this. While Redis is away, a process remembers the newest reading of each point
that it could not show, and shows them when Redis is back, whether or not anything is recorded by then.
"""

import asyncio
from collections.abc import Iterable, Sequence
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from prometheus_client import Counter, Gauge

from domain.bus import Bus
from domain.errors import Unavailable
from domain.points.latest import Latest
from domain.points.news import Live, messages
from domain.work import Work, Workplace

log = structlog.get_logger()

OWED = Gauge(
    "voltgraph_points_owed", "Points whose latest value waits for Redis to come back", multiprocess_mode="livesum"
)
FORGOTTEN = Counter("voltgraph_points_forgotten", "Latest values given up on because too many waited for Redis")

OWED_MAX = 100_000
PAUSE_S = 1.0


async def show(work: Work, readings: Sequence[Live]) -> None:
    """Latest values and their news; never fails for the readings' sake."""
    debt = _debt_to(work.port(Latest))  # type: ignore[type-abstract]
    if debt.settling or not await _shown(work.workplace, work.tenant_id, readings):
        debt.owe(work.workplace, work.tenant_id, readings)


async def _shown(workplace: Workplace, tenant_id: UUID, readings: Sequence[Live]) -> bool:
    """News is told of what is now the latest, so that a late reading does not pass for the present."""
    latest = workplace.port(Latest)  # type: ignore[type-abstract]
    try:
        taken = await latest.put(tenant_id, [reading.latest for reading in readings])
    except Unavailable:
        return False
    fresh = [reading for reading, is_latest in zip(readings, taken, strict=True) if is_latest]
    try:
        await workplace.port(Bus).publish(messages(tenant_id, fresh))  # type: ignore[type-abstract]
    except Unavailable as error:
        log.debug("readings not told", tenant=str(tenant_id), reason=error.message)  # listeners hear of the gap
    return True


class Debt:
    """What one process still has to show, per tenant and point, and the one task that tries to."""

    def __init__(self) -> None:
        self._owed: dict[UUID, dict[UUID, Live]] = {}
        self._count = 0
        self._settler: asyncio.Task[None] | None = None

    @property
    def settling(self) -> bool:
        return self._settler is not None and not self._settler.done()

    def owe(self, workplace: Workplace, tenant_id: UUID, readings: Iterable[Live]) -> None:
        owed = self._owed.setdefault(tenant_id, {})
        for reading in readings:
            other = owed.get(reading.latest.point_id)
            if other is None and self._count >= OWED_MAX:
                FORGOTTEN.inc()
            elif other is None or other.latest.at <= reading.latest.at:
                owed[reading.latest.point_id] = reading
                self._count += other is None
        OWED.set(self._count)
        if not self.settling:
            log.warning("latest values wait for Redis", tenant=str(tenant_id))
            self._settler = asyncio.create_task(self._settle(workplace), name="points settle")

    async def _settle(self, workplace: Workplace) -> None:
        while self._owed:
            await asyncio.sleep(PAUSE_S)
            while self._owed and await self._settled(workplace, next(iter(self._owed))):
                pass
        log.info("latest values are shown again")

    async def _settled(self, workplace: Workplace, tenant_id: UUID) -> bool:
        owed = self._owed[tenant_id]
        settling = list(owed.values())
        if not await _shown(workplace, tenant_id, settling):
            return False
        for reading in settling:
            if owed[reading.latest.point_id] is reading:  # else a newer one came meanwhile
                del owed[reading.latest.point_id]
                self._count -= 1
        if not owed:
            del self._owed[tenant_id]
        OWED.set(self._count)
        return True


_debts: WeakKeyDictionary[Latest, Debt] = WeakKeyDictionary()


def _debt_to(latest: Latest) -> Debt:
    debt = _debts.get(latest)
    if debt is None:
        debt = _debts[latest] = Debt()
    return debt

"""What viewers see of readings: the latest value of each point in Redis, then the news of it on the bus.

Readings are committed before any of this. While Redis is away, a process remembers the newest reading of each point
that it could not show, and shows them when Redis is back, whether or not anything is recorded by then.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from prometheus_client import Counter, Gauge

from domain.bus import Bus
from domain.errors import Unavailable
from domain.outage import Outage
from domain.points.latest import Latest, LatestReadings
from domain.points.news import Live, Lives, every_topic, messages, topic
from domain.work import Work, Workplace

log = structlog.get_logger()

OWED = Gauge(
    "voltgraph_points_owed",
    "Points whose latest value waits to be shown, as while Redis is away",
    multiprocess_mode="livesum",
)
FORGOTTEN = Counter("voltgraph_points_forgotten", "Latest values given up on because too many waited for Redis")

OWED_MAX = 100_000
SHOWN_AT_ONCE = 10_000
PAUSE_S = 1.0


async def show(work: Work, readings: Sequence[Live]) -> None:
    """Latest values and their news; never fails for the readings' sake."""
    debt = _debt_to(work.port(Latest))  # type: ignore[type-abstract]
    for start in range(0, len(readings), SHOWN_AT_ONCE):
        await debt.show(work.workplace, work.tenant_id, readings[start : start + SHOWN_AT_ONCE])


async def _show(workplace: Workplace, tenant_id: UUID, batches: Sequence[Sequence[Live]]) -> None:
    """News is told of what is now the latest, so that a late reading does not pass for the present."""
    latest = workplace.port(Latest)  # type: ignore[type-abstract]
    taken = await latest.put(tenant_id, LatestReadings.joined([Lives.of(batch).latest for batch in batches]))
    fresh = list(_fresh(batches, taken))
    bus = workplace.port(Bus)  # type: ignore[type-abstract]
    try:
        awaited = await _awaited(bus, tenant_id, fresh)
        await bus.publish([message for batch in awaited for message in messages(tenant_id, batch)])
    except Unavailable as error:
        log.debug("readings not told", tenant=str(tenant_id), reason=error.message)  # listeners hear of the gap


def _fresh(batches: Iterable[Sequence[Live]], taken: Sequence[bool]) -> Iterator[Sequence[Live]]:
    """What of each batch is now the latest."""
    start = 0
    for batch in batches:
        mine = taken[start : start + len(batch)]
        start += len(batch)
        yield batch if all(mine) else list(compress(batch, mine))


async def _awaited(bus: Bus, tenant_id: UUID, batches: Sequence[Sequence[Live]]) -> Sequence[Sequence[Live]]:
    """Those that somebody listens to. Who begins to listen after this was asked looks at what is put by then."""
    everything = every_topic(tenant_id)
    topics = {owner_id: topic(tenant_id, owner_id) for batch in batches for owner_id in _owner_ids(batch)}
    try:
        heard = await bus.listened_to([everything, *topics.values()])
    except Unavailable:
        return batches  # publishing fails too, which is how listeners come to hear of the gap
    if everything in heard:
        return batches
    owners = {owner_id for owner_id, heard_on in topics.items() if heard_on in heard}
    return [
        batch if owners.issuperset(_owner_ids(batch)) else [reading for reading in batch if reading.owner_id in owners]
        for batch in batches
        if not owners.isdisjoint(_owner_ids(batch))
    ]


def _owner_ids(batch: Sequence[Live]) -> set[UUID | None]:
    if isinstance(batch, Lives) and batch.roster is not None:
        return batch.roster.owners
    return {reading.owner_id for reading in batch}


@dataclass(eq=False, slots=True)
class _Owed:
    """To one tenant: batches as they came, or the newest of each address while Redis is away, which are shown first;
    and the event that all of them were tried to be shown."""

    batches: list[Sequence[Live]] = field(default_factory=list)
    readings: dict[str, Live] = field(default_factory=dict)
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    failing: bool = False
    settler: asyncio.Task[None] | None = None


class Debt:
    """What one process still has to show, per tenant and point; what comes meanwhile is shown together after that.

    No `Gathering`: of a point only the newest waits, and for a Redis that is away nobody does.
    """

    def __init__(self) -> None:
        self._owed: dict[UUID, _Owed] = {}
        self._count = 0
        self._outage = Outage(lasting_s=0)

    async def show(self, workplace: Workplace, tenant_id: UUID, readings: Sequence[Live]) -> None:
        """Returns when they are shown, or owed to a Redis that is away."""
        owed = self._owed.get(tenant_id)
        if owed is None:
            owed = self._owed[tenant_id] = _Owed()
        if owed.failing:
            self._owe(owed, readings)
        else:
            owed.batches.append(readings)
            self._counted(len(readings))
        if owed.settler is None:
            owed.settler = asyncio.create_task(self._settle(workplace, tenant_id, owed), name="points show")
        if not owed.failing:
            await owed.tried.wait()

    def _owe(self, owed: _Owed, readings: Iterable[Live]) -> None:
        newest = owed.readings
        before = len(newest)
        for reading in readings:
            address, _, latest = reading
            other = newest.get(address)
            if other is None and owed.failing and self._count + len(newest) - before >= OWED_MAX:
                FORGOTTEN.inc()
            elif other is None or other.latest.at <= latest.at:
                newest[address] = reading
        self._counted(len(newest) - before)

    def _counted(self, more: int) -> None:
        self._count += more
        OWED.set(self._count)

    async def _settle(self, workplace: Workplace, tenant_id: UUID, owed: _Owed) -> None:
        try:
            while owed.batches or owed.readings:
                showing = self._taken(owed)
                tried, owed.tried = owed.tried, asyncio.Event()
                try:
                    await _show(workplace, tenant_id, showing)
                except Unavailable as error:
                    owed.failing = True
                    if self._outage.failed():
                        log.warning("latest values wait for Redis", reason=error.message)
                    for readings in (*showing, *self._taken(owed)):
                        self._owe(owed, readings)
                else:
                    owed.failing = False
                    if self._outage.worked():
                        log.info("latest values are shown again")
                finally:
                    tried.set()
                if owed.failing:
                    await asyncio.sleep(PAUSE_S)
        finally:
            self._taken(owed)
            owed.tried.set()
            del self._owed[tenant_id]

    def _taken(self, owed: _Owed) -> list[Sequence[Live]]:
        taken = [list(owed.readings.values()), *owed.batches] if owed.readings else owed.batches
        owed.batches, owed.readings = [], {}
        self._counted(-sum(map(len, taken)))
        return taken


_debts: WeakKeyDictionary[Latest, Debt] = WeakKeyDictionary()


def _debt_to(latest: Latest) -> Debt:
    debt = _debts.get(latest)
    if debt is None:
        debt = _debts[latest] = Debt()
    return debt

"""The one way in for measurements, whichever gateway they come from."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import structlog

from domain.actor import Permission, system
from domain.errors import Forbidden, TimedOut, Unavailable
from domain.points import quarantine
from domain.points.batch import Batch
from domain.points.known import DIRECTORY, Known, Unlearned
from domain.points.learning import known, refitted
from domain.points.live import show
from domain.points.readings import Owner, Reading, Recorded
from domain.points.spool import Delivery, Spool
from domain.points.store import HistoryStore
from domain.work import Work, Workplace

log = structlog.get_logger()

REPLAYED_AT_ONCE = 5_000
OWNERS_AT_ONCE = 16
REPLAY_PAUSE_S = 1.0


async def record(work: Work, readings: Sequence[Reading], *, owner: Owner | None = None) -> Recorded:
    """Store readings, then show them. When this returns they are committed, all but those with an error.

    Unknown addresses become points of `owner`, as far as the tenant's rules allow. Units are normalized, see
    `domain.units`. What is not of its point's type is converted or quarantined (`domain.points.fitting`), and told in
    the answer. NaN and infinities are refused, since a mean or an answer in JSON could not hold them: a gateway that
    wants to keep that a device said so gives `text="NaN", quality=Quality.BAD`. While the store is down, readings wait
    on disk (`Spool`), which counts as committed; what only the store or the point could say against them is then told
    to the log. Raises `Unavailable`, with nothing acknowledged, when the disk has no room either; without Redis only
    viewers have to wait. `work` must not have begun: its transaction has no part in this.
    """
    work.require(Permission.REPORT)
    if work.read_only:
        raise Forbidden("this work is read-only")
    if work.session.in_transaction():
        raise RuntimeError("readings are recorded in a Work that has not begun: open one for them")
    batch = Batch(readings, DIRECTORY.of(work.tenant_id))
    spool = work.port(Spool)  # type: ignore[type-abstract]
    if not spool.behind:
        with suppress(Unavailable):
            return await _stored(work, batch, owner)
        batch = Batch(readings, DIRECTORY.of(work.tenant_id))
    recorded = batch.recorded
    if batch.sound:
        await spool.keep(Delivery(work.tenant_id, owner, batch.sound))
        await _show_meanwhile(work, batch)
    return recorded


async def replay(workplace: Workplace) -> None:
    """Records what waits on disk whenever something does; until it is cancelled."""
    spool = workplace.port(Spool)  # type: ignore[type-abstract]
    while True:
        await spool.stirred()
        try:
            done = await caught_up(workplace)
        except Exception:  # a disk that cannot be read, say: it may be mended, and this must not have ended by then
            log.exception("what waits on disk cannot be recorded")
            done = False
        if not done:
            await asyncio.sleep(REPLAY_PAUSE_S)


async def caught_up(workplace: Workplace) -> bool:
    """Records what waits on disk, of each owner in the order in which it came; False where the store is still away.

    In large parts, for this must be faster than more comes: what comes meanwhile waits behind it.
    """
    spool = workplace.port(Spool)  # type: ignore[type-abstract]
    while deliveries := await spool.oldest(REPLAYED_AT_ONCE):
        by_owner: dict[tuple[UUID, Owner | None], list[Delivery]] = {}
        for delivery in deliveries:
            by_owner.setdefault((delivery.tenant_id, delivery.owner), []).append(delivery)
        groups = list(by_owner.values())
        for start in range(0, len(groups), OWNERS_AT_ONCE):
            part = groups[start : start + OWNERS_AT_ONCE]
            if not all(await asyncio.gather(*(_replayed(workplace, of_one) for of_one in part))):
                return False
        await spool.settled(len(deliveries))
    return True


async def _replayed(workplace: Workplace, same: Sequence[Delivery]) -> bool:
    """Deliveries of one owner, as one; False where they must be tried again. Nothing is in the way for ever."""
    try:
        await _replay(workplace, same)
    except (Unavailable, TimedOut):
        return False
    except Exception as error:
        if len(same) > 1:  # whichever of them it is, it takes no other with it
            return all([await _replayed(workplace, [delivery]) for delivery in same])
        log.exception("a spooled delivery is put aside", tenant=str(same[0].tenant_id))
        await workplace.port(Spool).refused(same[0], str(error) or type(error).__name__)  # type: ignore[type-abstract]
    return True


async def _replay(workplace: Workplace, same: Sequence[Delivery]) -> None:
    """What only the point or the store has against a reading is put aside."""
    tenant_id, owner = same[0].tenant_id, same[0].owner
    readings = [reading for delivery in same for reading in delivery.readings]
    async with workplace.open_work(system(tenant_id, "spool")) as work:
        recorded = await _stored(work, Batch(readings, DIRECTORY.of(tenant_id)), owner)
    for error in recorded.errors:
        log.warning("a spooled reading is put aside", tenant=str(tenant_id), reason=error.message)
        aside = Delivery(tenant_id, owner, [readings[error.index]])
        await workplace.port(Spool).refused(aside, error.message)  # type: ignore[type-abstract]


async def _stored(work: Work, batch: Batch, owner: Owner | None) -> Recorded:
    if not batch.sound:
        return batch.recorded
    points: Sequence[Known | Unlearned] = batch.settled or await known(work, batch.sound, owner)
    rows = batch.rows(points)
    if batch.misfits:
        rows = batch.rows(await refitted(work, batch.sound, points, batch.misfits))
    if batch.misfits:
        await quarantine.keep(work, batch.quarantined)
    if rows:
        for position, reason in await work.port(HistoryStore).write(rows):  # type: ignore[type-abstract]
            batch.refuse_row(position, reason)
        await show(work, batch.newest(work.now))
    return batch.recorded


async def _show_meanwhile(work: Work, batch: Batch) -> None:
    """Viewers need not wait for the store, as long as it is known whose points these are."""
    if batch.roster is not None:
        batch.rows(batch.roster)
        await show(work, batch.newest(work.now))

"""An end to readings that are older than their tenant keeps them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import col, select

from domain import tenants
from domain.actor import system
from domain.points.models import Point
from domain.points.store import HistoryStore
from domain.work import Workplace


async def forget_old(workplace: Workplace, tenant_ids: Sequence[UUID]) -> None:
    """Of these, who are all there are: what nobody keeps goes at once, the rest of each tenant by itself.

    A tenant's days end at midnight UTC, so what is kept is a whole day longer at most.
    """
    before = {tenant_id: await _kept_from(workplace, tenant_id) for tenant_id in tenant_ids}
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    kept_from = [at for at in before.values() if at is not None]
    if kept_from and len(kept_from) == len(before):
        await store.forget_all(before=min(kept_from))
    for tenant_id, at in before.items():
        if at is not None:
            await store.forget(await _series(workplace, tenant_id), before=at)


async def _kept_from(workplace: Workplace, tenant_id: UUID) -> datetime | None:
    async with workplace.open_work(system(tenant_id, "history"), read_only=True) as work:
        days = (await tenants.own(work)).history_days
        if days is None:
            return None
        today = work.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return today - timedelta(days=days)


async def _series(workplace: Workplace, tenant_id: UUID) -> Sequence[int]:
    async with workplace.open_work(system(tenant_id, "history"), read_only=True) as work:
        return (await work.session.exec(select(col(Point.series)))).all()

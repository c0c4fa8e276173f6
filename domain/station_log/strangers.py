"""Who was not let in may be a station of ours with a wrong password, and then that is for its log."""

from collections import OrderedDict
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain import stations
from domain.actor import system, tenant_by_slug
from domain.station_log.buffer import Draft, Owed
from domain.station_log.masking import Secrets
from domain.station_log.models import Direction, EntryKind
from domain.work import Workplace

AT_ONCE = 200
AGAIN_S = 10.0  # one that knocks time and again is told of once in so long
_REMEMBERED = 1_000


class Stranger(NamedTuple):
    """By the names that it gave."""

    tenant_slug: str
    identity: str


class Strangers:
    """Anybody may knock, so there is a bound to everything, and nobody is asked anything while the door is held."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._waiting: OrderedDict[Stranger, tuple[datetime, dict[str, Any]]] = OrderedDict()
        self._told: OrderedDict[Stranger, datetime] = OrderedDict()
        self._tenants: dict[str, UUID] = {}  # a slug keeps its tenant, and only known ones are kept

    def turn_away(self, stranger: Stranger, facts: dict[str, Any]) -> None:
        now = self._workplace.clock()
        told = self._told.get(stranger)
        if (told is not None and (now - told).total_seconds() < AGAIN_S) or len(self._waiting) >= AT_ONCE:
            return
        self._told[stranger] = now
        self._told.move_to_end(stranger)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self._waiting[stranger] = now, facts

    async def met(self) -> list[Owed]:
        """An entry for each that is a station. Raises where the database is away; then they are forgotten."""
        waiting, self._waiting = self._waiting, OrderedDict()
        entries = []
        for stranger, (at, facts) in waiting.items():
            tenant_id = await self._tenant(stranger.tenant_slug)
            station = None if tenant_id is None else await self._station(tenant_id, stranger.identity)
            if tenant_id is not None and station is not None:
                draft = Draft(at, Direction.NONE, EntryKind.EVENT, "denied", None, facts)
                entries.append(Owed(tenant_id, draft.entry(station.id, Secrets())))
        return entries

    async def _tenant(self, slug: str) -> UUID | None:
        if slug not in self._tenants:
            tenant_id = await tenant_by_slug(self._workplace.engine, slug)
            if tenant_id is None:
                return None
            self._tenants[slug] = tenant_id
        return self._tenants[slug]

    async def _station(self, tenant_id: UUID, identity: str) -> stations.Station | None:
        async with self._workplace.open_work(system(tenant_id, "station log"), read_only=True) as work:
            return await stations.find(work, identity)

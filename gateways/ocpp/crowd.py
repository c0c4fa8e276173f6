"""Stations come and go in crowds: those of one moment share one Work per tenant."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple
from uuid import UUID

from domain import stations
from domain.actor import system
from domain.errors import Unavailable
from domain.gathering import Gathering
from domain.work import Work, Workplace

AT_ONCE = 500
RETRY_DELAYS_S = (0.5, 2.0, 5.0)  # while the database is away: nobody says it twice


class Change(NamedTuple):
    station_id: UUID
    ocpp_version: str | None
    """None when it went."""
    peer: str = ""


class Crowd:
    """Tells the domain of each station in the order of what happened."""

    def __init__(self, workplace: Workplace, *, retry_delays_s: Sequence[float] = RETRY_DELAYS_S) -> None:
        self._workplace = workplace
        self._retry_delays_s = retry_delays_s
        self._of = cache(lambda tenant_id: Gathering(partial(self._tell_all, tenant_id), at_once=AT_ONCE))

    async def came(self, tenant_id: UUID, station_id: UUID, ocpp_version: str, *, peer: str = "") -> None:
        """Returns when it is committed; raises what kept it from being so."""
        await self._of(tenant_id).ask(Change(station_id, ocpp_version, peer))

    async def went(self, tenant_id: UUID, station_id: UUID) -> None:
        await self._of(tenant_id).ask(Change(station_id, None))

    async def _tell_all(self, tenant_id: UUID, crowd: Sequence[Change]) -> Sequence[None]:
        for delay_s in self._retry_delays_s:
            try:
                return await self._tell_once(tenant_id, crowd)
            except Unavailable:
                await asyncio.sleep(delay_s)
        return await self._tell_once(tenant_id, crowd)

    async def _tell_once(self, tenant_id: UUID, crowd: Sequence[Change]) -> Sequence[None]:
        async with self._workplace.open_work(system(tenant_id, "ocpp")) as work:
            for changes in _rounds(crowd):
                await _tell(work, changes)
        return [None] * len(crowd)


def _rounds(crowd: Sequence[Change]) -> Iterator[list[Change]]:
    """The first change of each station, then the second of those that have one, and so on."""
    rounds: list[list[Change]] = []
    seen: defaultdict[UUID, int] = defaultdict(int)
    for change in crowd:
        if seen[change.station_id] == len(rounds):
            rounds.append([])
        rounds[seen[change.station_id]].append(change)
        seen[change.station_id] += 1
    return iter(rounds)


async def _tell(work: Work, changes: Sequence[Change]) -> None:
    by_version: defaultdict[str | None, dict[UUID, str]] = defaultdict(dict)
    for change in changes:
        by_version[change.ocpp_version][change.station_id] = change.peer
    for version, peers in by_version.items():
        if version is None:
            await stations.disconnected(work, station_ids=list(peers), seen_at=work.now)
        else:
            await stations.connected(work, station_ids=list(peers), ocpp_version=version, peers=peers)

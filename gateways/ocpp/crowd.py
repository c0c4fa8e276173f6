"""Stations come and go in crowds: those of one moment share one Work per tenant."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from domain import stations
from domain.actor import system
from domain.errors import Unavailable
from domain.work import Workplace

AT_ONCE = 500
RETRY_DELAYS_S = (0.5, 2.0, 5.0)  # while the database is away: nobody says it twice

Change = tuple[UUID, str | None, str, "asyncio.Future[None]"]  # station, its version or None when it went, its peer


class Crowd:
    """Tells the domain in the order of what happened. While one Work commits, the next crowd gathers."""

    def __init__(self, workplace: Workplace, *, retry_delays_s: Sequence[float] = RETRY_DELAYS_S) -> None:
        self._workplace = workplace
        self._retry_delays_s = retry_delays_s
        self._waiting: defaultdict[UUID, deque[Change]] = defaultdict(deque)
        self._telling: dict[UUID, asyncio.Task[None]] = {}

    async def came(self, tenant_id: UUID, station_id: UUID, ocpp_version: str, *, peer: str = "") -> None:
        await self._told(tenant_id, station_id, ocpp_version, peer)

    async def went(self, tenant_id: UUID, station_id: UUID) -> None:
        await self._told(tenant_id, station_id, None, "")

    async def _told(self, tenant_id: UUID, station_id: UUID, ocpp_version: str | None, peer: str) -> None:
        """Returns when it is committed; raises what kept it from being so."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[tenant_id].append((station_id, ocpp_version, peer, told))
        if tenant_id not in self._telling:
            self._telling[tenant_id] = asyncio.create_task(self._tell(tenant_id))
        await told

    async def _tell(self, tenant_id: UUID) -> None:
        waiting = self._waiting[tenant_id]
        try:
            while waiting:
                crowd = [waiting.popleft() for _ in range(min(AT_ONCE, len(waiting)))]
                try:
                    await self._tell_all(tenant_id, crowd)
                except Exception as error:
                    _settle(crowd, error)
                else:
                    _settle(crowd, None)
        finally:
            del self._telling[tenant_id], self._waiting[tenant_id]

    async def _tell_all(self, tenant_id: UUID, crowd: list[Change]) -> None:
        for delay_s in self._retry_delays_s:
            try:
                return await self._tell_once(tenant_id, crowd)
            except Unavailable:
                await asyncio.sleep(delay_s)
        return await self._tell_once(tenant_id, crowd)

    async def _tell_once(self, tenant_id: UUID, crowd: list[Change]) -> None:
        async with self._workplace.open_work(system(tenant_id, "ocpp")) as work:
            for version, changes in groupby(crowd, key=lambda change: change[1]):
                peers = {station_id: peer for station_id, _, peer, _ in changes}
                if version is None:
                    await stations.disconnected(work, station_ids=list(peers), seen_at=work.now)
                else:
                    await stations.connected(work, station_ids=list(peers), ocpp_version=version, peers=peers)


def _settle(crowd: list[Change], error: Exception | None) -> None:
    for _, _, _, told in crowd:
        if told.done():
            continue  # whoever waited has been cancelled
        if error is None:
            told.set_result(None)
        else:
            told.set_exception(error)

"""Tells the cluster which sockets this process holds, and the domain when stations come and go."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import structlog

from domain.errors import DomainError, Unavailable
from domain.stations import Hold, Presence
from domain.work import Workplace
from gateways.ocpp.crowd import Crowd
from gateways.ocpp.link import Admission
from gateways.ocpp.registry import Sockets
from gateways.ocpp.socket import StationSocket

log = structlog.get_logger()

LEASE_S = 60.0
BEATS_PER_LEASE = 4
TOUCH_S = 3.0

Evict = Callable[[UUID, UUID, str], Awaitable[None]]


class Attendance:
    """The endpoint's `Lifecycle`: leases in Redis, `StationConnected` and `StationDisconnected` in the domain."""

    def __init__(
        self, workplace: Workplace, sockets: Sockets, *, process_id: str, evict: Evict, lease_s: float = LEASE_S
    ) -> None:
        self._workplace = workplace
        self._sockets = sockets
        self._process_id = process_id
        self._evict = evict
        self._lease_s = lease_s
        self._holds: dict[StationSocket, Hold] = {}
        self._heard: set[tuple[UUID, UUID]] = set()
        self._crowd = Crowd(workplace)

    @property
    def _presence(self) -> Presence:
        return self._workplace.port(Presence)  # type: ignore[type-abstract]

    async def connected(self, admission: Admission, socket: StationSocket) -> None:
        hold = (admission.tenant_id, admission.station_id, f"{self._process_id}/{uuid4().hex[:12]}")
        previous = None
        try:
            previous = await self._presence.claim(*hold, self._lease_s)
        except Unavailable as error:
            # the next beat claims it; until then this process alone knows
            log.warning("presence not told", station=socket.identity, reason=error.message)
        finally:
            self._holds[socket] = hold  # not before: a beat would find it held by the one that it replaces
        await self._replace(hold, previous)
        await self._crowd.came(hold[0], hold[1], socket.version.value, peer=admission.peer)

    async def _replace(self, hold: Hold, previous: str | None) -> None:
        if previous is not None:
            with suppress(Unavailable):  # the process that held it is gone, and its socket with it
                await self._evict(hold[0], hold[1], previous)

    async def disconnected(self, admission: Admission, socket: StationSocket) -> None:
        hold = self._holds.pop(socket, None)
        if hold is None or not await self._released(hold, socket):
            return
        await self._crowd.went(hold[0], hold[1])

    async def _released(self, hold: Hold, socket: StationSocket) -> bool:
        """Whether nobody else holds the station now."""
        try:
            return await self._presence.release(*hold) and not socket.replaced
        except Unavailable:
            return not socket.replaced

    def seen(self, admission: Admission) -> None:
        self._heard.add((admission.tenant_id, admission.station_id))

    async def evicted(self, tenant_id: UUID, station_id: UUID, holder: str) -> None:
        """Another process has a newer socket of a station that we held."""
        for socket, hold in list(self._holds.items()):
            if hold == (tenant_id, station_id, holder):
                socket.replaced = True
                await socket.close(1000, "replaced by a newer connection")

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renews the leases and passes on who was heard from, for as long as the process serves."""
        tasks = [
            asyncio.create_task(self._every(self._lease_s / BEATS_PER_LEASE, self._beat)),
            asyncio.create_task(self._every(TOUCH_S, self._touch)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _every(self, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
        failing = False
        while True:
            await asyncio.sleep(seconds)
            try:
                await step()
            except Exception as error:
                if not failing:
                    log.warning("presence cannot be told", reason=str(error))
                failing = True
            else:
                if failing:
                    log.info("presence is told again")
                failing = False

    async def _touch(self) -> None:
        heard, self._heard = self._heard, set()
        try:
            await self._presence.touch(list(heard))
        except DomainError:
            self._heard |= heard
            raise

    async def _beat(self) -> None:
        holds = {hold: socket for socket, hold in self._holds.items()}
        for hold in await self._presence.renew(list(holds), self._lease_s):
            await self._lost(hold, holds[hold])

    async def _lost(self, hold: Hold, socket: StationSocket) -> None:
        """Taken over by a newer socket elsewhere: ours goes. Or forgotten by Redis: it is claimed again."""
        holder = await self._presence.holder(*hold[:2])
        if socket not in self._holds:
            return  # it has gone while we asked
        if holder is not None:
            await self.evicted(*hold)
            return
        await self._presence.claim(*hold, self._lease_s)
        if socket not in self._holds:
            await self._presence.release(*hold)
            return
        await self._crowd.came(hold[0], hold[1], socket.version.value)

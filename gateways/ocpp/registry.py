"""The sockets of this process: one per station, the newest."""

import asyncio
import random
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from gateways.ocpp.memory import StationKey
from gateways.ocpp.socket import StationSocket

_REPLACED: Final = 1000  # a going-away would invite the older of two clients with one name to come back, for ever
_RESTARTING: Final = 1012


class Sockets:
    def __init__(self) -> None:
        self.closing = False
        self._newest: dict[StationKey, StationSocket] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[StationSocket]:
        return (socket for socket in tuple(self._newest.values()) if socket.open)

    def get(self, tenant_id: UUID, station_id: UUID) -> StationSocket | None:
        socket = self._newest.get((tenant_id, station_id))
        return socket if socket is not None and socket.open else None

    def join(self, socket: StationSocket) -> StationSocket | None:
        """From now on the station's socket. Answers the one it replaces, which is closed and may still be working."""
        previous = self._newest.get(socket.key)
        self._newest[socket.key] = socket
        if previous is not None:
            previous.replaced = True
            farewell = asyncio.create_task(previous.close(_REPLACED, "replaced by a newer connection"))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)
        return previous

    def leave(self, socket: StationSocket) -> None:
        if self._newest.get(socket.key) is socket:
            del self._newest[socket.key]

    async def close(self, tenant_id: UUID, station_id: UUID, *, code: int = 1000, reason: str = "") -> bool:
        """Hangs up on a station (its socket is elsewhere now, it was deleted); False when it is not here."""
        socket = self.get(tenant_id, station_id)
        if socket is None:
            return False
        await socket.close(code, reason)
        return True

    async def shutdown(self, code: int = _RESTARTING, *, over_s: float = 5.0) -> None:
        """No socket joins any more; those there close one after the other, so that they do not come back as one."""
        self.closing = True
        sockets = list(self)
        random.shuffle(sockets)
        step_s = over_s / len(sockets) if sockets else 0.0
        await asyncio.gather(*(_close_later(socket, code, step_s * place) for place, socket in enumerate(sockets)))


async def _close_later(socket: StationSocket, code: int, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    await socket.close(code, "the server restarts")
    await socket.drained()

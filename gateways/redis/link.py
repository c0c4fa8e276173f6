"""Commands to whichever process holds a station's socket, and the word that a newer socket is here."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson

from domain.commands import Outcome, StationLink
from domain.errors import TimedOut, Unavailable
from domain.stations import Presence
from gateways.redis.routing import Router

# The way back through Redis: the station has so much less time, for its caller waits no longer than was promised.
_WAY_BACK_S = 0.5
_WAY_BACK_PART = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it travels between processes."""

    tenant_id: UUID
    station_id: UUID
    command_id: UUID
    kind: str
    arguments: dict[str, Any]
    timeout_s: float


CarryOut = Callable[[Order], Awaitable[Outcome]]
HangUp = Callable[[UUID, UUID], Awaitable[object]]
Evict = Callable[[UUID, UUID, str], Awaitable[None]]


class ClusterLink(StationLink):
    """`serve` once, with what this process does for the sockets that it holds itself."""

    def __init__(self, presence: Presence, router: Router, process_id: str) -> None:
        self._presence = presence
        self._router = router
        self._process_id = process_id

    async def deliver(
        self,
        *,
        tenant_id: UUID,
        station_id: UUID,
        command_id: UUID,
        kind: str,
        arguments: dict[str, Any],
        timeout_s: float,
    ) -> Outcome:
        holder = await self._presence.holder(tenant_id, station_id)
        if holder is None:
            raise Unavailable("the station is not connected")
        patience_s = timeout_s - min(_WAY_BACK_S, timeout_s * _WAY_BACK_PART)
        order = Order(tenant_id, station_id, command_id, kind, arguments, patience_s)
        try:
            reply = await self._router.ask(
                _process(holder), orjson.dumps({"order": asdict(order)}, default=str), timeout_s
            )
        except TimedOut:
            raise TimedOut(f"the station did not answer within {round(timeout_s, 1):g} s") from None
        return Outcome(**orjson.loads(reply))

    async def hang_up(self, *, tenant_id: UUID, station_id: UUID) -> None:
        holder = await self._presence.holder(tenant_id, station_id)
        if holder is not None:
            with suppress(Unavailable):  # the process is gone, and the connection with it
                await self._router.tell(
                    _process(holder), orjson.dumps({"hang_up": [tenant_id, station_id]}, default=str)
                )

    async def evict(self, tenant_id: UUID, station_id: UUID, holder: str) -> None:
        """Tell whoever held the station's socket until now that it has a newer one."""
        if _process(holder) != self._process_id:
            note = {"evict": [tenant_id, station_id, holder]}
            await self._router.tell(_process(holder), orjson.dumps(note, default=str))

    async def serve(self, carry_out: CarryOut, evict: Evict, hang_up: HangUp) -> None:
        """From now on this process takes orders for the sockets that it holds."""

        async def handle(request: bytes) -> bytes:
            match orjson.loads(request):
                case {"order": fields}:
                    fields |= {name: UUID(fields[name]) for name in ("tenant_id", "station_id", "command_id")}
                    return orjson.dumps(asdict(await carry_out(Order(**fields))), default=str)
                case {"evict": [tenant_id, station_id, holder]}:
                    await evict(UUID(tenant_id), UUID(station_id), holder)
                case {"hang_up": [tenant_id, station_id]}:
                    await hang_up(UUID(tenant_id), UUID(station_id))
            return b""

        await self._router.serve(self._process_id, handle)


def _process(holder: str) -> str:
    return holder.partition("/")[0]

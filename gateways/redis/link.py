"""Commands to whichever process holds a station's socket, and the word that a newer socket is here."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol
from uuid import UUID

import orjson

from domain.commands import Outcome, StationLink, Unheard
from domain.errors import TimedOut, Unavailable
from domain.stations import Presence
from gateways.redis.routing import Gone, Router

# The way back through Redis: the station has so much less time, for its caller waits no longer than was promised.
_WAY_BACK_S = 0.5
_WAY_BACK_PART = 0.1
_RECALL_S = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it travels between processes."""

    tenant_id: UUID
    station_id: UUID
    command_id: UUID
    kind: str
    arguments: dict[str, Any]
    timeout_s: float
    send_within_s: float | None = None


class Holder(Protocol):
    """What a process does for the sockets that it holds."""

    async def carry_out(self, order: Order) -> Outcome: ...

    async def recall(self, command_id: UUID) -> bool: ...

    async def deliver_waiting(self, tenant_id: UUID, station_id: UUID) -> None:
        """Begins to, as soon as the station can hear it."""
        ...

    async def evict(self, tenant_id: UUID, station_id: UUID, holder: str) -> None: ...

    async def hang_up(self, tenant_id: UUID, station_id: UUID) -> None: ...


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
        send_within_s: float | None = None,
    ) -> Outcome:
        holder = await self._held(tenant_id, station_id)
        patience_s = timeout_s - min(_WAY_BACK_S, timeout_s * _WAY_BACK_PART)
        order = Order(tenant_id, station_id, command_id, kind, arguments, patience_s, send_within_s)
        try:
            reply = await self._router.ask(_process(holder), _said(order=asdict(order)), timeout_s)
        except TimedOut:
            raise TimedOut(f"the station did not answer within {round(timeout_s, 1):g} s") from None
        except Gone as gone:
            raise Unheard(gone.message) from None
        return Outcome(**orjson.loads(reply))

    async def _held(self, tenant_id: UUID, station_id: UUID) -> str:
        try:
            holder = await self._presence.holder(tenant_id, station_id)
        except Unavailable as error:
            raise Unheard(error.message) from error
        if holder is None:
            raise Unheard("the station is not connected")
        return holder

    async def recall(self, *, tenant_id: UUID, station_id: UUID, command_id: UUID) -> bool:
        holder = await self._presence.holder(tenant_id, station_id)
        if holder is None:
            return False
        try:
            reply = await self._router.ask(_process(holder), _said(recall=command_id), _RECALL_S)
        except Unavailable:
            return False
        return bool(orjson.loads(reply))

    async def wake(self, *, tenant_id: UUID, station_id: UUID) -> None:
        await self._tell_holder(tenant_id, station_id, _said(wake=[tenant_id, station_id]))

    async def hang_up(self, *, tenant_id: UUID, station_id: UUID) -> None:
        await self._tell_holder(tenant_id, station_id, _said(hang_up=[tenant_id, station_id]))

    async def _tell_holder(self, tenant_id: UUID, station_id: UUID, note: bytes) -> None:
        holder = await self._presence.holder(tenant_id, station_id)
        if holder is not None:
            with suppress(Unavailable):  # the process is gone, and the connection with it
                await self._router.tell(_process(holder), note)

    async def evict(self, tenant_id: UUID, station_id: UUID, holder: str) -> None:
        """Tell whoever held the station's socket until now that it has a newer one."""
        if _process(holder) != self._process_id:
            await self._router.tell(_process(holder), _said(evict=[tenant_id, station_id, holder]))

    async def serve(self, here: Holder) -> None:
        """From now on this process takes orders for the sockets that it holds."""

        async def handle(request: bytes) -> bytes:
            match orjson.loads(request):
                case {"order": fields}:
                    fields |= {name: UUID(fields[name]) for name in ("tenant_id", "station_id", "command_id")}
                    return orjson.dumps(asdict(await here.carry_out(Order(**fields))), default=str)
                case {"recall": command_id}:
                    return orjson.dumps(await here.recall(UUID(command_id)))
                case {"wake": [tenant_id, station_id]}:
                    await here.deliver_waiting(UUID(tenant_id), UUID(station_id))
                case {"evict": [tenant_id, station_id, holder]}:
                    await here.evict(UUID(tenant_id), UUID(station_id), holder)
                case {"hang_up": [tenant_id, station_id]}:
                    await here.hang_up(UUID(tenant_id), UUID(station_id))
            return b""

        await self._router.serve(self._process_id, handle)


def _said(**message: Any) -> bytes:
    return orjson.dumps(message, default=str)


def _process(holder: str) -> str:
    return holder.partition("/")[0]

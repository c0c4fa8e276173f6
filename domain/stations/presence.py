"""Which process holds which station's socket, anywhere in the cluster."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

Hold = tuple[UUID, UUID, str]  # tenant, station, holder


class Presence(Protocol):
    """Leases on stations. A holder is "process_id/socket_id"; every time here is read from the one shared clock.

    Every method raises `domain.errors.Unavailable` when the cluster's memory is not reachable.
    """

    async def claim(self, tenant_id: UUID, station_id: UUID, holder: str, lease_s: float) -> str | None:
        """Newest wins. Answers who else held it and was not swept yet, even where that lease has run out."""
        ...

    async def renew(self, items: Sequence[Hold], lease_s: float) -> list[Hold]:
        """Answers those that are no longer ours: taken over, or swept by `expired`."""
        ...

    async def release(self, tenant_id: UUID, station_id: UUID, holder: str) -> bool:
        """Whether it was still ours."""
        ...

    async def holder(self, tenant_id: UUID, station_id: UUID) -> str | None:
        """None when nobody holds it or the lease has run out."""
        ...

    async def online(self, tenant_id: UUID) -> set[UUID]:
        """All stations with a live lease."""
        ...

    async def expired(self, tenant_id: UUID) -> list[UUID]:
        """Takes away and answers the stations whose lease has run out: each is answered to one caller, once."""
        ...

    async def touch(self, stations: Sequence[tuple[UUID, UUID]]) -> None:
        """(tenant, station) pairs that were heard from just now; call it every few seconds for all of them."""
        ...

    async def seen(self, tenant_id: UUID, station_ids: Sequence[UUID]) -> dict[UUID, datetime]:
        """When each was last heard from; without those that never were."""
        ...

"""The port to where readings wait while the history store is away."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.errors import Unavailable
from domain.points.readings import Owner, Reading


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was handed to `record` at once, less what was wrong in itself."""

    tenant_id: UUID
    owner: Owner | None
    readings: Sequence[Reading]


class Spool(Protocol):
    """Deliveries in the order in which they came; they outlive the process. Bounded."""

    @property
    def behind(self) -> bool:
        """Whether anything waits: what comes now must wait behind it."""
        ...

    async def keep(self, delivery: Delivery) -> None:
        """Returns when a loss of power could not take it away. Raises `Unavailable` where there is no room."""
        ...

    async def oldest(self, readings: int) -> Sequence[Delivery]:
        """The first to have come, of some `readings` in all and at least one; they stay until they are `settled`."""
        ...

    async def settled(self, deliveries: int) -> None:
        """The first so many need not be kept any longer."""
        ...

    async def refused(self, delivery: Delivery, reason: str) -> None:
        """It is not to be tried again, and put aside for an engineer."""
        ...

    async def stirred(self) -> None:
        """Returns when something waits."""
        ...


class NoSpool(Spool):
    """Where nothing may be kept on disk: the device hears that the store is away, and tells it again."""

    behind = False

    async def keep(self, delivery: Delivery) -> None:
        raise Unavailable("the history store is not reachable")

    async def oldest(self, readings: int) -> Sequence[Delivery]:
        return ()

    async def settled(self, deliveries: int) -> None:
        return

    async def refused(self, delivery: Delivery, reason: str) -> None:
        return

    async def stirred(self) -> None:
        await asyncio.Event().wait()

"""How an order reaches a station, wherever in the cluster its socket is."""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order: `status` is a value of `CommandStatus`."""

    status: str
    result: dict[str, Any] | None
    error: str | None


class StationLink(Protocol):
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
        """Raises `domain.errors.Unavailable` when nobody holds the station, `TimedOut` when it does not answer."""
        ...

    async def hang_up(self, *, tenant_id: UUID, station_id: UUID) -> None:
        """Ends the station's connection, if it has one."""
        ...

"""How an order reaches a station, wherever in the cluster its socket is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.errors import Unavailable


class Miss(StrEnum):
    """Why there is no word from the station."""

    UNHEARD = "UNHEARD"  # the order never was on the wire
    UNANSWERED = "UNANSWERED"  # it may have been: what the station made of it is not known
    UNSAYABLE = "UNSAYABLE"  # the station's version of OCPP has no words for it, now or later


class Unheard(Unavailable):
    """It is certain that the order was not on the wire."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order: `status` is a value of `CommandStatus`. With `miss` it is so only where nobody tries
    again."""

    status: str
    result: dict[str, Any] | None
    error: str | None
    miss: Miss | None = None


CALLED_OFF = Outcome(status="CANCELLED", result=None, error="it was called off")


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
        send_within_s: float | None = None,
    ) -> Outcome:
        """After `send_within_s` it is not put on the wire any more.

        Raises `Unheard`, `domain.errors.TimedOut` when there is no answer, `domain.errors.Unavailable` when nobody
        knows what has become of it.
        """
        ...

    async def recall(self, *, tenant_id: UUID, station_id: UUID, command_id: UUID) -> bool:
        """Takes back an order that is not on the wire yet; False where it may be."""
        ...

    async def wake(self, *, tenant_id: UUID, station_id: UUID) -> None:
        """Has whoever holds the station deliver what waits for it (`deliver_waiting`); nothing where nobody does."""
        ...

    async def hang_up(self, *, tenant_id: UUID, station_id: UUID) -> None:
        """Ends the station's connection, if it has one."""
        ...

"""The latest value of every point, by the time of the device that measured it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class LatestReading:
    """`at` is the device's time; `quality` is GOOD, UNCERTAIN or BAD."""

    point_id: UUID
    at: datetime
    value: float | None
    text: str | None
    quality: str


class Latest(Protocol):
    """Raises `domain.errors.Unavailable` when the cluster's memory is not reachable."""

    async def put(self, tenant_id: UUID, readings: Sequence[LatestReading]) -> list[bool]:
        """Whether each is now the latest of its point. An older one never is; at the same time the later put wins."""
        ...

    async def get(self, tenant_id: UUID, point_ids: Sequence[UUID]) -> dict[UUID, LatestReading]:
        """Without the points that have no value yet."""
        ...

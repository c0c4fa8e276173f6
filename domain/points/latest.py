"""The latest value of every point, by the time of the device that measured it."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, Self
from uuid import UUID

from domain.points.columns import Columns, Ids, Moments
from domain.points.readings import Quality


class LatestReading(NamedTuple):
    """`at` is the device's time."""

    point_id: UUID
    at: datetime
    value: float | None
    text: str | None
    quality: Quality


class LatestReadings(Columns[LatestReading]):
    """By column: `Ids`, `Moments`, values, texts, qualities."""

    make = LatestReading._make

    @classmethod
    def of(cls, items: Sequence[LatestReading]) -> Self:
        if isinstance(items, cls) or not items:
            return items if isinstance(items, cls) else cls()
        ids, ats, *others = zip(*items, strict=True)
        return cls(Ids.of(ids), Moments(ats), *others)


class Latest(Protocol):
    """Raises `domain.errors.Unavailable` when the cluster's memory is not reachable."""

    async def put(self, tenant_id: UUID, readings: Sequence[LatestReading]) -> list[bool]:
        """Whether each is now the latest of its point. An older one never is; at the same time the later put wins.

        They may come as `LatestReadings`.
        """
        ...

    async def get(self, tenant_id: UUID, point_ids: Sequence[UUID]) -> dict[UUID, LatestReading]:
        """Without the points that have no value yet."""
        ...

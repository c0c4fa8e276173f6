"""The port to what keeps every reading. An adapter keeps series and times; what they mean is decided in the domain."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from domain.points.readings import Quality


class Row(NamedTuple):
    """One reading of a series, in base units. `at` is aware; `value` is finite."""

    series: int
    at: datetime
    value: float | None
    text: str | None
    quality: Quality


class Refused(NamedTuple):
    """The row at `position` of what was written cannot be kept, and why."""

    position: int
    reason: str


class Track(NamedTuple):
    """The numbers of one series in the order of time: two columns of the same length."""

    timestamps: list[datetime]
    values: list[float]


class HistoryStore(Protocol):
    """Idempotent by (series, at): the last one written is the one that is kept.

    Series come from points that were read under the caller's Work, which is what keeps tenants apart here.
    Raises `domain.errors.Unavailable` when the store is not there.
    """

    async def write(self, rows: Sequence[Row]) -> list[Refused]:
        """Returns when all rows but the refused ones are committed."""
        ...

    async def raw(self, series: Sequence[int], *, start: datetime, end: datetime, limit: int) -> list[Track]:
        """Every number in [start, end), of any quality, a track per series; stops soon after `limit` readings."""
        ...

    async def means(self, series: Sequence[int], *, edges: Sequence[datetime]) -> list[list[float | None]]:
        """Per series and bucket [edges[i], edges[i + 1]) the mean of the numbers that are not BAD; None without any."""
        ...

"""The port to what keeps every reading. An adapter keeps series and times; what they mean is decided in the domain."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, Self

from domain.points.columns import Columns, Moments
from domain.points.readings import Quality, Source

HOLD = timedelta(hours=1)  # a value stands until the next one, but no longer than this: what came later is a gap


class Row(NamedTuple):
    """One reading of a series, in base units. `at` is aware; `value` is finite; `version` counts from 1."""

    series: int
    at: datetime
    value: float | None
    text: str | None
    quality: Quality
    source: Source = Source.DEVICE
    version: int = 1


class Rows(Columns[Row]):
    """Rows by column: series, `Moments`, values, texts, qualities, sources, versions."""

    make = Row._make

    @classmethod
    def of(cls, items: Sequence[Row]) -> Self:
        if isinstance(items, cls) or not items:
            return items if isinstance(items, cls) else cls()
        series, ats, *others = zip(*items, strict=True)
        return cls(series, Moments(ats), *others)

    @property
    def moments(self) -> Moments:
        moments: Moments = self.columns[1]
        return moments


class Refused(NamedTuple):
    """The row at `position` of what was written cannot be kept, and why."""

    position: int
    reason: str


class Track(NamedTuple):
    """The numbers of one series in the order of time: two columns of the same length."""

    timestamps: list[datetime]
    values: list[float]


class Sample(NamedTuple):
    """One number of a series."""

    at: datetime
    value: float


class Figure(StrEnum):
    """What can be said of the numbers of one series within one bucket; all but COUNT is None where there are none.

    Each can be put together from the figures of parts of the bucket, so a store may keep them for parts (roll-ups).
    """

    COUNT = "COUNT"
    SUM = "SUM"
    MEAN = "MEAN"  # SUM by COUNT
    MIN = "MIN"
    MAX = "MAX"
    FIRST = "FIRST"
    FIRST_AT = "FIRST_AT"
    LAST = "LAST"
    LAST_AT = "LAST_AT"
    AREA = "AREA"  # value times seconds from FIRST_AT to LAST_AT; each value stands until the next, at most for HOLD
    COVERED = "COVERED"  # the seconds that AREA counts: without what is more than HOLD after a value
    DROPS = "DROPS"  # how often a number was less than the one before it: a register that was reset, or corrected


Figures = Mapping[Figure, Sequence[Any]]  # per figure a column with an entry per bucket


class HistoryStore(Protocol):
    """Idempotent by (series, at, version): the last one written is the one that is kept.

    Of several versions of one moment the highest counts; with `as_of`, the highest of those that were recorded by then.
    `worst` is the worst quality that counts. Series come from points that were read under the caller's Work, which is
    what keeps tenants apart here. Raises `domain.errors.Unavailable` when the store is not there.
    """

    async def write(self, rows: Sequence[Row]) -> list[Refused]:
        """Returns when all rows but the refused ones are committed. They may come as `Rows`."""
        ...

    async def raw(
        self,
        series: Sequence[int],
        *,
        start: datetime,
        end: datetime,
        limit: int,
        worst: Quality = Quality.BAD,
        as_of: datetime | None = None,
    ) -> list[Track]:
        """Every number in [start, end), a track per series; stops soon after `limit` readings."""
        ...

    async def figures(
        self,
        series: Sequence[int],
        *,
        edges: Sequence[datetime],
        wanted: Collection[Figure],
        worst: Quality = Quality.UNCERTAIN,
        as_of: datetime | None = None,
    ) -> list[Figures]:
        """Per series the wanted figures of each bucket [edges[i], edges[i + 1]); exact, however late readings came."""
        ...

    async def last_before(
        self,
        series: Sequence[int],
        *,
        at: datetime,
        worst: Quality = Quality.UNCERTAIN,
        as_of: datetime | None = None,
    ) -> list[Sample | None]:
        """Per series its last number strictly before `at`."""
        ...

    def rows(
        self,
        series: Sequence[int],
        *,
        start: datetime,
        end: datetime,
        worst: Quality = Quality.BAD,
        as_of: datetime | None = None,
    ) -> AsyncIterator[Sequence[Row]]:
        """All readings in [start, end), texts too, in parts: one series after the other, each in the order of time."""
        ...

    async def forget(self, series: Sequence[int], *, before: datetime) -> None:
        """Drops what these series have before that moment."""
        ...

    async def forget_all(self, *, before: datetime) -> None:
        """Drops what any series has before that moment: as cheaply as the store can, so perhaps a part of it later."""
        ...

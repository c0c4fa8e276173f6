"""Energy from registers that count up: what they show at the end less what they showed before the beginning.

A register that goes down was read wrongly before (a little less is a correction, taken as it is), has reached its last
digit (a rollover, where the point says at which value that is), or counts from 0 again (a reset). Which one it was is
decided here, reading by reading, and told.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby, pairwise
from typing import NamedTuple

from domain.errors import LimitExceeded
from domain.points import Figure, Figures, HistoryStore, Point, Quality, Sample

SMALL = 0.1  # of what a register showed: it is corrected by less; of its range: it rolls over by less
RAW_ROWS = 10_000  # are read at once; where there are more, only the parts in which the register goes down
RAW_ROWS_MAX = 200_000
LOOK_ROWS = 100  # that a look costs beside its own
PARTS = 32

_FIGURES = [Figure.COUNT, Figure.FIRST, Figure.FIRST_AT, Figure.LAST, Figure.LAST_AT, Figure.DROPS]


class Base(StrEnum):
    """What a register showed before its first reading."""

    FIRST = "FIRST"  # the same as then: a meter that is older than its records brings no energy along
    ZERO = "ZERO"  # nothing: it began to count when it began to be recorded


class DropKind(StrEnum):
    RESET = "RESET"
    ROLLOVER = "ROLLOVER"
    CORRECTION = "CORRECTION"


class Drop(NamedTuple):
    """A reading of a register that was less than the one before, and what it was taken for."""

    at: datetime
    kind: DropKind
    before_wh: float
    after_wh: float


class Counted(NamedTuple):
    """Of one register: the energy of each bucket, None where it was not read, and where it went down."""

    energies_wh: list[float | None]
    drops: list[Drop]


def advanced(before: float, after: float, rollover_at: float | None) -> tuple[float, DropKind | None]:
    """The energy between two readings, and what it was if the second is less."""
    if after >= before:
        return after - before, None
    if rollover_at is not None and 0 <= rollover_at - before + after < rollover_at * SMALL:
        return rollover_at - before + after, DropKind.ROLLOVER
    if before - after < abs(before) * SMALL:
        return after - before, DropKind.CORRECTION
    return max(after, 0.0), DropKind.RESET


@dataclass
class Registers:
    """Registers of one question to the store."""

    store: HistoryStore
    edges: Sequence[datetime]
    base: Base
    worst: Quality
    as_of: datetime | None
    left: int = field(default_factory=lambda: RAW_ROWS_MAX)

    async def counted(self, asked: Sequence[Point], newest: Sequence[Sample | None]) -> list[Counted]:
        """Per register; `newest` is what each shows now, which the store may not have heard of yet.

        In a thread, so that a large question does not hold up the others.
        """
        series = [point.series for point in asked]
        found = await self._figures(series, self.edges)
        before = await self.store.last_before(series, at=self.edges[0], worst=self.worst, as_of=self.as_of)
        counted = []
        for point, figures, sample, now in zip(asked, found, before, newest, strict=True):
            buckets = await self._read(point, figures, self.edges)
            if now is not None and _is_later(now, buckets, self.edges) and not await self._is_kept(point, now.at):
                buckets[bisect_right(self.edges, now.at) - 1].append(now)
            counted.append(await asyncio.to_thread(self._counted, point, sample, buckets))
        return counted

    async def _is_kept(self, point: Point, at: datetime) -> bool:
        """Whether the store has heard of that moment, perhaps that it was read wrongly."""
        asking = self.store.rows([point.series], start=at, end=at + timedelta.resolution)
        return any([rows async for rows in asking])

    def _counted(self, point: Point, shown: Sample | None, buckets: Sequence[Sequence[Sample]]) -> Counted:
        energies: list[float | None] = []
        drops = []
        for samples in buckets:
            gains = list[float]()
            for sample in samples:
                if shown is None:
                    shown = sample if self.base is Base.FIRST else Sample(sample.at, 0.0)
                gain, kind = advanced(shown.value, sample.value, point.rollover_at)
                gains.append(gain)
                if kind is not None:
                    drops.append(Drop(sample.at, kind, shown.value, sample.value))
                shown = sample
            energies.append(max(sum(gains), 0.0) if samples else None)
        return Counted(energies, drops)

    async def _read(self, point: Point, figures: Figures, edges: Sequence[datetime]) -> list[list[Sample]]:
        """Of each bucket as many readings as it takes to see every drop in it."""
        found: list[list[Sample]] = []
        columns = (figures[name] for name in _FIGURES)
        buckets = [_Bucket(*row) for row in zip(edges, edges[1:], *columns, strict=False)]
        for is_small, run in groupby(buckets, key=lambda bucket: bool(bucket.drops) and bucket.rows <= RAW_ROWS):
            alike = list(run)
            found += await self._raw(point, alike) if is_small else [await self._few(point, one) for one in alike]
        return found

    async def _few(self, point: Point, bucket: "_Bucket") -> list[Sample]:
        if not bucket.rows:
            return []
        if not bucket.drops:
            return [Sample(bucket.first_at, bucket.first), Sample(bucket.last_at, bucket.last)]
        part = (bucket.end - bucket.start) / PARTS
        edges = [*(bucket.start + number * part for number in range(PARTS)), bucket.end]
        (figures,) = await self._figures([point.series], edges)
        return [sample for samples in await self._read(point, figures, edges) for sample in samples]

    async def _raw(self, point: Point, run: Sequence["_Bucket"]) -> list[list[Sample]]:
        self.left -= LOOK_ROWS + sum(bucket.rows for bucket in run)
        if self.left < 0:
            raise LimitExceeded(f"{point.address} goes down too often: ask for a shorter period", address=point.address)
        (track,) = await self.store.raw(
            [point.series], start=run[0].start, end=run[-1].end, limit=RAW_ROWS_MAX, worst=self.worst, as_of=self.as_of
        )
        samples = [Sample(at, value) for at, value in zip(track.timestamps, track.values, strict=True)]
        starts = [bisect_left(track.timestamps, bucket.start) for bucket in run]
        return [samples[start:end] for start, end in pairwise([*starts, len(samples)])]

    async def _figures(self, series: Sequence[int], edges: Sequence[datetime]) -> list[Figures]:
        return await self.store.figures(series, edges=edges, wanted=_FIGURES, worst=self.worst, as_of=self.as_of)


class _Bucket(NamedTuple):
    """`_FIGURES` of a bucket."""

    start: datetime
    end: datetime
    rows: int
    first: float
    first_at: datetime
    last: float
    last_at: datetime
    drops: int | None


def _is_later(newest: Sample, buckets: Sequence[Sequence[Sample]], edges: Sequence[datetime]) -> bool:
    """Than what the store knows of it."""
    last = next((samples[-1] for samples in reversed(buckets) if samples), None)
    return edges[0] <= newest.at < edges[-1] and (last is None or last.at < newest.at)

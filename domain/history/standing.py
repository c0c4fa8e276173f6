"""How long values stood: each until the next one, but at most for `HOLD`, also over the edges of buckets.

What lies longer after a value than that is a gap, of which nothing is said. What was read by now stands no longer than
now; what is of a time to come, as a forecast or a schedule is, stands like anything else.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.points import HOLD, Figure, Figures, HistoryStore, Quality, Sample

_NOTHING = timedelta(0)
_HOUR_S = 3600
_FIGURES = [Figure.FIRST_AT, Figure.LAST, Figure.LAST_AT, Figure.AREA, Figure.COVERED]


class Stood(NamedTuple):
    """Of one bucket: value times seconds, for how many seconds there was a value, and the last one read in it."""

    area: float
    seconds: float
    last: float | None

    @property
    def mean(self) -> float | None:
        """Weighted by time; a value that has not stood for any yet is its own mean."""
        return self.area / self.seconds if self.seconds else self.last

    @property
    def energy_wh(self) -> float | None:
        """Of power in W."""
        return None if self.mean is None else self.area / _HOUR_S


async def stood(
    store: HistoryStore,
    series: Sequence[int],
    *,
    edges: Sequence[datetime],
    now: datetime,
    worst: Quality,
    as_of: datetime | None,
) -> list[list[Stood]]:
    """Per series and bucket; each in a thread, so that a large question does not hold up the others."""
    asked = _Asked(store, worst, as_of)
    found = await asked.figures(series, edges)
    before = await store.last_before(series, at=edges[0], worst=worst, as_of=as_of)
    columns = []
    for one, figures, sample in zip(series, found, before, strict=True):
        bucket = _astride(figures, edges, now)
        if bucket is None:
            columns.append(await asyncio.to_thread(_stood, figures, sample, edges, now))
        else:
            columns.append(await _parted(asked, one, figures, sample, edges, now, bucket))
    return columns


def stands_until(at: datetime, now: datetime) -> datetime:
    """Unless another one comes before."""
    return min(at + HOLD, now) if at <= now else at + HOLD


class _Asked(NamedTuple):
    store: HistoryStore
    worst: Quality
    as_of: datetime | None

    async def figures(self, series: Sequence[int], edges: Sequence[datetime]) -> list[Figures]:
        return await self.store.figures(series, edges=edges, wanted=_FIGURES, worst=self.worst, as_of=self.as_of)


def _astride(figures: Figures, edges: Sequence[datetime], now: datetime) -> int | None:
    """The bucket with values from before and after now, of which the area does not tell what stood until now."""
    bucket = bisect_right(edges, now) - 1
    if not 0 <= bucket < len(edges) - 1:
        return None
    first_at, last_at = figures[Figure.FIRST_AT][bucket], figures[Figure.LAST_AT][bucket]
    return bucket if first_at is not None and first_at <= now < last_at else None


async def _parted(
    asked: _Asked,
    series: int,
    figures: Figures,
    before: Sample | None,
    edges: Sequence[datetime],
    now: datetime,
    bucket: int,
) -> list[Stood]:
    """With that bucket as two, until now and after it."""
    parts = [edges[bucket], now + timedelta.resolution, edges[bucket + 1]]
    (found,) = await asked.figures([series], parts)
    split = {name: [*figures[name][:bucket], *found[name], *figures[name][bucket + 1 :]] for name in _FIGURES}
    stood = await asyncio.to_thread(_stood, split, before, [*edges[:bucket], *parts, *edges[bucket + 2 :]], now)
    earlier, later = stood[bucket : bucket + 2]
    whole = Stood(earlier.area + later.area, earlier.seconds + later.seconds, later.last)
    return [*stood[:bucket], whole, *stood[bucket + 2 :]]


def _stood(figures: Figures, before: Sample | None, edges: Sequence[datetime], now: datetime) -> list[Stood]:
    found = []
    rows = zip(edges, edges[1:], *(figures[name] for name in _FIGURES), strict=False)
    for start, end, first_at, last, last_at, area, covered in rows:
        area, covered = area or 0.0, covered or 0.0  # noqa: PLW2901  # None where nothing was read
        if before is not None:
            carried = _seconds(start, min(first_at or end, stands_until(before.at, now)))
            area, covered = area + before.value * carried, covered + carried  # noqa: PLW2901
        if last_at is not None:
            stands = _seconds(last_at, min(end, stands_until(last_at, now)))
            area, covered = area + last * stands, covered + stands  # noqa: PLW2901
            before = Sample(last_at, last)
        found.append(Stood(area, covered, last))
    return found


def _seconds(start: datetime, end: datetime) -> float:
    return max(end - start, _NOTHING).total_seconds()

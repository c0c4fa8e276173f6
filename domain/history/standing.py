"""How long values stood: each until the next one, but at most for `HOLD`, also over the edges of buckets.

What lies longer after a value than that is a gap, of which nothing is said. No value stands beyond now.
"""

import asyncio
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
    """Per series and bucket."""
    found = await store.figures(series, edges=edges, wanted=_FIGURES, worst=worst, as_of=as_of)
    before = await store.last_before(series, at=edges[0], worst=worst, as_of=as_of)
    columns = []
    for figures, sample in zip(found, before, strict=True):
        columns.append(_stood(figures, sample, edges, now))
        await asyncio.sleep(0)  # a large question does not hold up the others
    return columns


def _stood(figures: Figures, before: Sample | None, edges: Sequence[datetime], now: datetime) -> list[Stood]:
    found = []
    rows = zip(edges, edges[1:], *(figures[name] for name in _FIGURES), strict=False)
    for start, edge, first_at, last, last_at, area, covered in rows:
        end = min(edge, now)
        area, covered = area or 0.0, covered or 0.0  # noqa: PLW2901  # None where nothing was read
        if before is not None:
            carried = _seconds(start, min(first_at or end, before.at + HOLD))
            area, covered = area + before.value * carried, covered + carried  # noqa: PLW2901
        if last_at is not None:
            stands = _seconds(last_at, min(end, last_at + HOLD))
            area, covered = area + last * stands, covered + stands  # noqa: PLW2901
            before = Sample(last_at, last)
        found.append(Stood(area, covered, last))
    return found


def _seconds(start: datetime, end: datetime) -> float:
    return max(end - start, _NOTHING).total_seconds()

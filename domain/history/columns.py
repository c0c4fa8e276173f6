"""Columns of numbers, one per measured point; those of virtual points are made of them in `making`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from domain.history.questions import check_finite
from domain.history.standing import stood
from domain.points import Figure, HistoryStore, Measured, Point, Quality, Sample, Track

Column = Sequence[float | None]  # None where there is no number

_ENDLESS = datetime(2400, 1, 1, tzinfo=UTC)


class Function(StrEnum):
    """What a bucket's numbers come to."""

    MEAN = "MEAN"
    TIME_WEIGHTED_MEAN = "TIME_WEIGHTED_MEAN"  # each value weighs as long as it stands, see `standing`
    MIN = "MIN"
    MAX = "MAX"
    FIRST = "FIRST"
    LAST = "LAST"
    SUM = "SUM"
    COUNT = "COUNT"


@dataclass(frozen=True, slots=True)
class Buckets:
    """Which buckets [edges[i], edges[i + 1]), and what is wanted of each.

    `worst` is the worst quality that counts; with `as_of`, only what was recorded by then. Nothing stands beyond `now`.
    """

    edges: Sequence[datetime]
    function: Function = Function.MEAN
    worst: Quality = Quality.UNCERTAIN
    as_of: datetime | None = None
    now: datetime = _ENDLESS


async def columns(store: HistoryStore, asked: Sequence[Point | Measured], buckets: Buckets) -> list[Column]:
    """A column per point with an entry per bucket: None where nothing is known, except that a COUNT is 0 there."""
    series = [point.series for point in asked]
    edges, worst, as_of = buckets.edges, buckets.worst, buckets.as_of
    if buckets.function is Function.TIME_WEIGHTED_MEAN:
        means = await stood(store, series, edges=edges, now=buckets.now, worst=worst, as_of=as_of)
        found: list[Column] = [[bucket.mean for bucket in column] for column in means]
        for point, column in zip(asked, found, strict=True):
            check_finite(point.address, column)
        return found
    figure = Figure(buckets.function)
    figures = await store.figures(series, edges=edges, wanted=[figure], worst=worst, as_of=as_of)
    return [of_point[figure] for of_point in figures]


async def tracks(
    store: HistoryStore,
    asked: Sequence[Point | Measured],
    *,
    start: datetime,
    end: datetime,
    limit: int,
    worst: Quality = Quality.BAD,
    as_of: datetime | None = None,
) -> list[Track]:
    """A track per point with every number in [start, end); stops soon after `limit` readings."""
    series = [point.series for point in asked]
    return await store.raw(series, start=start, end=end, limit=limit, worst=worst, as_of=as_of)


async def last_before(
    store: HistoryStore,
    asked: Sequence[Point | Measured],
    *,
    at: datetime,
    worst: Quality,
    as_of: datetime | None = None,
) -> list[Sample | None]:
    """Each point's last number before `at`."""
    return await store.last_before([point.series for point in asked], at=at, worst=worst, as_of=as_of)

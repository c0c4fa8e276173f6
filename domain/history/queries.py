import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.actor import Actor
from domain.history import questions
from domain.history.columns import Buckets, Column, Function
from domain.history.filling import Fill, filled
from domain.history.making import columns, last_before, tracks
from domain.history.questions import Question
from domain.history.thinning import Downsampling, check_rows, thinned
from domain.points import HistoryStore, Quality, Sample, Track
from domain.work import Workplace

_GAUGES = {Function.MEAN, Function.TIME_WEIGHTED_MEAN, Function.MIN, Function.MAX, Function.FIRST, Function.LAST}


@dataclass(frozen=True, slots=True)
class Series:
    """A point's column: as long as the timestamps, None where there is no number."""

    address: str
    unit: str | None
    values: Column


@dataclass(frozen=True, slots=True)
class History:
    timestamps: Sequence[datetime]
    series: Sequence[Series]


async def history(
    workplace: Workplace,
    actor: Actor,
    *,
    addresses: Sequence[str],
    from_: datetime,
    to: datetime,
    resolution: str | None = None,
    timezone: str | None = None,
    function: Function = Function.MEAN,
    fill: Fill = Fill.NONE,
    quality: Quality | None = None,
    as_of: datetime | None = None,
    max_points: int | None = None,
    downsampling: Downsampling = Downsampling.MIN_MAX,
) -> History:
    """The numbers of points in [from_, to): raw, or what each bucket of `resolution` comes to, named by its start.

    Without a resolution every time at which one of the points was read. With one, all buckets of the period, in local
    time of `timezone` (the tenant's); the first and the last are cut to the period. `quality` is the worst that counts:
    BAD for raw values, UNCERTAIN for buckets. With `as_of`, what was known by then. With `max_points`, at most so many
    rows, chosen by `downsampling`. Texts have no place in a column of numbers: `reading_columns` shows them.

    The store is asked when the Work is over: no connection to the database waits for a year of values.
    """
    async with workplace.open_work(actor, read_only=True) as work:
        asked = await questions.understood(
            work, addresses=addresses, from_=from_, to=to, resolution=resolution, timezone=timezone, as_of=as_of
        )
        questions.check_numbers(asked.points)
        check_rows(max_points, columns=len(addresses))
    is_raw = resolution is None
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    worst = quality or (Quality.BAD if is_raw else Quality.UNCERTAIN)
    timestamps = asked.edges[:-1]
    if is_raw:
        timestamps, found = await _raw(store, asked, worst, as_of)
    else:
        buckets = Buckets(asked.edges, function, worst, as_of, asked.now)
        found = await columns(store, asked.points, buckets, asked.composed)
    if fill is not Fill.NONE:
        before: Sequence[Sample | None] = [None] * len(found)
        if fill is Fill.PREVIOUS and (is_raw or function in _GAUGES):
            before = await last_before(store, asked.points, asked.composed, at=from_, worst=worst, as_of=as_of)
        found = await asyncio.to_thread(_filled, found, timestamps, fill, before, asked.now)
    if max_points is not None:
        timestamps, found = await asyncio.to_thread(
            thinned, timestamps, found, downsampling, rows=max_points, gaps=not is_raw
        )
    counted = not is_raw and function is Function.COUNT
    return History(
        timestamps,
        [
            Series(point.address, None if counted else point.unit, values)
            for point, values in zip(asked.points, found, strict=True)
        ],
    )


async def _raw(
    store: HistoryStore, asked: Question, worst: Quality, as_of: datetime | None
) -> tuple[Sequence[datetime], list[Column]]:
    start, end = asked.edges
    limit = questions.VALUES_MAX
    read = await tracks(
        store, asked.points, asked.composed, start=start, end=end, limit=limit, worst=worst, as_of=as_of
    )
    return _aligned(read)


def _filled(
    found: Sequence[Column], timestamps: Sequence[datetime], fill: Fill, before: Sequence[Sample | None], now: datetime
) -> list[Column]:
    return [
        filled(column, timestamps, fill, None if last is None else last.value, now)
        for column, last in zip(found, before, strict=True)
    ]


def _aligned(read: Sequence[Track]) -> tuple[list[datetime], list[Column]]:
    """One column of times for all: a point that was not read at one of them has None there."""
    if sum(len(track.values) for track in read) > questions.VALUES_MAX:
        raise questions.too_many()
    if all(track.timestamps == read[0].timestamps for track in read):
        return read[0].timestamps, [track.values for track in read]
    timestamps = sorted({at for track in read for at in track.timestamps})
    if len(timestamps) * len(read) > questions.VALUES_MAX:
        raise questions.too_many()
    return timestamps, [_column(track, timestamps) for track in read]


def _column(track: Track, timestamps: Sequence[datetime]) -> Column:
    found = dict(zip(track.timestamps, track.values, strict=True))
    return [found.get(at) for at in timestamps]

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.actor import Actor, Permission
from domain.history import questions
from domain.history.columns import Buckets, Column, Function
from domain.history.filling import Fill, filled
from domain.history.making import columns, last_before, tracks
from domain.history.thinning import Downsampling, check_rows, thinned
from domain.points import HistoryStore, Quality, Track
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
    rows, chosen by `downsampling`. Texts have no place in a column of numbers: `latest_of` shows them.

    The store is asked when the Work is over: no connection to the database waits for a year of values.
    """
    async with workplace.open_work(actor, read_only=True) as work:
        work.require(Permission.VIEW)
        asked = await questions.asked(work, addresses)
        composed = await questions.composed(work, asked)
        questions.check_period(from_, to)
        check_rows(max_points, columns=len(asked))
        now = questions.known_until(as_of, work.now)
        edges = None
        if resolution is None:
            questions.check_zone(timezone)
        else:
            edges = await questions.edges(
                work, from_=from_, to=to, resolution=resolution, timezone=timezone, columns=len(asked)
            )
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    worst = quality or (Quality.BAD if edges is None else Quality.UNCERTAIN)
    timestamps: Sequence[datetime]
    if edges is None:
        read = await tracks(
            store, asked, composed, start=from_, end=to, limit=questions.VALUES_MAX, worst=worst, as_of=as_of
        )
        timestamps, found = _aligned(read)
    else:
        timestamps, found = (
            edges[:-1],
            await columns(store, asked, Buckets(edges, function, worst, as_of, now), composed),
        )
    if fill is not Fill.NONE:
        before: Sequence[float | None] = [None] * len(asked)
        if fill is Fill.PREVIOUS and (edges is None or function in _GAUGES):
            samples = await last_before(store, asked, composed, at=from_, worst=worst, as_of=as_of)
            before = [None if sample is None else sample.value for sample in samples]
        found = [filled(column, timestamps, fill, last, now) for column, last in zip(found, before, strict=True)]
    if max_points is not None:
        timestamps, found = thinned(timestamps, found, downsampling, rows=max_points, gaps=edges is not None)
    counted = edges is not None and function is Function.COUNT
    return History(
        timestamps,
        [
            Series(point.address, None if counted else point.unit, values)
            for point, values in zip(asked, found, strict=True)
        ],
    )


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

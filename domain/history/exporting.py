"""History of any length, in pages: between two of them nothing is held, however long their reader takes."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import cast

from domain import tenants
from domain.actor import Actor, Permission
from domain.errors import LimitExceeded
from domain.history import questions, resolutions
from domain.history.columns import Function
from domain.history.made import Made
from domain.history.made import readings as made_readings
from domain.history.queries import History, history
from domain.points import HistoryStore, Point, Quality, Row
from domain.virtual_points import Composed, Composite
from domain.work import Workplace

PAGE_ROWS = 20_000
PAGE_VALUES = 50_000
MADE_VALUES = 100_000  # of all inputs, that a page of a virtual point is made of
_NEXT = timedelta(microseconds=1)
_WINDOW, _SHORTEST, _LONGEST = timedelta(hours=6), timedelta(seconds=1), timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Readings:
    """Of one point, in the order of time, in its unit."""

    point: Point
    rows: Sequence[Row]


async def readings(
    workplace: Workplace,
    actor: Actor,
    *,
    addresses: Sequence[str],
    from_: datetime,
    to: datetime,
    quality: Quality | None = None,
    as_of: datetime | None = None,
) -> AsyncIterator[Readings]:
    """All readings in [from_, to), texts too, one point after the other. `quality` is the worst that counts (BAD).

    A virtual point has one whenever one of its inputs has, as it was shown live; `quality` is that of its inputs.
    Whether it may be asked is known when this returns, before the first page.
    """
    async with workplace.open_work(actor, read_only=True) as work:
        asked = await questions.understood(work, addresses=addresses, from_=from_, to=to, as_of=as_of)
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    return pages_of(store, asked.points, asked.composed, from_, to, quality or Quality.BAD, as_of)


async def pages_of(
    store: HistoryStore,
    asked: Sequence[Point],
    composed: Composed,
    from_: datetime,
    to: datetime,
    worst: Quality,
    as_of: datetime | None,
) -> AsyncIterator[Readings]:
    for point in asked:
        if point.address in composed.composites:
            async for page in _made(store, point, composed, from_, to, worst, as_of):
                yield page
            continue
        start = from_
        while start < to:
            rows = await _page(store, point, start, to, worst, as_of)
            if rows:
                yield Readings(point, rows)
            if len(rows) < PAGE_ROWS:
                break
            start = rows[-1].at + _NEXT


async def _made(
    store: HistoryStore,
    point: Point,
    composed: Composed,
    start: datetime,
    to: datetime,
    worst: Quality,
    as_of: datetime | None,
) -> AsyncIterator[Readings]:
    """Window by window, each as long as the ones before it allow; raises `LimitExceeded` where a second is too much."""
    composite, window = composed.composites[point.address], _WINDOW
    while start < to:
        end = start + min(window, to - start)
        try:
            made = await made_readings(
                store, composite, composed, start=start, end=end, worst=worst, as_of=as_of, with_quality=True
            )
        except LimitExceeded:
            if window <= _SHORTEST:
                raise
            window /= 4
            continue
        if rows := _rows_made(point, made, worst):
            yield Readings(point, rows)
        start = end
        window = _adapted(window, made, composite)


def _rows_made(point: Point, made: Made, worst: Quality) -> list[Row]:
    """What comes to nothing is BAD."""
    rows = []
    for at, value, is_sure in zip(made.timestamps, made.values, made.is_sure, strict=True):
        quality = Quality.BAD if value is None else Quality.GOOD if is_sure else Quality.UNCERTAIN
        if value is not None or worst is Quality.BAD:
            rows.append(Row(point.series, at, value, None, quality))
    return rows


def _adapted(window: timedelta, made: Made, composite: Composite) -> timedelta:
    rows = len(made.timestamps)
    share = max(rows / PAGE_ROWS, rows * len(composite.inputs) / MADE_VALUES)
    return min(max(window / min(max(share, 0.25), 4), _SHORTEST), _LONGEST)


async def _page(
    store: HistoryStore, point: Point, start: datetime, end: datetime, worst: Quality, as_of: datetime | None
) -> list[Row]:
    """At least `PAGE_ROWS` where there are so many."""
    rows: list[Row] = []
    asking = store.rows([point.series], start=start, end=end, worst=worst, as_of=as_of)
    async with aclosing(cast("AsyncGenerator[Sequence[Row], None]", asking)) as parts:
        async for part in parts:
            rows += part
            if len(rows) >= PAGE_ROWS:
                break
    return rows


async def buckets(
    workplace: Workplace,
    actor: Actor,
    *,
    addresses: Sequence[str],
    from_: datetime,
    to: datetime,
    resolution: str,
    timezone: str | None = None,
    function: Function = Function.MEAN,
    quality: Quality | None = None,
    as_of: datetime | None = None,
) -> AsyncIterator[History]:
    """As `history` answers it, for a period of any length. Whether it may be asked is known when this returns."""
    async with workplace.open_work(actor, read_only=True) as work:
        work.require(Permission.VIEW)
        questions.check_numbers(await questions.asked(work, addresses))
        questions.check_period(from_, to)
        questions.known_until(as_of, work.now)
        zone = resolutions.zone_named((await tenants.own(work)).timezone if timezone is None else timezone)
        starts = resolutions.resolution(resolution).starts(from_, to, zone)

    async def pages() -> AsyncIterator[History]:
        waiting: list[list[datetime]] = []
        for window in _windows(from_, to, starts, size=max(1, PAGE_VALUES // len(addresses))):
            waiting.append(window)
            while waiting:
                edges = waiting.pop()
                try:
                    yield await history(
                        workplace,
                        actor,
                        addresses=addresses,
                        from_=edges[0],
                        to=edges[-1],
                        resolution=resolution,
                        timezone=timezone,
                        function=function,
                        quality=quality,
                        as_of=as_of,
                    )
                except LimitExceeded:  # of virtual points, which are made of many more
                    if len(edges) == 2:
                        raise
                    middle = len(edges) // 2
                    waiting += edges[middle:], edges[: middle + 1]

    return pages()


def _windows(from_: datetime, to: datetime, starts: Iterator[datetime], *, size: int) -> Iterator[list[datetime]]:
    """The edges of `size` whole buckets each; the first and the last of all are cut to the period."""
    inner = (start for start in starts if from_ < start < to)
    begin = from_.astimezone(UTC)
    while len(window := list(islice(inner, size))) == size:
        yield [begin, *window]
        begin = window[-1]
    yield [begin, *window, to.astimezone(UTC)]

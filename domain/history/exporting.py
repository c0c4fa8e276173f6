"""History of any length, in pages: between two of them nothing is held, however long their reader takes."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import cast

from domain import tenants
from domain.actor import Actor, Permission
from domain.errors import Invalid
from domain.history import questions, resolutions
from domain.history.columns import Function
from domain.history.queries import History, history
from domain.points import HistoryStore, Point, Quality, Row
from domain.work import Workplace

PAGE_ROWS = 20_000
PAGE_VALUES = 50_000
_NEXT = timedelta(microseconds=1)


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

    Whether it may be asked is known when this returns, before the first page.
    """
    async with workplace.open_work(actor, read_only=True) as work:
        work.require(Permission.VIEW)
        asked = await questions.asked(work, addresses)
        for point in asked:
            if point.expression is not None:
                raise Invalid(f"{point.address} is made of others: ask for it in buckets", address=point.address)
        questions.check_period(from_, to)
        questions.known_until(as_of, work.now)
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    return _readings(store, asked, from_, to, quality or Quality.BAD, as_of)


async def _readings(
    store: HistoryStore,
    asked: Sequence[Point],
    from_: datetime,
    to: datetime,
    worst: Quality,
    as_of: datetime | None,
) -> AsyncIterator[Readings]:
    for point in asked:
        start = from_
        while start < to:
            rows = await _page(store, point, start, to, worst, as_of)
            if rows:
                yield Readings(point, rows)
            if len(rows) < PAGE_ROWS:
                break
            start = rows[-1].at + _NEXT


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
        await questions.asked(work, addresses)
        questions.check_period(from_, to)
        questions.known_until(as_of, work.now)
        zone = resolutions.zone_named((await tenants.own(work)).timezone if timezone is None else timezone)
        starts = resolutions.resolution(resolution).starts(from_, to, zone)

    async def pages() -> AsyncIterator[History]:
        for start, end in _windows(from_, to, starts, size=max(1, PAGE_VALUES // len(addresses))):
            yield await history(
                workplace,
                actor,
                addresses=addresses,
                from_=start,
                to=end,
                resolution=resolution,
                timezone=timezone,
                function=function,
                quality=quality,
                as_of=as_of,
            )

    return pages()


def _windows(
    from_: datetime, to: datetime, starts: Iterator[datetime], *, size: int
) -> Iterator[tuple[datetime, datetime]]:
    """Of `size` whole buckets each; the first and the last of all are cut to the period."""
    inner = (start for start in starts if from_ < start < to)
    begin = from_.astimezone(UTC)
    while len(window := list(islice(inner, size))) == size:
        yield begin, window[-1]
        begin = window[-1]
    yield begin, to.astimezone(UTC)

"""Roll-ups: the figures of each minute, quarter of an hour, hour and day (UTC) of a series, and how they are combined.

A part is what is known of some stretch of a series: a roll-up's row, or a single reading. Parts in the order of time
make up larger parts, in the same way for the roller as for whoever asks.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from domain.points import HOLD, Figure

MINUTE = timedelta(minutes=1)
WIDTHS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=15), MINUTE)  # each is made of the next
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RAW = timedelta()

HUGE = 1e290  # larger numbers might not add up to one that can be kept: their roll-ups have neither sum nor area


def stands(at: str) -> str:
    """For how many seconds a value of that time stands, in SQL, where there is a next one."""
    return f"least(date_part('epoch', next_at - {at}), {HOLD.total_seconds()})"


class Span(NamedTuple):
    """[start, end)"""

    start: datetime
    end: datetime


class Piece(NamedTuple):
    """A stretch of time that is read from the roll-ups of one width, or from the readings."""

    width: timedelta
    start: datetime
    end: datetime


def floor(at: datetime, width: timedelta) -> datetime:
    return at - (at - EPOCH) % width


def ceiling(at: datetime, width: timedelta) -> datetime:
    return at + (EPOCH - at) % width


def through(first_at: datetime, last_at: datetime) -> Span:
    """With the last one."""
    return Span(first_at, last_at + timedelta.resolution)


def seconds(width: timedelta) -> int:
    """As roll-ups call their width."""
    return int(width.total_seconds())


def widened(spans: Iterable[Span], width: timedelta) -> list[Span]:
    """The buckets that the spans touch, as spans in the order of time that do not touch each other."""
    merged: list[Span] = []
    for start, end in sorted(Span(floor(span.start, width), ceiling(span.end, width)) for span in spans):
        if merged and start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, end))
        else:
            merged.append(Span(start, end))
    return merged


def usable(edges: Sequence[datetime]) -> Sequence[timedelta]:
    """The widths of which no bucket lies across an inner edge, the coarsest first."""
    inner = edges[1:-1]
    for n, width in enumerate(WIDTHS):
        if all(not (edge - EPOCH) % width for edge in inner):
            return WIDTHS[n:]
    return ()


def pieces(
    start: datetime, end: datetime, *, widths: Sequence[timedelta], rolled_to: datetime, dirty: Sequence[Span] = ()
) -> Iterator[Piece]:
    """[start, end) in few pieces: coarse inside, finer at the ends and around what is dirty, then raw."""
    holes = {width: widened(dirty, width) for width in widths}

    def within(start: datetime, end: datetime, widths: Sequence[timedelta]) -> Iterator[Piece]:
        if start >= end:
            return
        if not widths:
            yield Piece(RAW, start, end)
            return
        width, *finer = widths
        inside = Span(ceiling(start, width), floor(min(end, rolled_to), width))
        at = start
        for clean in _without(inside, holes[width]):
            yield from within(at, clean.start, finer)
            yield Piece(width, *clean)
            at = clean.end
        yield from within(at, end, finer)

    return within(start, end, widths)


def _without(span: Span, holes: Sequence[Span]) -> Iterator[Span]:
    """Holes are in the order of time."""
    at = span.start
    for hole in holes[bisect_right(holes, at, key=attrgetter("end")) :]:
        if hole.start >= span.end:
            break
        if at < hole.start:
            yield Span(at, hole.start)
        at = hole.end
    if at < span.end:
        yield Span(at, span.end)


# What each figure is of parts, with what lies beside each of them within its bucket (`BESIDE`).
COMBINED = {
    Figure.COUNT: "sum(count)::bigint",
    Figure.SUM: "sum(sum)",
    Figure.MEAN: "sum(sum) / sum(count)",
    Figure.MIN: "min(min)",
    Figure.MAX: "max(max)",
    Figure.FIRST: "max(first) filter (where is_first)",
    Figure.FIRST_AT: "min(first_at)",
    Figure.LAST: "max(last) filter (where next_at is null)",
    Figure.LAST_AT: "max(last_at)",
    Figure.AREA: f"sum(area) + coalesce(sum(last * {stands('last_at')}) "
    f"filter (where next_at is not null and abs(last) < {HUGE}), 0)",
    Figure.COVERED: f"sum(covered) + coalesce(sum({stands('last_at')}) filter (where next_at is not null), 0)",
    Figure.DROPS: "(sum(drops) + count(*) filter (where next_first < last))::bigint",
}
BESIDE = """
    lag(first_at) over inside is null as is_first,
    lead(first_at) over inside as next_at,
    lead(first) over inside as next_first
"""
NEEDS_BESIDE = {Figure.FIRST, Figure.LAST, Figure.AREA, Figure.COVERED, Figure.DROPS}

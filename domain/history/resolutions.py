"""Resolutions in ISO 8601, and the edges of their buckets in a zone's local time.

Buckets stand on the local grid: days begin at local midnight, quarters of an hour at the local quarter, months on the
first. A day of 23 or 25 hours has 23 or 25 buckets of an hour: the one that the clock repeats is two. Parts of a day
that are longer than the clock's change (`PT6H`) keep to the clock's face and are shorter or longer on that day.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import Invalid, LimitExceeded

_DURATION = re.compile(
    r"P(?=\d|T\d)(?:(?P<Y>\d{1,9})Y)?(?:(?P<M>\d{1,9})M)?(?:(?P<W>\d{1,9})W)?(?:(?P<D>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<h>\d{1,9})H)?(?:(?P<m>\d{1,9})M)?(?:(?P<s>\d{1,9})S)?)?",
    re.ASCII,
)
_DAY_S = 86_400
_SUPPORTED = "PT1S to PT12H in whole parts of a day, P1D, P1W, P1M, P2M, P3M, P4M, P6M or P1Y"


class Step(StrEnum):
    """What a resolution counts in."""

    SECOND = "SECOND"
    DAY = "DAY"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True)
class Resolution:
    """`count` steps to a bucket: seconds divide a day, days are 1 or a week from Monday, months divide a year."""

    step: Step
    count: int

    @property
    def shortest_s(self) -> int:
        """No bucket but the first and the last of a period, or one of a changing clock, is shorter."""
        return self.count * {Step.SECOND: 1, Step.DAY: _DAY_S - 7_200, Step.MONTH: 28 * _DAY_S - 7_200}[self.step]

    def starts(self, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Where buckets begin, in UTC and in order: from at or before `start` until `end` is passed."""
        day = self._first_day(start.astimezone(zone).date())
        last = None
        while True:
            for begin in self._starts_within(day, zone):
                if last is None or begin > last:  # a day that a zone leaves out begins when the next one does
                    yield begin
                last = begin
                if begin >= end:
                    return
            day = self._next_day(day)

    def _first_day(self, day: date) -> date:
        if self.step is Step.MONTH:
            return date(day.year, (day.month - 1) // self.count * self.count + 1, 1)
        day -= timedelta(days=1)  # a zone whose clock is put back over midnight has one day's start twice
        return day - timedelta(days=day.weekday()) if self.step is Step.DAY and self.count == 7 else day

    def _next_day(self, day: date) -> date:
        if self.step is Step.MONTH:
            months = day.year * 12 + day.month - 1 + self.count
            return date(months // 12, months % 12 + 1, 1)
        return day + timedelta(days=self.count if self.step is Step.DAY else 1)

    def _starts_within(self, day: date, zone: ZoneInfo) -> list[datetime]:
        midnight = datetime.combine(day, time())
        if self.step is not Step.SECOND:
            return [_instants(midnight, zone)[0]]
        begins = _instants(midnight, zone)[0]
        ends = _instants(midnight + timedelta(days=1), zone)[0]
        offsets = _offsets(self.count)
        if ends - begins == timedelta(days=1):
            return [begins + offset for offset in offsets]
        before = midnight - timedelta(days=1)  # its last hour comes again where the clock is put back after midnight
        walls = (one + offset for one in (before, midnight) for offset in offsets)
        starts = {start for wall in walls for start in self._starts_at(wall, zone)}
        return sorted(start for start in starts if begins <= start < ends)

    def _starts_at(self, wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
        """Twice where a whole bucket is repeated, not where a longer one is only stretched."""
        instants = _instants(wall, zone)
        return instants if instants[-1] - instants[0] >= timedelta(seconds=self.count) else instants[:1]


@lru_cache(maxsize=8)
def _offsets(seconds: int) -> tuple[timedelta, ...]:
    """Of the buckets of a day of 24 hours, from its beginning."""
    return tuple(timedelta(seconds=second) for second in range(0, _DAY_S, seconds))


def resolution(text: str) -> Resolution:
    """An ISO 8601 duration that a bucket can have."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Invalid(f"{text!r} is no ISO 8601 duration in whole numbers, such as PT15M or P1D", field="resolution")
    years, months, weeks, days, hours, minutes, seconds = (int(match[name] or 0) for name in "YMWDhms")
    months += years * 12
    days += weeks * 7
    seconds += hours * 3600 + minutes * 60
    match (months, days, seconds):
        case (0, 0, _) if seconds and _DAY_S % seconds == 0 and seconds < _DAY_S:
            return Resolution(Step.SECOND, seconds)
        case (0, 1 | 7, 0):
            return Resolution(Step.DAY, days)
        case (1 | 2 | 3 | 4 | 6 | 12, 0, 0):
            return Resolution(Step.MONTH, months)
    raise Invalid(f"there are no buckets of {text}: ask for {_SUPPORTED}", field="resolution")


def zone_named(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"{name!r} is no IANA time zone", field="timezone") from error


def edges(start: datetime, end: datetime, of: Resolution, zone: ZoneInfo, *, limit: int) -> list[datetime]:
    """Of the buckets in [start, end); the first and the last are cut to it. At most `limit` buckets."""
    if (end - start).total_seconds() / of.shortest_s > limit + 2:
        raise _too_many(limit)
    inner = [begin for begin in of.starts(start, end, zone) if start < begin < end]
    if len(inner) >= limit:
        raise _too_many(limit)
    return [start.astimezone(UTC), *inner, end.astimezone(UTC)]


def _too_many(limit: int) -> LimitExceeded:
    return LimitExceeded(f"more than {limit} buckets for each point: ask for a shorter period or a coarser resolution")


def _instants(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """When a clock in this zone shows `wall`: once; twice, where it is put back; at the jump, where it is skipped."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return (first,)
    if first < second:
        return (first, second)
    return (_jump(second, first, zone),)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """When the clock was put forward, to the second."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after

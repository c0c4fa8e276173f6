"""Times as files have them: ISO 8601, what spreadsheets make of it, and seconds since 1970."""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LENGTH_MAX = 64
_DIGITS = {10: 6, 13: 3, 16: 0, 19: -3}  # of its part that is a microsecond, by those that it has from 2001 on
_WRITTEN = re.compile(
    r"(?P<a>\d{1,4})(?P<sep>[-./])(?P<b>\d{1,2})(?P=sep)(?P<c>\d{1,4})"
    r"(?:(?:\s*[T,]\s*|\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[aApP])?(?(half)\.?[mM]\.?))?"
    r"\s*(?P<zone>Z|z|UTC|GMT|[-+]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)
_HOUR = timedelta(hours=1)


class Moments:
    """Text to a moment in UTC. `zone` is of times that do not tell theirs; `day_first` of 03/04/2026, where known.

    Where the clock was put back, an hour comes twice: of one series, what does not go on in it is the other one. Which
    one is first is told by whether the series go on in time or, with the newest row first, back.
    """

    def __init__(self, zone: ZoneInfo, day_first: bool | None) -> None:
        self._zone = zone
        self._day_first = day_first
        self._last: tuple[str, datetime] = ("", _EPOCH)
        self._offsets: dict[datetime, timedelta | None] = {}
        self._repeated: dict[str, tuple[datetime, int]] = {}
        self._first_fold = 0

    def look(self, rows: Iterable[tuple[str, str]]) -> None:
        """At the beginning of a file, as times and series, for whether it goes back in time."""
        last: dict[str, datetime] = {}
        ahead = 0
        for text, series in rows:
            with suppress(ValueError, OverflowError):
                told = self._told(text).replace(tzinfo=None)
                before = last.get(series, told)
                ahead += (told > before) - (told < before)
                last[series] = told
        self._first_fold = 1 if ahead < 0 else 0

    def at(self, text: str, series: str = "") -> datetime:
        """Raises `ValueError`, which says why."""
        if text == self._last[0]:
            return self._last[1]
        try:
            told = self._told(text)
            if told.tzinfo is not None:
                moment = told.astimezone(UTC)
            else:
                offset = self._offset(told)
                if offset is None:
                    return self._unsteady(told, text, series)
                moment = (told - offset).replace(tzinfo=UTC)
        except OverflowError:
            raise ValueError(f"{text!r} is too far away") from None
        self._last = text, moment
        return moment

    def _told(self, text: str) -> datetime:
        if len(text) > LENGTH_MAX:
            raise ValueError(f"{text[:80]!r}… is no time")
        if text[:10].isdigit():
            count, _, part = text.partition(".")
            if len(count) in _DIGITS and f"{count}{part}".isdecimal():
                return _since_1970(count, part)
        try:
            if len(text) in (12, 14) and text.isdecimal():
                return datetime.fromisoformat(f"{text[:8]}T{text[8:]}")
            return datetime.fromisoformat(text)
        except ValueError:
            found = _WRITTEN.fullmatch(text)
            if found is None:
                raise ValueError(f"{text[:80]!r} is no time") from None
            return self._written(found)

    def _written(self, found: re.Match[str]) -> datetime:
        year, month, day = self._date(found)
        hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
        if found["half"]:
            if not 1 <= hour <= 12:
                raise ValueError(f"{found[0]!r} is no time")
            hour = hour % 12 + (12 if found["half"] in "pP" else 0)
        midnight = hour == 24 and not minute and not second  # the end of the day
        try:
            told = datetime(year, month, day, 0 if midnight else hour, minute, second, tzinfo=_zone(found["zone"]))
        except ValueError as error:
            raise ValueError(f"{found[0]!r} is no time: {error}") from None
        told += timedelta(microseconds=int((found["part"] or "0").ljust(6, "0")[:6]))
        return told + timedelta(days=1) if midnight else told

    def _date(self, found: re.Match[str]) -> tuple[int, int, int]:
        first, second, third = int(found["a"]), int(found["b"]), int(found["c"])
        if len(found["a"]) == 4:
            return first, second, third
        if len(found["a"]) > 2 or len(found["c"]) not in (2, 4):
            raise ValueError(f"{found[0]!r} is no time")
        year = third if len(found["c"]) == 4 else 2000 + third
        day_first = True if found["sep"] == "." else self._day_first
        if day_first is None:
            day_first = _shows_day_first(first, second)
        if day_first is None:
            raise ValueError(f"{found[0]!r} may be one of two days: say dayFirst")
        return (year, second, first) if day_first else (year, first, second)

    def _offset(self, told: datetime) -> timedelta | None:
        """Of this hour of the zone's clock; None where the clock changes in it, or near it."""
        hour = told.replace(minute=0, second=0, microsecond=0)
        if hour not in self._offsets:
            if len(self._offsets) > 100_000:
                self._offsets.clear()
            around = {
                (hour + shift).replace(tzinfo=self._zone, fold=fold).utcoffset()
                for shift in (timedelta(), _HOUR)
                for fold in (0, 1)
            }
            self._offsets[hour] = around.pop() if len(around) == 1 else None
        return self._offsets[hour]

    def _unsteady(self, told: datetime, text: str, series: str) -> datetime:
        first, second = (told.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first > second:
            raise ValueError(f"{text!r} was never shown by the clocks of {self._zone.key}, which were put forward")
        if first == second:
            return first
        last, fold = self._repeated.get(series, (None, 0))
        if last is None or abs(told - last) >= 2 * _HOUR:
            fold = self._first_fold  # another year's
        elif told >= last if self._first_fold else told <= last:
            fold = 1 - self._first_fold
        self._repeated[series] = told, fold
        return second if fold else first


def shows_day_first(texts: Iterable[str]) -> bool | None:
    """What the times at the beginning of a file tell of its order of day and month."""
    for text in texts:
        found = _WRITTEN.fullmatch(text[:LENGTH_MAX])
        if found and found["sep"] != "." and len(found["a"]) <= 2:
            shown = _shows_day_first(int(found["a"]), int(found["b"]))
            if shown is not None:
                return shown
    return None


def _shows_day_first(first: int, second: int) -> bool | None:
    if first > 12:
        return True
    return False if second > 12 else None


def _since_1970(count: str, part: str) -> datetime:
    digits = _DIGITS[len(count)]
    return _EPOCH + timedelta(microseconds=int(f"{count}{part:0<6}"[: len(count) + digits]))


def _zone(text: str | None) -> timezone | None:
    if text is None or text in "ZzUTCGMT":
        return None if text is None else UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)

"""When in the week a token may charge, by the clock of the place where it is shown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from domain.errors import Invalid

HOURS_MAX = 50
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")


class Weekday(StrEnum):
    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


_DAYS = tuple(Weekday)


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` to `end`, `HH:MM`, on each of `days`; one that does not end after it begins ends on the next day."""

    days: Sequence[Weekday]
    begin: str
    end: str

    def until(self, now: datetime) -> datetime | None:
        """When those that `now` lies in are over; None where it lies in none. `now` is by the clock of the place."""
        for day in (now - timedelta(days=1), now):
            begin, end = _at(day, self.begin), _at(day, self.end)
            if end <= begin:
                end += timedelta(days=1)
            if _DAYS[day.weekday()] in self.days and begin <= now < end:
                return end
        return None


def until(hours: Iterable[Hours], now: datetime, zone: ZoneInfo) -> datetime | None:
    """Until when it may charge that may now; None where it may not."""
    here = now.astimezone(zone)
    ends = [end for one in hours if (end := one.until(here)) is not None]
    return max(ends).astimezone(UTC) if ends else None


def written(given: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """As the row keeps them. Raises `Invalid`."""
    if given is None:
        return None
    if len(given) not in range(1, HOURS_MAX + 1):
        raise Invalid(f"hours has 1 to {HOURS_MAX} entries, or is null: at any time", field="hours")
    for one in given:
        if not one["days"]:
            raise Invalid("hours has the days of the week on which they are", field="hours")
        wrong = next((clock for clock in (one["begin"], one["end"]) if not _CLOCK.fullmatch(clock)), None)
        if wrong is not None or one["begin"] == "24:00":
            raise Invalid(f"{wrong or '24:00'} is no time of the day, such as 08:30", field="hours")
    return [
        {"days": sorted(set(one["days"]), key=_DAYS.index), "begin": one["begin"], "end": one["end"]} for one in given
    ]


def read(kept: Sequence[Mapping[str, Any]] | None) -> list[Hours] | None:
    if kept is None:
        return None
    return [Hours([Weekday(day) for day in one["days"]], one["begin"], one["end"]) for one in kept]


def _at(day: datetime, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    midnight = datetime.combine(day.date(), time(), tzinfo=day.tzinfo)
    return midnight + timedelta(hours=hour, minutes=minute)

"""Hours of the week."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.errors import Invalid
from domain.tokens import Hours, Weekday, until
from domain.tokens.hours import read, written

BERLIN = ZoneInfo("Europe/Berlin")


def hours(begin: str, end: str, *days: Weekday) -> Hours:
    return Hours(days or tuple(Weekday), begin, end)


def ends(at: str, *given: Hours) -> str | None:
    end = until(given, datetime.fromisoformat(at).replace(tzinfo=BERLIN), BERLIN)
    return None if end is None else end.astimezone(BERLIN).strftime("%a %H:%M")


@pytest.mark.parametrize(
    ("at", "given", "end"),
    [
        ("2026-06-01T08:00", [hours("08:00", "18:00")], "Mon 18:00"),
        ("2026-06-01T07:59", [hours("08:00", "18:00")], None),
        ("2026-06-01T18:00", [hours("08:00", "18:00")], None),
        ("2026-06-01T12:00", [hours("08:00", "18:00", Weekday.TUESDAY)], None),
        ("2026-06-01T23:00", [hours("22:00", "06:00", Weekday.MONDAY)], "Tue 06:00"),
        ("2026-06-02T05:59", [hours("22:00", "06:00", Weekday.MONDAY)], "Tue 06:00"),
        ("2026-06-01T05:59", [hours("22:00", "06:00", Weekday.MONDAY)], None),
        ("2026-06-01T12:00", [hours("00:00", "24:00", Weekday.MONDAY)], "Tue 00:00"),
        ("2026-06-01T12:00", [hours("00:00", "00:00", Weekday.MONDAY)], "Tue 00:00"),
        ("2026-06-01T12:00", [hours("11:00", "13:00"), hours("12:00", "15:00")], "Mon 15:00"),
        ("2026-03-29T12:00", [hours("08:00", "18:00")], "Sun 18:00"),  # summer time began that night
    ],
)
def test_until_when_they_last(at: str, given: Sequence[Hours], end: str | None) -> None:
    assert ends(at, *given) == end


def test_they_are_told_in_utc() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert until([hours("08:00", "18:00")], noon, BERLIN) == datetime(2026, 6, 1, 16, tzinfo=UTC)


def test_they_are_read_as_they_were_written() -> None:
    kept = written([{"days": ["SUNDAY", "MONDAY", "SUNDAY"], "begin": "08:00", "end": "24:00"}])
    assert read(kept) == [Hours([Weekday.MONDAY, Weekday.SUNDAY], "08:00", "24:00")]
    assert (written(None), read(None)) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [{"days": [], "begin": "08:00", "end": "18:00"}],
        [{"days": ["MONDAY"], "begin": "8:00", "end": "18:00"}],
        [{"days": ["MONDAY"], "begin": "08:00", "end": "25:00"}],
        [{"days": ["MONDAY"], "begin": "24:00", "end": "08:00"}],
        [{"days": ["MONDAY"], "begin": "08:00", "end": "18:00"}] * 51,
    ],
)
def test_what_are_none_are_refused(wrong: list[dict[str, Any]]) -> None:
    with pytest.raises(Invalid) as refused:
        written(wrong)
    assert refused.value.details["field"] == "hours"

"""Where buckets begin and end in local time."""

from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import Invalid, LimitExceeded
from domain.history.resolutions import Resolution, Step, edges, resolution, zone_named

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def local(zone: ZoneInfo, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=zone)  # type: ignore[misc, arg-type]


def hours(found: list[datetime]) -> list[float]:
    """How long each bucket is."""
    return [(after - before) / HOUR for before, after in pairwise(found)]


def between(start: datetime, end: datetime, text: str, zone: ZoneInfo) -> list[datetime]:
    return edges(start, end, resolution(text), zone, limit=10_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT1S", Resolution(Step.SECOND, 1)),
        ("PT15M", Resolution(Step.SECOND, 900)),
        ("PT1H30M", Resolution(Step.SECOND, 5400)),
        ("PT60M", Resolution(Step.SECOND, 3600)),
        ("PT3600S", Resolution(Step.SECOND, 3600)),
        ("PT12H", Resolution(Step.SECOND, 43_200)),
        ("P1D", Resolution(Step.DAY, 1)),
        ("P7D", Resolution(Step.DAY, 7)),
        ("P1W", Resolution(Step.DAY, 7)),
        ("P1M", Resolution(Step.MONTH, 1)),
        ("P3M", Resolution(Step.MONTH, 3)),
        ("P1Y", Resolution(Step.MONTH, 12)),
        ("P12M", Resolution(Step.MONTH, 12)),
    ],
)
def test_durations_of_iso_8601_are_understood(text: str, expected: Resolution) -> None:
    assert resolution(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1",
        "1D",
        "P1DT",
        "15m",
        "PT-1H",
        "PT0.5S",
        "pt1h",
        "P1H",
        "PT1D",
        "P1D ",
        "P1٣M",
        "P9999999999D",
    ],
)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="no ISO 8601 duration"):
        resolution(text)


@pytest.mark.parametrize(
    "text", ["PT0S", "P0D", "PT7M", "PT5H", "PT24H", "PT25H", "P2D", "P2W", "P5M", "P2Y", "P1DT1H", "P1M1D"]
)
def test_a_duration_that_no_bucket_can_have_is_refused_with_those_that_can(text: str) -> None:
    with pytest.raises(Invalid, match=f"no buckets of {text}: ask for PT1S to PT12H"):
        resolution(text)


@pytest.mark.parametrize(
    "name", ["", "Berlin", "../../etc/passwd", "/etc/localtime", "Europe", "UTC+1", "Europe/Berlin\0"]
)
def test_what_is_no_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(Invalid, match="no IANA time zone"):
        zone_named(name)


def test_the_day_the_clock_goes_forward_has_23_hours() -> None:
    start, end = local(BERLIN, 2026, 3, 28), local(BERLIN, 2026, 3, 31)

    assert hours(between(start, end, "P1D", BERLIN)) == [24, 23, 24]
    day = between(local(BERLIN, 2026, 3, 29), local(BERLIN, 2026, 3, 30), "PT1H", BERLIN)
    assert hours(day) == [1] * 23
    assert [f"{at.astimezone(BERLIN):%H:%M}" for at in day[:4]] == ["00:00", "01:00", "03:00", "04:00"]
    assert hours(between(local(BERLIN, 2026, 3, 29), local(BERLIN, 2026, 3, 30), "PT6H", BERLIN)) == [5, 6, 6, 6]


def test_a_bucket_that_would_begin_in_the_hour_that_is_skipped_begins_after_it() -> None:
    found = between(local(BERLIN, 2026, 3, 29), local(BERLIN, 2026, 3, 30), "PT45M", BERLIN)

    assert [f"{at.astimezone(BERLIN):%H:%M}" for at in found[2:5]] == ["01:30", "03:00", "03:45"]


def test_the_day_the_clock_goes_back_has_25_hours() -> None:
    start, end = local(BERLIN, 2026, 10, 24), local(BERLIN, 2026, 10, 27)

    assert hours(between(start, end, "P1D", BERLIN)) == [24, 25, 24]
    day = between(local(BERLIN, 2026, 10, 25), local(BERLIN, 2026, 10, 26), "PT1H", BERLIN)
    assert hours(day) == [1] * 25
    assert [f"{at.astimezone(BERLIN):%H:%M %z}" for at in day[2:4]] == ["02:00 +0200", "02:00 +0100"]
    assert hours(between(local(BERLIN, 2026, 10, 25), local(BERLIN, 2026, 10, 26), "PT6H", BERLIN)) == [7, 6, 6, 6]
    assert hours(between(local(BERLIN, 2026, 10, 25), local(BERLIN, 2026, 10, 26), "PT2H", BERLIN))[:3] == [2, 3, 2]


def test_a_month_is_a_local_month() -> None:
    found = between(local(BERLIN, 2026, 3, 1), local(BERLIN, 2026, 5, 1), "P1M", BERLIN)

    assert found == [
        datetime(2026, 2, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 31, 22, tzinfo=UTC),
        datetime(2026, 4, 30, 22, tzinfo=UTC),
    ]
    assert hours(found) == [31 * 24 - 1, 30 * 24]


def test_weeks_begin_on_monday_quarters_in_january_and_years_with_the_year() -> None:
    def starts(text: str) -> list[str]:
        found = between(local(BERLIN, 2025, 12, 1), local(BERLIN, 2027, 1, 15), text, BERLIN)
        return [f"{at.astimezone(BERLIN):%Y-%m-%d}" for at in found[1:-1]]

    assert starts("P1W")[:5] == ["2025-12-08", "2025-12-15", "2025-12-22", "2025-12-29", "2026-01-05"]
    assert starts("P3M") == ["2026-01-01", "2026-04-01", "2026-07-01", "2026-10-01", "2027-01-01"]
    assert starts("P1Y") == ["2026-01-01", "2027-01-01"]


def test_buckets_stand_on_the_local_grid_and_the_ends_are_cut_to_the_period() -> None:
    kathmandu = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead
    found = between(
        datetime(2026, 6, 1, 10, 7, 30, tzinfo=UTC), datetime(2026, 6, 1, 12, 20, tzinfo=UTC), "PT1H", kathmandu
    )

    assert [f"{at:%H:%M:%S}" for at in found] == ["10:07:30", "10:15:00", "11:15:00", "12:15:00", "12:20:00"]


def test_a_period_within_one_bucket_is_one_bucket() -> None:
    start, end = datetime(2026, 6, 1, 10, tzinfo=UTC), datetime(2026, 6, 1, 10, 0, 0, 1, tzinfo=UTC)

    assert between(start, end, "P1Y", BERLIN) == [start, end]


@pytest.mark.parametrize(
    ("name", "day", "length"),
    [
        ("America/Sao_Paulo", (2018, 11, 4), 23),  # midnight does not exist: the day begins at one
        ("America/Havana", (2026, 11, 1), 25),  # midnight comes twice
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Pacific/Apia", (2011, 12, 29), 24),
        ("America/Sao_Paulo", (2018, 2, 17), 25),  # from midnight back to eleven
    ],
)
def test_days_of_odd_zones_are_as_long_as_they_were(name: str, day: tuple[int, int, int], length: float) -> None:
    zone = ZoneInfo(name)
    noon = local(zone, *day, 12)
    found = between(noon - timedelta(days=3), noon + timedelta(days=3), "P1D", zone)

    [begin] = [index for index, at in enumerate(found[1:-1], 1) if at.astimezone(zone).date() == noon.date()]
    assert hours(found)[begin] == length
    assert found == sorted(set(found))


def test_an_hour_that_comes_again_after_midnight_has_buckets_of_its_own() -> None:
    newfoundland = ZoneInfo("America/St_Johns")  # a minute after midnight, until 2011
    found = between(local(newfoundland, 2010, 11, 6, 23), local(newfoundland, 2010, 11, 7, 1), "PT15M", newfoundland)

    assert hours(found) == [1 / 4] * 12
    walls = [f"{at.astimezone(newfoundland):%d %H:%M}" for at in found[4:8]]
    assert walls == ["07 00:00", "06 23:15", "06 23:30", "06 23:45"]
    assert hours(between(found[0], found[-1], "PT1H", newfoundland)) == [1, 1, 1]


def test_a_day_that_a_zone_left_out_is_no_bucket() -> None:
    apia = ZoneInfo("Pacific/Apia")  # went from the 29th to the 31st
    found = between(local(apia, 2011, 12, 28), local(apia, 2012, 1, 2), "P1D", apia)

    assert [f"{at.astimezone(apia):%d}" for at in found[:-1]] == ["28", "29", "31", "01"]


def test_too_many_buckets_are_refused_before_they_are_made() -> None:
    with pytest.raises(LimitExceeded, match="more than 100 buckets"):
        edges(datetime(1800, 1, 1, tzinfo=UTC), datetime(2400, 1, 1, tzinfo=UTC), resolution("PT1S"), BERLIN, limit=100)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    assert len(edges(start, start + 100 * HOUR, resolution("PT1H"), ZoneInfo("UTC"), limit=100)) == 101
    with pytest.raises(LimitExceeded):
        edges(start, start + 101 * HOUR, resolution("PT1H"), ZoneInfo("UTC"), limit=100)


zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "America/Sao_Paulo", "America/Havana", "Asia/Beirut"]
).map(ZoneInfo)
moments = st.datetimes(datetime(2015, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
FINE = ["PT15M", "PT30M", "PT1H"]
COARSE = ["PT3H", "PT6H", "PT12H", "P1D", "P1W", "P1M", "P3M", "P1Y"]


def label(at: datetime, text: str, zone: ZoneInfo) -> Hashable:
    """The oracle: what a person with a clock and a calendar would call the bucket that a moment is in."""
    wall = at.astimezone(zone)
    minutes = wall.hour * 60 + wall.minute
    match text:
        case "PT15M" | "PT30M" | "PT1H":
            length = {"PT15M": 15, "PT30M": 30, "PT1H": 60}[text]
            return (wall.date(), minutes // length, wall.utcoffset())  # the hour that comes twice is two
        case "PT3H" | "PT6H" | "PT12H":
            return (wall.date(), wall.hour // int(text[2:-1]))
        case "P1D":
            return wall.date()
        case "P1W":
            return wall.isocalendar()[:2]
        case "P1M" | "P3M":
            return (wall.year, (wall.month - 1) // int(text[1:-1]))
        case _:
            return wall.year


@given(moments, st.sampled_from(FINE + COARSE), zones, st.lists(st.integers(0, 10**6), min_size=2, max_size=40))
@example(datetime(2026, 3, 28, tzinfo=UTC), "PT1H", BERLIN, [*range(0, 3 * 86_400, 900)])
@example(datetime(2026, 10, 24, tzinfo=UTC), "PT15M", BERLIN, [*range(0, 3 * 86_400, 450)])
@example(datetime(2018, 11, 3, tzinfo=UTC), "PT6H", ZoneInfo("America/Sao_Paulo"), [*range(0, 3 * 86_400, 900)])
@example(datetime(2018, 2, 16, tzinfo=UTC), "P1D", ZoneInfo("America/Sao_Paulo"), [*range(0, 4 * 86_400, 900)])
@example(datetime(2026, 10, 31, tzinfo=UTC), "PT1H", ZoneInfo("America/Havana"), [*range(0, 3 * 86_400, 900)])
def test_two_moments_share_a_bucket_when_clock_and_calendar_say_so(
    start: datetime, text: str, zone: ZoneInfo, offsets_s: list[int]
) -> None:
    at = sorted({start + timedelta(seconds=offset) for offset in offsets_s})
    found = between(at[0], at[-1] + timedelta(seconds=1), text, zone)

    assert found == sorted(set(found))
    buckets = [sum(edge <= moment for edge in found) for moment in at]
    for before, after, here, there in zip(at, at[1:], buckets, buckets[1:], strict=False):
        assert (here == there) == (label(before, text, zone) == label(after, text, zone)), (before, after)
    grid = resolution(text)
    assert all(label(edge, text, zone) != label(edge - timedelta(microseconds=1), text, zone) for edge in found[1:-1])
    assert all((after - before).total_seconds() <= _longest_s(grid) for before, after in pairwise(found))


def _longest_s(of: Resolution) -> int:
    return of.count * {Step.SECOND: 1, Step.DAY: 86_400, Step.MONTH: 31 * 86_400}[of.step] + 3_600

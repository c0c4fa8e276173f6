"""What the numbers of a bucket come to, and what stands where there are none."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from domain.errors import Invalid
from domain.history import Column, Fill, Function
from domain.points import HOLD, Quality, Reading
from tests.domain.history.asking import DAY, HOUR, MINUTE, NOON, asked, column, columns, recorded
from tests.tester import Tester

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def days_later(acme: Tester) -> None:
    acme.clock.now = NOON + 2 * DAY


def readings(address: str, *found: tuple[float, float]) -> list[Reading]:
    """Of minutes after noon and values."""
    return [Reading(address, NOON + minutes * MINUTE, value) for minutes, value in found]


async def weighted(tester: Tester, **how: Any) -> Column:
    return await column(tester, "a", function=Function.TIME_WEIGHTED_MEAN, **how)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (Function.MEAN, [4, None, 8]),
        (Function.MIN, [1, None, 8]),
        (Function.MAX, [6, None, 8]),
        (Function.FIRST, [5, None, 8]),
        (Function.LAST, [6, None, 8]),
        (Function.SUM, [12, None, 8]),
        (Function.COUNT, [3, 0, 1]),
    ],
)
async def test_a_function_says_what_is_shown_of_a_bucket(
    acme: Tester, function: Function, values: Sequence[float | None]
) -> None:
    await recorded(acme, *readings("a", (0, 5), (10, 1), (20, 6), (120, 8)))

    assert await column(acme, "a", to=NOON + 3 * HOUR, resolution="PT1H", function=function) == values


async def test_a_count_has_no_unit_and_every_other_value_has_its_points(acme: Tester) -> None:
    await recorded(acme, Reading("a", NOON, 1, unit="kW"))

    units = {
        function: (await asked(acme, "a", resolution="P1D", function=function)).series[0].unit for function in Function
    }

    assert units.pop(Function.COUNT) is None
    assert set(units.values()) == {"W"}


async def test_a_value_weighs_as_long_as_it_stands(acme: Tester) -> None:
    await recorded(acme, *readings("a", (0, 0), (45, 60), (60, 1000)))

    assert await weighted(acme, to=NOON + HOUR, resolution="PT1H") == [15]


async def test_a_value_stands_over_the_edge_of_its_bucket_and_of_the_question(acme: Tester) -> None:
    await recorded(acme, *readings("a", (-30, 10), (15, 20), (90, 0)))

    assert await weighted(acme, to=NOON + 90 * MINUTE, resolution="PT30M") == [15, 20, 20 / 1]


async def test_a_value_that_is_not_followed_stands_for_an_hour_and_no_longer(acme: Tester) -> None:
    await recorded(acme, *readings("a", (0, 10), (360, 40)))

    assert await weighted(acme, to=NOON + 7 * HOUR, resolution="PT30M") == [10, 10, *[None] * 10, 40, 40]
    assert await weighted(acme, to=NOON + 11 * HOUR, resolution="PT12H", timezone="Etc/GMT-6") == [10, 40]
    assert await weighted(acme, to=NOON + 11 * HOUR, resolution="PT12H") == [25]


async def test_the_bucket_that_goes_on_ends_now(acme: Tester) -> None:
    acme.clock.now = NOON + 10 * MINUTE
    await recorded(acme, *readings("a", (0, 10), (5, 20)))

    assert await weighted(acme, to=NOON + 2 * HOUR, resolution="PT1H") == [15, None]


async def test_what_is_planned_stands_though_its_time_has_not_come(acme: Tester) -> None:
    acme.clock.now = NOON + 30 * MINUTE
    await recorded(acme, *readings("a", (0, 10), (60, 100), (75, 200), (180, 7)))

    assert await weighted(acme, to=NOON + 4 * HOUR, resolution="PT1H") == [10, 175, 200, 7]
    assert await weighted(acme, to=NOON + 4 * HOUR, resolution="PT4H", timezone="UTC") == [
        (30 * 10 + 15 * 100 + 60 * 200 + 60 * 7) / 165
    ]


async def test_what_has_just_come_is_its_own_mean(acme: Tester) -> None:
    acme.clock.now = NOON
    await recorded(acme, *readings("a", (0, 7)))

    assert await weighted(acme, to=NOON + HOUR, resolution="PT1H") == [7]


@given(
    found=st.dictionaries(st.integers(-7_200, 14_400), st.integers(-50, 50), max_size=12),
    now_s=st.integers(0, 16_000),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_time_weighted_mean_is_the_mean_of_its_seconds(acme: Tester, found: dict[int, int], now_s: int) -> None:
    """Of what was read by now until now, of what is planned as far as it goes."""
    acme.clock.now = NOON + timedelta(seconds=now_s)
    address = uuid7().hex
    await recorded(acme, Reading(address, NOON - DAY, 99))
    await recorded(acme, *(Reading(address, NOON + timedelta(seconds=at), value) for at, value in found.items()))

    standing: dict[int, int] = {}
    for at in range(-7_200, 14_400):
        last = max((moment for moment in found if at - HOLD.total_seconds() < moment <= at), default=None)
        if last is not None and (at < now_s or last > now_s):
            standing[at] = found[last]

    for resolution, length in (("PT20M", 1_200), ("PT2H", 7_200), ("PT12H", 14_400)):
        shown = await column(
            acme,
            address,
            to=NOON + 4 * HOUR,
            resolution=resolution,
            timezone="UTC",
            function=Function.TIME_WEIGHTED_MEAN,
        )
        for number, value in enumerate(shown):
            seconds = [standing[at] for at in range(number * length, (number + 1) * length) if at in standing]
            read = [found[at] for at in sorted(found) if number * length <= at < (number + 1) * length]
            if seconds:
                assert value == pytest.approx(sum(seconds) / len(seconds), abs=1e-9)
            else:
                assert value == (read[-1] if read else None)


async def test_a_mean_that_no_number_can_hold_is_refused_by_name(acme: Tester) -> None:
    await recorded(acme, *readings("a", (0, 1.7e308)))

    with pytest.raises(Invalid, match="the values of a are too large to add up"):
        await weighted(acme, to=NOON + HOUR, resolution="PT1H")


async def test_gaps_are_filled_as_asked_and_by_themselves_stay_empty(acme: Tester) -> None:
    await recorded(acme, *readings("a", (-300, 3), (60, 10), (240, 40)))

    async def shown(fill: Fill) -> Column:
        return await column(acme, "a", to=NOON + 6 * HOUR, resolution="PT1H", fill=fill)

    assert await shown(Fill.NONE) == [None, 10, None, None, 40, None]
    assert await shown(Fill.PREVIOUS) == [3, 10, 10, 10, 40, 40]
    assert await shown(Fill.LINEAR) == [None, 10, 20, 30, 40, None]
    assert await shown(Fill.ZERO) == [0, 10, 0, 0, 40, 0]


async def test_nothing_is_filled_that_has_not_begun(acme: Tester) -> None:
    acme.clock.now = NOON + 90 * MINUTE
    await recorded(acme, *readings("a", (0, 5)))

    for fill, value in ((Fill.PREVIOUS, 5), (Fill.ZERO, 0), (Fill.LINEAR, None)):
        assert await column(acme, "a", to=NOON + 3 * HOUR, resolution="PT1H", fill=fill) == [5, value, None]


async def test_what_is_summed_and_counted_does_not_go_on(acme: Tester) -> None:
    await recorded(acme, *readings("a", (-60, 3), (60, 10)))
    how: dict[str, Any] = {"to": NOON + 3 * HOUR, "resolution": "PT1H", "fill": Fill.PREVIOUS}

    assert await column(acme, "a", **how, function=Function.SUM) == [None, 10, 10]
    assert await column(acme, "a", **how, function=Function.COUNT) == [0, 1, 0]


async def test_raw_columns_are_filled_at_the_times_of_the_others(acme: Tester) -> None:
    await recorded(acme, *readings("a", (0, 0), (30, 30)), *readings("b", (-10, 7), (10, 1), (30, 2), (40, 3)))

    async def shown(fill: Fill) -> list[Column]:
        return columns(await asked(acme, "a", "b", fill=fill))

    assert await shown(Fill.LINEAR) == [[0, pytest.approx(10), 30, None], [None, 1, 2, 3]]
    assert await shown(Fill.PREVIOUS) == [[0, 0, 30, 30], [7, 1, 2, 3]]


async def test_the_worst_quality_that_counts_can_be_chosen(acme: Tester) -> None:
    await recorded(
        acme,
        Reading("a", NOON, 1),
        Reading("a", NOON + MINUTE, 3, quality=Quality.UNCERTAIN),
        Reading("a", NOON + 2 * MINUTE, 8, quality=Quality.BAD),
    )

    async def raw_and_mean(quality: Quality | None) -> tuple[Column, Column]:
        hour: dict[str, Any] = {"to": NOON + HOUR, "quality": quality}
        return await column(acme, "a", **hour), await column(acme, "a", **hour, resolution="PT1H")

    assert await raw_and_mean(None) == ([1, 3, 8], [2])
    assert await raw_and_mean(Quality.GOOD) == ([1], [1])
    assert await raw_and_mean(Quality.UNCERTAIN) == ([1, 3], [2])
    assert await raw_and_mean(Quality.BAD) == ([1, 3, 8], [4])


async def test_as_of_a_moment_is_what_was_known_then(acme: Tester, rival: Tester) -> None:
    acme.clock.now = None
    start = datetime.now(UTC) - 3 * HOUR
    for tester, value in ((acme, 1), (rival, 100)):
        await recorded(tester, Reading("a", start, value))
    then = datetime.now(UTC)
    for tester, value in ((acme, 2), (rival, 200)):
        await recorded(tester, Reading("a", start, value, version=2), Reading("a", start + HOUR, 10 * value))

    async def shown(tester: Tester, function: Function, as_of: datetime | None) -> list[float | None]:
        period: dict[str, Any] = {"from_": start, "to": start + 2 * HOUR, "resolution": "P1Y"}
        found = await column(tester, "a", **period, function=function, as_of=as_of)
        return [value for value in found if value]

    assert await column(acme, "a", from_=start, to=start + 2 * HOUR, as_of=then) == [1]
    assert await shown(acme, Function.SUM, None) == [22]
    assert await shown(acme, Function.SUM, then) == [1]
    assert await shown(acme, Function.TIME_WEIGHTED_MEAN, then) == [1]
    assert await shown(rival, Function.LAST, then) == [100]
    assert await shown(acme, Function.LAST, start) == []


async def test_as_of_a_moment_without_a_zone_is_refused(acme: Tester) -> None:
    await recorded(acme, *readings("a", (0, 0)))

    with pytest.raises(Invalid, match="asOf must have a time zone"):
        await asked(acme, "a", as_of=NOON.replace(tzinfo=None))

"""Energy: from registers that count up, with all that happens to them, and from power."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import update
from uuid_utils.compat import uuid7

from domain import history, points
from domain.actor import Role
from domain.errors import Forbidden, Invalid, LimitExceeded, NotFound, Unavailable
from domain.history import Base, Drop, DropKind, EnergyColumn, EnergySeries
from domain.points import Latest, LatestReading, Point, Quality, Reading, SeriesAggregation, Source
from domain.work import Workplace
from tests.domain.history.asking import DAY, HOUR, MINUTE, NOON, recorded
from tests.tester import Tester

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def days_later(acme: Tester) -> None:
    acme.clock.now = NOON + 30 * DAY


async def per_period(
    tester: Tester, *addresses: str, role: Role = Role.VIEWER, **how: Any
) -> tuple[Sequence[datetime], Sequence[EnergyColumn]]:
    period = {"from_": NOON, "to": NOON + 3 * HOUR, "resolution": "PT1H"}
    found = await history.energy_per_period(
        tester.workplace, tester.acting_as(role), addresses=addresses, **{**period, **how}
    )
    return found.timestamps, found.series


async def shown(tester: Tester, **how: Any) -> EnergyColumn:
    return (await per_period(tester, "meter", **how))[1][0]


async def whole(tester: Tester, address: str = "meter", **how: Any) -> EnergySeries:
    period = {"from_": NOON, "to": NOON + 3 * HOUR}
    found = await history.energy(tester.workplace, tester.actor, addresses=[address], **{**period, **how})
    return found.series[0]


def register(*found: tuple[float, float], address: str = "meter", unit: str | None = "Wh") -> list[Reading]:
    """Of minutes after noon and what it shows then."""
    return [Reading(address, NOON + minutes * MINUTE, value, unit=unit) for minutes, value in found]


async def test_what_was_corrected_counts_no_more_though_it_is_the_latest_value(acme: Tester) -> None:
    """Corrections that are imported leave the latest value alone."""
    await recorded(acme, *register((0, 100), (10, 130), (20, 900)))
    wrong = Reading("meter", NOON + 20 * MINUTE, 900, quality=Quality.BAD, unit="Wh", source=Source.IMPORTED, version=2)
    await recorded(acme, wrong)

    assert (await whole(acme)).energy_wh == 30


async def change(tester: Tester, address: str, **values: Any) -> None:
    async with tester.work() as work:
        await work.session.exec(update(Point).where(Point.address == address).values(**values))  # type: ignore[arg-type]


async def test_energy_is_the_last_reading_before_the_end_less_the_last_before_the_beginning(acme: Tester) -> None:
    await recorded(acme, *register((-5, 1000), (10, 1100), (50, 1400), (60, 1500), (125, 2500), (180, 9999)))

    found = await shown(acme)

    assert found.values == [400, 100, 1000]
    assert (found.address, found.unit, found.drops) == ("meter", "Wh", [])
    assert (await whole(acme)).energy_wh == 1500


async def test_what_was_counted_while_nobody_read_belongs_to_the_period_of_the_next_reading(acme: Tester) -> None:
    await recorded(acme, *register((0, 1000), (59, 1200), (130, 5000)))

    assert (await shown(acme)).values == [200, None, 3800]


async def test_a_meter_that_is_older_than_its_records_brings_nothing_along_unless_it_is_said_to(acme: Tester) -> None:
    await recorded(acme, *register((10, 7_000_000), (50, 7_000_300)))

    assert (await shown(acme)).values == [300, None, None]
    assert (await whole(acme)).energy_wh == 300
    assert (await shown(acme, base=Base.ZERO)).values == [7_000_300, None, None]
    assert (await whole(acme, base=Base.ZERO)).energy_wh == 7_000_300


async def test_nothing_is_known_where_nothing_was_read(acme: Tester) -> None:
    await recorded(acme, *register((-60, 5)))

    assert (await shown(acme)).values == [None, None, None]
    assert (await whole(acme)).energy_wh is None


async def test_a_register_that_is_reset_counts_from_zero_again(acme: Tester) -> None:
    await recorded(acme, *register((-1, 1000), (20, 1200), (40, 50), (50, 80), (70, 100), (110, 30)))

    found = await shown(acme)

    assert found.values == [200 + 50 + 30, 20 + 30, None]
    assert found.drops == [
        Drop(NOON + 40 * MINUTE, DropKind.RESET, 1200, 50),
        Drop(NOON + 110 * MINUTE, DropKind.RESET, 100, 30),
    ]
    assert (found.resets, found.rollovers, found.corrections) == (2, 0, 0)
    assert await whole(acme) == EnergySeries(found.drops, 2, 0, 0, "meter", 330)


async def test_a_reset_between_two_periods_is_seen_too(acme: Tester) -> None:
    await recorded(acme, *register((-1, 1000), (30, 1200), (90, 70), (150, 69)))

    found = await shown(acme)

    assert found.values == [200, 70, 0]
    assert [drop.kind for drop in found.drops] == [DropKind.RESET, DropKind.CORRECTION]


async def test_a_register_that_passes_its_last_digit_goes_on(acme: Tester) -> None:
    await recorded(acme, *register((-1, 999_800), (20, 999_900), (40, 100), (100, 600)))
    await change(acme, "meter", rollover_at=1_000_000)

    found = await shown(acme)

    assert found.values == [100 + 200, 500, None]
    assert found.drops == [Drop(NOON + 40 * MINUTE, DropKind.ROLLOVER, 999_900, 100)]
    assert found.rollovers == 1


async def test_a_reset_is_no_rollover_unless_the_last_digit_is_near(acme: Tester) -> None:
    await recorded(acme, *register((-1, 600_000), (20, 100)))
    await change(acme, "meter", rollover_at=1_000_000)

    found = await shown(acme)

    assert found.values == [100, None, None]
    assert found.resets == 1


async def test_a_small_step_back_is_a_correction_and_no_energy_is_less_than_none(acme: Tester) -> None:
    await recorded(acme, *register((-1, 1000), (10, 1100), (20, 1090), (50, 1200), (70, 1150), (130, 1250)))

    found = await shown(acme)

    assert found.values == [200, 0, 100]
    assert found.corrections == 2
    assert (await whole(acme)).energy_wh == 250


async def test_late_readings_count_where_they_belong(acme: Tester) -> None:
    await recorded(acme, *register((-1, 0), (150, 900)))
    assert (await shown(acme)).values == [None, None, 900]

    await recorded(acme, *register((59, 300), (119, 700)))

    assert (await shown(acme)).values == [300, 400, 200]


async def test_a_register_without_a_unit_counts_watt_hours_and_others_are_converted(acme: Tester) -> None:
    await recorded(acme, *register((-1, 1), (1, 3), unit=None), *register((-1, 1), (1, 3), address="k", unit="kWh"))

    _, (one, other) = await per_period(acme, "meter", "k")

    assert (one.unit, one.values[0]) == ("Wh", 2)
    assert (other.unit, other.values[0]) == ("Wh", 2000)


async def test_power_becomes_energy_and_a_gap_in_it_none(acme: Tester) -> None:
    await recorded(acme, *register((-30, 1000), (30, 2), (45, -2), unit="kW"))
    await recorded(acme, *register((-30, 1000), (240, 1000), address="gap", unit="W"))

    _, (kept, gap) = await per_period(acme, "meter", "gap", from_=NOON - HOUR, to=NOON + 6 * HOUR)

    assert kept.values == [
        pytest.approx(500_000),
        pytest.approx(500_000 + 2000 / 4 - 2000 / 4),
        pytest.approx(-2000 * 0.75),
        *[None] * 4,
    ]
    assert gap.values == [500, 500, None, None, None, 1000, None]
    assert (await whole(acme, "gap", from_=NOON - HOUR, to=NOON + 6 * HOUR)).energy_wh == 2000


async def test_power_counts_until_now(acme: Tester) -> None:
    acme.clock.now = NOON + 30 * MINUTE
    await recorded(acme, *register((0, 600), unit="W"))

    assert (await shown(acme)).values == [300, None, None]


async def test_what_is_given_as_the_sum_of_intervals_is_summed_where_they_end(acme: Tester) -> None:
    await recorded(acme, *register((0, 1), (15, 2), (30, 4), (45, 8), (60, 16), (75, 32)))
    await change(acme, "meter", aggregation=SeriesAggregation.SUM)

    assert (await shown(acme)).values == [30, 32, None]


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (
            Reading("meter", NOON, 5, unit="A"),
            "point meter is in A: there is energy of registers in Wh and of power in W",
        ),
        (Reading("meter", NOON, text="on"), "point meter is no number"),
    ],
)
async def test_what_is_no_energy_is_refused_by_name(acme: Tester, reading: Reading, message: str) -> None:
    await recorded(acme, reading)
    with pytest.raises(Invalid, match=message):
        await shown(acme)
    with pytest.raises(Invalid, match=message):
        await whole(acme)


async def test_what_no_number_can_hold_is_refused_by_name(acme: Tester) -> None:
    await recorded(acme, *register((0, -1.7e308), (30, 1.7e308), (45, 1.7e308), unit=None))
    await recorded(acme, *register((0, 1.7e308), address="power", unit="W"))

    for address in ("meter", "power"):
        with pytest.raises(Invalid, match=f"the values of {address} are too large to add up"):
            await whole(acme, address)


async def test_a_register_counts_up_to_what_it_shows_now(acme: Tester, rival: Tester) -> None:
    await recorded(acme, *register((-1, 1000), (10, 1100)))
    await recorded(rival, *register((-1, 1000), (10, 1100)))
    acme.clock.now = NOON + 65 * MINUTE
    await show(acme, LatestReading(await point_id(acme), NOON + 61 * MINUTE, 1700, None, Quality.GOOD))

    assert (await shown(acme)).values == [100, 600, None]
    assert (await whole(acme)).energy_wh == 700
    assert (await whole(acme, to=NOON + HOUR)).energy_wh == 100
    assert (await whole(acme, as_of=datetime.now(UTC) + DAY)).energy_wh == 100
    assert (await whole(rival)).energy_wh == 100


async def test_what_a_register_shows_now_may_be_a_reset_and_may_not_count_at_all(acme: Tester) -> None:
    await recorded(acme, *register((-1, 1000), (10, 1100)))
    acme.clock.now = NOON + 65 * MINUTE
    await show(acme, LatestReading(await point_id(acme), NOON + 20 * MINUTE, 30, None, Quality.UNCERTAIN))

    found = await shown(acme)
    strictly = await shown(acme, quality=Quality.GOOD)

    assert (found.values, found.resets) == ([130, None, None], 1)
    assert strictly.values == [100, None, None]


class AwayLatest(Latest):
    async def put(self, tenant_id: UUID, readings: Any) -> Any:
        raise Unavailable("away")

    async def get(self, tenant_id: UUID, point_ids: Any) -> Any:
        raise Unavailable("away")


async def test_without_redis_energy_is_what_the_history_knows(acme: Tester) -> None:
    await recorded(acme, *register((-1, 1000), (10, 1100)))
    ports: dict[Any, Any] = {**acme.workplace._ports, Latest: AwayLatest()}
    workplace = Workplace(acme.workplace.engine, ports=ports, clock=acme.clock)

    found = await history.energy(workplace, acme.actor, addresses=["meter"], from_=NOON, to=NOON + HOUR)

    assert found.series[0].energy_wh == 100


async def point_id(tester: Tester) -> UUID:
    async with tester.work(read_only=True) as work:
        return (await points.by_address(work, "meter")).id


async def show(tester: Tester, reading: LatestReading) -> None:
    """What somebody told us of the present alone, such as an edge that keeps its history to itself."""
    await tester.workplace.port(Latest).put(tester.tenant_id, [reading])  # type: ignore[type-abstract]


async def test_energy_is_of_what_was_known_and_of_the_quality_that_counts(acme: Tester) -> None:
    acme.clock.now = None
    start = datetime.now(UTC) - DAY
    await recorded(acme, Reading("meter", start, 10, unit="Wh"), Reading("meter", start + HOUR, 20, unit="Wh"))
    then = datetime.now(UTC)
    await recorded(
        acme,
        Reading("meter", start + HOUR, 25, unit="Wh", version=2),
        Reading("meter", start + 2 * HOUR, 100, unit="Wh", quality=Quality.UNCERTAIN),
        Reading("meter", start + 3 * HOUR, 0, unit="Wh", quality=Quality.BAD),
    )
    period: dict[str, Any] = {"from_": start, "to": start + 5 * HOUR}

    assert (await whole(acme, **period)).energy_wh == 90
    assert (await whole(acme, **period, quality=Quality.GOOD)).energy_wh == 15
    assert (await whole(acme, **period, as_of=then)).energy_wh == 10


async def test_energy_is_shown_to_those_who_may_see_it_and_of_points_that_there_are(
    acme: Tester, rival: Tester
) -> None:
    await recorded(rival, *register((0, 1)))
    with pytest.raises(NotFound, match="point meter does not exist"):
        await shown(acme)
    await recorded(acme, *register((0, 1)))
    with pytest.raises(Forbidden):
        await per_period(acme, "meter", role=Role.STATION)


async def test_a_register_that_only_goes_down_is_not_read_for_ever(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.history.registers.RAW_ROWS_MAX", 150)
    await recorded(acme, *register(*((n, -n) for n in range(80))))

    with pytest.raises(LimitExceeded, match="meter goes down too often: ask for a shorter period"):
        await shown(acme)


STEPS = st.lists(
    st.tuples(st.integers(1, 400), st.one_of(st.integers(0, 300), st.just("reset"), st.just("slip"))), max_size=40
)
RANGE = 2_000


@given(steps=STEPS, has_rollover=st.booleans(), seed=st.integers(0, 4), day=st.sampled_from([28, 29]))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
async def test_whatever_registers_do_energy_is_what_a_plain_walk_over_them_counts(
    acme: Tester, monkeypatch: pytest.MonkeyPatch, steps: Any, has_rollover: bool, seed: int, day: int
) -> None:
    """Over the day of 23 hours and the one before, whatever order readings come in, rolled up between them or not."""
    monkeypatch.setattr("domain.history.registers.RAW_ROWS", 3)
    monkeypatch.setattr("domain.history.registers.PARTS", 4)
    address, start = uuid7().hex, datetime(2026, 3, day, tzinfo=BERLIN).astimezone(UTC)
    readings, at, value = [], start - HOUR, 500.0
    for minutes, step in steps:
        at += minutes * MINUTE
        match step:
            case "reset":
                value = value // 20
            case "slip":
                value -= value // 50
            case _:
                value += step
        if has_rollover:
            value %= RANGE
        readings.append(Reading(address, at, value, unit="Wh"))
    late = readings[:]
    Random(seed).shuffle(late)
    half = len(late) // 2
    await recorded(acme, Reading(address, start - DAY, 400, unit="Wh"), *late[:half])
    if seed == 0:
        await acme.house.store.roll(until=start + 3 * DAY)
    await recorded(acme, *late[half:])
    if has_rollover:
        await change(acme, address, rollover_at=float(RANGE))

    walked = [(start - DAY, 400.0), *((reading.at, float(reading.value or 0)) for reading in readings)]
    for resolution in ("PT1H", "PT6H", "P1D"):
        timestamps, (found,) = await per_period(
            acme, address, from_=start, to=start + 2 * DAY, resolution=resolution, timezone="Europe/Berlin"
        )
        edges = [*timestamps, start + 2 * DAY]
        gains = [plain(*pair, RANGE if has_rollover else None) for pair in pairwise(walked)]
        for begin, end, energy_wh in zip(edges, edges[1:], found.values, strict=False):
            inside = [gain for moment, gain in gains if begin <= moment < end]
            assert energy_wh == (pytest.approx(max(sum(inside), 0)) if inside else None)
    in_all = [gain for moment, gain in gains if start <= moment < start + 2 * DAY]
    total = await whole(acme, address, from_=start, to=start + 2 * DAY)
    assert total.energy_wh == (pytest.approx(max(sum(in_all), 0)) if in_all else None)
    falls = [
        after for before, after in pairwise(walked) if after[1] < before[1] and start <= after[0] < start + 2 * DAY
    ]
    assert [drop.at for drop in total.drops] == [moment for moment, _ in falls]


def plain(
    before: tuple[datetime, float], after: tuple[datetime, float], rollover_at: int | None
) -> tuple[datetime, float]:
    """When and how much: the rules of `docs/reference/history.md`."""
    moment, gain = after[0], after[1] - before[1]
    if gain < 0:
        if rollover_at and rollover_at + gain < rollover_at / 10:
            gain += rollover_at
        elif -gain >= before[1] / 10:
            gain = after[1]
    return moment, gain


async def test_the_days_of_a_clock_that_changes_add_up(acme: Tester) -> None:
    start = datetime(2026, 10, 24, tzinfo=BERLIN).astimezone(UTC)
    acme.clock.now = start + 30 * DAY
    await recorded(acme, *(Reading("meter", start + (n - 1) * HOUR, n * 100, unit="Wh") for n in range(80)))
    period: dict[str, Any] = {"from_": start, "to": start + 73 * HOUR, "timezone": "Europe/Berlin"}

    assert (await shown(acme, **period, resolution="P1D")).values == [2400, 2500, 2400]
    assert (await shown(acme, **period, resolution="PT1H")).values == [100] * 73


async def test_a_series_of_the_reference_differs_as_the_reference_says(acme: Tester) -> None:
    """OpenEMS' worked example of last minus first: one reading a day, and the first counts from 0."""
    day = datetime(2020, 1, 1, tzinfo=UTC)
    await recorded(acme, *(Reading("meter", day + n * DAY, 10 * (n + 1), unit="Wh") for n in range(5)))

    period: dict[str, Any] = {"from_": day, "to": day + 5 * DAY, "resolution": "P1D", "timezone": "UTC"}

    assert (await shown(acme, **period, base=Base.ZERO)).values == [10, 10, 10, 10, 10]

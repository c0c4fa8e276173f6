"""The history of points that are made of others: what was seen of them live, and sums of what their inputs were."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pkgutil import resolve_name
from random import Random
from statistics import mean
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func
from sqlmodel import select
from uuid_utils.compat import uuid7

from domain import history, points, virtual_points
from domain.errors import Invalid, LimitExceeded, NotFound
from domain.history import Function
from domain.history import made as made_of
from domain.points import Quality, Reading
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def record(tester: Tester, *readings: tuple[str, float, float | None]) -> None:
    """Address, minutes after noon, value; None is a broken sensor's."""
    given = [
        Reading(address, NOON + minute * MINUTE, value, quality=Quality.BAD if value is None else Quality.GOOD)
        for address, minute, value in readings
    ]
    async with tester.work() as work:
        assert not (await points.record(work, given)).errors


async def made(tester: Tester, address: str, expression: str, unit: str | None = None) -> None:
    async with tester.work() as work:
        await virtual_points.create(work, address=address, expression=expression, unit=unit)


async def read(
    tester: Tester, *addresses: str, start: float = 0, end: float = 120, **asked: Any
) -> tuple[list[float], list[Sequence[float | None]]]:
    """The minutes after noon, and a column per point."""
    found = await history.history(
        tester.workplace,
        tester.actor,
        addresses=addresses,
        from_=NOON + start * MINUTE,
        to=NOON + end * MINUTE,
        **asked,
    )
    return [(at - NOON) / MINUTE for at in found.timestamps], [series.values for series in found.series]


async def energies(tester: Tester, *addresses: str, end: float = 120, resolution: str | None = None) -> list[Any]:
    found = await history.energy_per_period(
        tester.workplace,
        tester.actor,
        addresses=addresses,
        from_=NOON,
        to=NOON + end * MINUTE,
        resolution=resolution,
    )
    return [list(series.values) for series in found.series]


@pytest.mark.parametrize("seed", range(4))
async def test_raw_history_is_what_was_seen_live(acme: Tester, seed: int) -> None:
    """Readings in the order of time, some broken, with pauses over which values do not stand."""
    random = Random(seed)
    await record(acme, ("s/1", 0, 1.0), ("s/2", 0, 2.0), ("k", 0, 3.0))
    await made(acme, "sum", "sum('s/*') - k")
    await made(acme, "lenient", "max(coalesce('s/1', 0), 'sum') * 2")
    seen: dict[str, dict[float, float | None]] = {"sum": {}, "lenient": {}}
    minute = 0.0
    for _ in range(25):
        minute += random.choice([0.5, 1, 20, 59, 60, 90])
        addresses = random.sample(["s/1", "s/2", "s/3", "k"], random.randint(1, 3))
        await record(acme, *((one, minute, random.choice([None, 1.0, 5.0, -7.5])) for one in addresses))
        for address, shown in seen.items():
            latest = (await acme.gql(f'{{ point(address: "{address}") {{ latest {{ at value }} }} }}'))["point"][
                "latest"
            ]
            at = datetime.fromisoformat(latest["at"])
            assert (at - NOON) / MINUTE == minute
            shown[minute] = latest["value"]

    for address, shown in seen.items():
        minutes, (values,) = await read(acme, address, start=0.1, end=minute + 1)
        numbers = dict(zip(minutes, values, strict=True))
        assert numbers == {at: value for at, value in shown.items() if value is not None}


Seen = Mapping[str, float | None]  # what the inputs show; those of a pattern are not there before their first readings


def total(seen: Seen, of: Callable[[list[float]], float]) -> float | None:
    values = [value for name, value in seen.items() if name.startswith("s/")]
    known = [value for value in values if value is not None]
    return of(known) if known and len(known) == len(values) else None


def both(seen: Seen, of: Callable[[float, float], float]) -> float | None:
    a, b = seen["a"], seen["b"]
    return None if a is None or b is None else of(a, b)


PLAINLY: dict[str, Callable[[Seen], float | None]] = {
    "max(0, '@a' - '@b')": lambda seen: both(seen, lambda a, b: max(0, a - b)),
    "('@a' + 1) / '@b'": lambda seen: both(seen, lambda a, b: (a + 1) / b) if seen["b"] else None,
    "abs(sum('@s/*'))": lambda seen: total(seen, lambda values: abs(sum(values))),
    "coalesce(avg('@s/*'), 7) * 2": lambda seen: 2 * (known if (known := total(seen, mean)) is not None else 7),
    "if('@a' > '@b', '@s/1', '@b')": lambda seen: (
        seen.get("s/1") if both(seen, lambda a, b: a > b) else both(seen, lambda _, b: b)
    ),
}
READ = st.dictionaries(st.integers(0, 240), st.one_of(st.none(), st.integers(-5, 5)), max_size=8)


@given(inputs=st.fixed_dictionaries(dict.fromkeys(("a", "b", "s/1", "s/2"), READ)))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_the_inputs_do_a_virtual_point_is_what_they_come_to_at_each_moment(
    acme: Tester, inputs: dict[str, dict[int, int | None]]
) -> None:
    here = f"{uuid7().hex}/"
    async with acme.work() as work:
        for name in inputs:
            await points.create(work, address=here + name, unit="W")
    await record(acme, *((here + name, at, value) for name, found in inputs.items() for at, value in found.items()))
    addresses = {text: f"{here}v{number}" for number, text in enumerate(PLAINLY)}
    for text, address in addresses.items():
        await made(acme, address, text.replace("@", here), "W")

    minutes, columns = await read(acme, *addresses.values(), end=300)
    energy = await energies(acme, *addresses.values(), end=300)
    for text, column, energy_wh in zip(addresses, columns, energy, strict=True):
        own = [name for name in inputs if f"@{name}'" in text or (name.startswith("s/") and "@s/*" in text)]
        moments = sorted({at for name in own for at in inputs[name]})
        values = {at: PLAINLY[text](seen(inputs, at)) for at in moments}
        numbers = {at: pytest.approx(value) for at, value in values.items() if value is not None}
        assert {at: value for at, value in zip(minutes, column, strict=True) if value is not None} == numbers, text
        stood = [
            value * min(end - at, 60) / 60 for at, end in pairwise([*moments, 300]) if (value := values[at]) is not None
        ]
        assert energy_wh == [pytest.approx(sum(stood)) if stood else None], text


def seen(read: dict[str, dict[int, int | None]], at: int) -> Seen:
    shown: dict[str, float | None] = {}
    for name, found in read.items():
        last = max((moment for moment in found if moment <= at), default=None)
        if last is not None or not name.startswith("s/"):
            shown[name] = found[last] if last is not None and at - last < 60 else None
    return shown


async def test_a_mean_of_sums_is_the_sum_of_means(acme: Tester) -> None:
    await record(acme, *(("a", minute, float(minute)) for minute in range(0, 60, 1)))
    await record(acme, *(("b", minute, 100.0) for minute in range(0, 60, 5)))
    await made(acme, "v", "2 * a - b / 4 + 1")

    for function in (Function.MEAN, Function.TIME_WEIGHTED_MEAN):
        _, (a, b, v) = await read(acme, "a", "b", "v", end=60, resolution="PT15M", function=function)
        assert v == pytest.approx([2 * x - y / 4 + 1 for x, y in zip(a, b, strict=True)])  # type: ignore[operator]


async def test_means_where_an_input_was_not_read_are_missing(acme: Tester) -> None:
    await record(acme, ("a", 0, 1.0), ("a", 20, 2.0), ("b", 0, 10.0))
    await made(acme, "v", "a + b")
    await made(acme, "lenient", "a + coalesce(b, 0)")

    _, (strict, lenient) = await read(acme, "v", "lenient", end=30, resolution="PT15M")

    assert strict == [11.0, None]
    assert lenient == [11.0, 12.0], "each moment by itself: b stands for an hour"


async def test_what_is_no_mere_sum_is_computed_moment_by_moment(acme: Tester) -> None:
    """Production above consumption for a quarter of an hour, and below it for another: means would hide both."""
    await record(acme, ("pv", 0, 300.0), ("pv", 15, 0.0), ("load", 0, 100.0), ("load", 29, 100.0))
    await made(acme, "surplus", "max(0, pv - load)", "W")

    minutes, (values,) = await read(acme, "surplus", end=30)
    assert (minutes, values) == ([0.0, 15.0, 29.0], [200.0, 0.0, 0.0])
    _, (means,) = await read(acme, "surplus", end=30, resolution="PT30M", function=Function.TIME_WEIGHTED_MEAN)
    assert means == [100.0]
    assert await energies(acme, "surplus", end=30) == [[50.0]]


async def test_every_figure_is_that_of_its_readings(acme: Tester) -> None:
    values = [3.0, -1.0, 4.0, -1.0, 5.0, -9.0]
    await record(acme, *(("a", minute, value) for minute, value in enumerate(values)), ("a", 40, 2.0))
    await made(acme, "v", "abs(a)")
    await record(
        acme, *(("measured", minute, abs(value)) for minute, value in enumerate(values)), ("measured", 40, 2.0)
    )

    for function in Function:
        _, (found, measured) = await read(acme, "v", "measured", end=60, resolution="PT10M", function=function)
        assert found == measured, function


async def test_a_value_stands_over_the_edges_of_buckets_and_no_longer_than_an_hour(acme: Tester) -> None:
    await record(acme, ("a", -10, -6.0), ("measured", -10, 6.0))
    await made(acme, "v", "abs(a)", "W")

    asked: dict[str, Any] = {"resolution": "PT20M", "function": Function.TIME_WEIGHTED_MEAN}
    _, (found, measured) = await read(acme, "v", "measured", end=80, **asked)

    assert found == measured == [6.0, 6.0, 6.0, None]
    assert await energies(acme, "v", resolution="PT20M", end=80) == [[2.0, 2.0, 1.0, None]]


async def test_a_station_that_comes_later_does_not_unmake_what_was_before(acme: Tester) -> None:
    await record(acme, ("s/1", 0, 1.0), ("s/1", 30, 2.0))
    await made(acme, "site", "sum('s/*')")
    await record(acme, ("s/2", 40, 10.0), ("s/1", 45, 3.0))

    assert await read(acme, "site") == ([0.0, 30.0, 40.0, 45.0], [[1.0, 2.0, 12.0, 13.0]])
    _, (means,) = await read(acme, "site", end=60, resolution="PT30M")
    assert means == [1.0, 12.5]
    assert await energies(acme, "site", end=60, resolution="PT30M") == [[0.0, 2.0]]


async def test_a_station_that_is_named_too_counts_in_a_pattern_from_its_first_reading_on(acme: Tester) -> None:
    await record(acme, ("s/1", 0, 1.0), ("s/2", 30, 5.0))
    await made(acme, "site", "sum('s/*') + coalesce('s/2', 100)")

    assert await read(acme, "site") == ([0.0, 30.0], [[101.0, 11.0]])


async def test_nothing_is_made_of_nothing(acme: Tester) -> None:
    """Of a period before the first readings, whichever way it is computed."""
    await record(acme, ("a", 600, 1.0))
    await made(acme, "v", "abs(a)", "W")
    await made(acme, "sum", "a + a", "W")

    for function in Function:
        _, found = await read(acme, "v", "sum", resolution="PT2H", function=function)
        assert found == [[0.0 if function is Function.COUNT else None]] * 2
    assert await energies(acme, "v", "sum") == [[None], [None]]


async def test_one_that_fell_silent_before_the_period_is_missed_in_it(acme: Tester) -> None:
    """It was there: a sum without it would be wrong."""
    await record(acme, ("s/2", -600, 10.0), ("s/1", 0, 1.0))
    await made(acme, "site", "sum('s/*')")
    await made(acme, "known", "sum(coalesce('s/*', 0))")

    assert await read(acme, "site") == ([], [[]])
    assert await read(acme, "known") == ([0.0], [[1.0]])
    _, (means,) = await read(acme, "site", end=30, resolution="PT30M")
    assert means == [None]


async def test_energy_of_a_sum_is_the_sum_of_energies_whatever_the_registers_do(acme: Tester) -> None:
    await record(acme, ("a", 0, 990.0), ("a", 10, 5.0), ("b", 0, 50.0), ("b", 10, 70.0))
    async with acme.work() as work:
        await points.update(work, address="a", rollover_at=1_000.0)
    await made(acme, "v", "a + b * 2", "Wh")
    await made(acme, "own", "max(0, b - a)", "Wh")

    found = await history.energy_per_period(
        acme.workplace, acme.actor, addresses=["v", "own", "a"], from_=NOON, to=NOON + 20 * MINUTE
    )

    assert [list(column.values) for column in found.series] == [[15 + 40.0], [5.0], [15.0]]
    assert [column.rollovers for column in found.series] == [1, 1, 1]


async def test_power_that_is_a_sum_brings_the_energy_of_its_parts(acme: Tester) -> None:
    async with acme.work() as work:
        await points.record(
            work,
            [
                Reading(address, NOON + minute * MINUTE, value, unit="W")
                for address, minute, value in [("a", 0, 60.0), ("a", 30, 120.0), ("b", 10, 30.0), ("b", 50, 0.0)]
            ],
        )
    await made(acme, "v", "a - b", "W")

    (a,), (b,), (v,) = await energies(acme, "a", "b", "v", end=60)

    assert v == a - b == 90.0 - 20.0


async def test_power_that_is_made_of_anything_else_is_integrated(acme: Tester) -> None:
    """A point without a unit would be a register, of which the energy is what it counted."""
    async with acme.work() as work:
        readings = [("current", 0, 10.0, "A"), ("current", 30, 20.0, "A"), ("plain", 0, 100.0, None)]
        await points.record(
            work, [Reading(one, NOON + minute * MINUTE, value, unit=unit) for one, minute, value, unit in readings]
        )
    await made(acme, "power", "current * 230", "W")
    await made(acme, "half", "plain / 2", "W")

    assert await energies(acme, "power", "half", end=60) == [[2300 / 2 + 4600 / 2], [50.0]]


async def test_a_plan_that_is_made_of_others_is_one_too(acme: Tester) -> None:
    acme.clock.now = NOON
    async with acme.work() as work:
        hours = [Reading("plan", NOON + 60 * hour * MINUTE, 1000.0 * hour, unit="W") for hour in range(1, 4)]
        await points.record(work, hours)
    await made(acme, "limited", "min(plan, 2000)", "W")
    await made(acme, "double", "plan * 2", "W")

    assert await energies(acme, "plan", "limited", "double", end=240, resolution="PT1H") == [
        [None, 1000.0, 2000.0, 3000.0],
        [None, 1000.0, 2000.0, 2000.0],
        [None, 2000.0, 4000.0, 6000.0],
    ]


async def test_what_a_raw_history_is_filled_with_comes_from_before_it(acme: Tester) -> None:
    await record(acme, ("a", -5, -4.0), ("a", 10, 3.0), ("other", 0, 1.0))
    await made(acme, "v", "abs(a)")

    minutes, (v, _) = await read(acme, "v", "other", end=60, fill=history.Fill.PREVIOUS)

    assert (minutes, v) == ([0.0, 10.0], [4.0, 3.0])


async def test_more_than_can_be_read_is_refused(acme: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    await record(acme, *(("a", float(minute), 1.0) for minute in range(20)))
    await made(acme, "v", "abs(a)")
    await made(acme, "sum", "a + a")
    monkeypatch.setattr(made_of, "READINGS_MAX", 10)

    with pytest.raises(LimitExceeded, match="v is made of more than can be read at once"):
        await read(acme, "v")
    _, (means,) = await read(acme, "sum", end=20, resolution="PT20M")
    assert means == [2.0]


async def test_what_no_number_can_hold_is_refused_by_name(acme: Tester) -> None:
    await record(acme, ("a", 0, 1.5e308), ("a", 10, -1.5e308), ("a", 20, 1.5e308))
    await made(acme, "v", "abs(a)", "W")

    for function in (Function.MEAN, Function.SUM, Function.TIME_WEIGHTED_MEAN):
        with pytest.raises(Invalid, match="the values of v are too large to add up"):
            await read(acme, "v", resolution="PT1H", function=function)
    with pytest.raises(Invalid, match="the values of v are too large to add up"):
        await energies(acme, "v")
    assert await read(acme, "v", resolution="PT2H", function=Function.MAX) == ([0.0], [[1.5e308]])


async def test_a_value_that_has_not_stood_yet_is_its_own_mean(acme: Tester) -> None:
    acme.clock.now = NOON + 10 * MINUTE
    await record(acme, ("a", 10, -6.0), ("measured", 10, 6.0))
    await made(acme, "v", "abs(a)", "W")

    _, columns = await read(acme, "v", "measured", resolution="PT2H", function=Function.TIME_WEIGHTED_MEAN)

    assert columns == [[6.0], [6.0]]


async def test_a_point_that_is_asked_for_twice_stands_there_twice(acme: Tester) -> None:
    await record(acme, ("a", 0, -1.0), ("b", 0, 2.0))
    await made(acme, "v", "abs(a)")

    assert await read(acme, "v", "b", "v", "b") == ([0.0], [[1.0], [2.0], [1.0], [2.0]])


@pytest.mark.parametrize(
    "part",
    [
        "made._made",
        "made.Made.stood",
        "standing._stood",
        "queries._filled",
        "queries.thinned",
        "registers.Registers._counted",
    ],
)
async def test_nobody_waits_while_what_is_large_is_computed(
    acme: Tester, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    await record(acme, *(("a", minute, -1.0) for minute in range(20)))
    await made(acme, "v", "abs(a)")
    going_on, loop = threading.Event(), asyncio.get_running_loop()
    place = f"domain.history.{part}"
    whole = resolve_name(place)

    def slow(*args: Any, **how: Any) -> Any:
        loop.call_soon_threadsafe(going_on.set)
        assert going_on.wait(60), "the others wait"
        return whole(*args, **how)

    monkeypatch.setattr(place, slow)

    asked: dict[str, Any] = {"resolution": "PT1M", "function": Function.TIME_WEIGHTED_MEAN, "fill": history.Fill.ZERO}
    _, columns = await read(acme, "v", "a", **asked, max_points=20)

    assert [column[0] for column in columns] == [1.0, -1.0]
    assert await energies(acme, "a") == [[0.0]]
    assert going_on.is_set()


async def test_a_version_that_came_later_was_not_known_before(acme: Tester) -> None:
    await record(acme, ("a", 0, 1.0))
    await made(acme, "v", "a + 1")
    async with acme.work() as work:
        between = (await work.session.exec(select(func.clock_timestamp()))).one()
    async with acme.work() as work:
        await points.record(work, [Reading("a", NOON, 5.0, version=2)])

    assert await read(acme, "v") == ([0.0], [[6.0]])
    assert await read(acme, "v", as_of=between) == ([0.0], [[2.0]])


async def test_history_is_made_of_nothing_of_another_tenants(acme: Tester, rival: Tester) -> None:
    await record(rival, ("s/1", 0, 100.0), ("s/2", 0, 1_000.0))
    await record(acme, ("s/1", 0, 1.0))
    for tester in (acme, rival):
        await made(tester, "site", "sum('s/*')")
    await made(rival, "theirs", "'s/2'")

    assert await read(acme, "site") == ([0.0], [[1.0]])
    assert await read(rival, "site") == ([0.0], [[1_100.0]])
    with pytest.raises(NotFound):
        await read(acme, "theirs")

"""Readings of another type than their point: converted where nothing is lost, else kept apart."""

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from domain import history, meters, points, tenants, virtual_points
from domain.actor import Role
from domain.errors import Forbidden, Invalid, LimitExceeded, NotFound
from domain.page import PageRequest
from domain.points import Owner, OwnerKind, PointRules, Quality, Reading, ValueType
from domain.points.fitting import Content, fitted, number_of, text_of
from domain.points.known import DIRECTORY, Known
from domain.tenants import PointPolicy
from domain.work import Workplace
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def recorded(tester: Tester, *readings: Reading, owner: Owner | None = None) -> points.Recorded:
    async with tester.work() as work:
        return await points.record(work, readings, owner=owner)


async def type_of(tester: Tester, address: str) -> ValueType:
    async with tester.work(read_only=True) as work:
        return (await points.by_address(work, address)).value_type


async def latest(tester: Tester, address: str) -> tuple[float | None, str | None]:
    async with tester.work(read_only=True) as work:
        point = await points.by_address(work, address)
        found = (await points.latest_of(work, [point.id]))[point.id]
    return found.value, found.text


async def waiting(tester: Tester, address: str | None = None) -> list[str | None]:
    async with tester.work(read_only=True) as work:
        return [row.text for row in (await points.quarantined(work, PageRequest(), address=address)).rows]


async def raw(tester: Tester, address: str) -> list[float | None]:
    found = await history.history(
        tester.workplace, tester.actor, addresses=[address], from_=NOON, to=NOON + timedelta(days=1)
    )
    return list(found.series[0].values)


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        (ValueType.NUMBER, (None, " 12.5 "), (12.5, None)),
        (ValueType.NUMBER, (3.0, "Charging"), (3.0, "Charging")),
        (ValueType.NUMBER, (None, "offline"), None),
        (ValueType.NUMBER, (None, "nan"), None),
        (ValueType.NUMBER, (None, "1_000"), None),
        (ValueType.NUMBER, (None, "12345678901234567890123"), None),
        (ValueType.BOOLEAN, (1.0, None), (1.0, None)),
        (ValueType.BOOLEAN, (None, "True"), (1.0, None)),
        (ValueType.BOOLEAN, (None, "perhaps"), None),
        (ValueType.BOOLEAN, (2.0, None), None),
        (ValueType.TEXT, (5.0, None), (None, "5")),
        (ValueType.TEXT, (5, None), (None, "5")),
        (ValueType.TEXT, (True, None), (None, "1")),
        (ValueType.TEXT, (0.1, None), (None, "0.1")),
        (ValueType.ENUM, (None, "Charging"), (None, "Charging")),
        (ValueType.ENUM, (2.0, None), (2.0, None)),
    ],
)
def test_what_is_kept_of_a_reading_by_its_points_type(kind: ValueType, given: Content, kept: object) -> None:
    assert fitted(kind, *given, Quality.GOOD) == kept


def test_what_says_why_there_is_no_value_fits_everywhere() -> None:
    for kind in ValueType:
        assert fitted(kind, None, "NaN", Quality.BAD) == (None, "NaN")
        assert fitted(kind, None, None, Quality.BAD) == (None, None)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_being_a_text(value: float) -> None:
    assert number_of(text_of(value)) == value


@given(st.text(st.sampled_from("0123456789.eE+-_ nif"), max_size=12))
def test_no_digit_of_a_text_is_lost_by_its_being_a_number(text: str) -> None:
    number = number_of(text)
    assert number is None or (isfinite(number) and number_of(text_of(number)) == number)


async def test_the_first_reading_says_what_a_point_is(acme: Tester) -> None:
    await recorded(
        acme,
        Reading("a/number", NOON, 1),
        Reading("a/boolean", NOON, True),
        Reading("a/enum", NOON, 2, text="Charging"),
        Reading("a/text", NOON, text="5"),
        Reading("a/broken", NOON, text="NaN", quality=Quality.BAD),
    )

    assert [await type_of(acme, f"a/{name}") for name in ("number", "boolean", "enum", "text", "broken")] == [
        ValueType.NUMBER,
        ValueType.BOOLEAN,
        ValueType.ENUM,
        ValueType.TEXT,
        ValueType.NUMBER,
    ]


async def test_a_boolean_of_which_another_number_comes_is_a_number_from_then_on(acme: Tester) -> None:
    await recorded(acme, Reading("a/on", NOON, True), Reading("a/on", NOON + SECOND, text="false"))
    assert await type_of(acme, "a/on") is ValueType.BOOLEAN

    done = await recorded(acme, Reading("a/on", NOON + 2 * SECOND, 7), Reading("a/on", NOON + 3 * SECOND, text="0.5"))

    assert done == points.Recorded(2)
    assert await type_of(acme, "a/on") is ValueType.NUMBER
    assert await raw(acme, "a/on") == [1, 0, 7, 0.5]


async def test_what_cannot_be_converted_waits_until_it_is_let_in(acme: Tester, rival: Tester) -> None:
    await recorded(acme, Reading("a/level", NOON, 1), Reading("a/power", NOON, 1))
    batch = [
        Reading("a/power", NOON + SECOND, 2),
        Reading("a/level", NOON + SECOND, text="high"),
        Reading("a/level", NOON + 2 * SECOND, text="3"),
    ]

    done = await recorded(acme, *batch)
    assert (done.recorded, done.errors, [one.index for one in done.quarantined]) == (2, [], [1])
    assert done.quarantined[0].message == "the point is a NUMBER, and 'high' says none"
    await recorded(acme, *batch)  # sent again, it waits once
    assert await waiting(acme) == ["high"]
    assert await waiting(rival) == []
    assert await latest(acme, "a/level") == (3, None)

    let_in = await points.release_quarantined(acme.workplace, acme.actor, address="a/level", value_type=ValueType.ENUM)

    assert let_in == points.Recorded(1)
    assert await waiting(acme) == []
    assert await type_of(acme, "a/level") is ValueType.ENUM
    await recorded(acme, Reading("a/level", NOON + 3 * SECOND, text="low"))
    assert await latest(acme, "a/level") == (None, "low")


async def test_what_does_not_fit_even_so_goes_on_waiting_until_it_is_dismissed(acme: Tester, rival: Tester) -> None:
    await recorded(acme, Reading("a/level", NOON, 1), Reading("a/level", NOON + SECOND, text="high"))

    again = await points.release_quarantined(acme.workplace, acme.actor, address="a/level")
    assert (again.recorded, [one.index for one in again.quarantined]) == (0, [0])
    assert await waiting(acme, "a/level") == ["high"]
    with pytest.raises(NotFound):
        await points.release_quarantined(rival.workplace, rival.actor, address="a/level")
    with pytest.raises(NotFound):
        async with rival.work() as work:
            await points.dismiss_quarantined(work, address="a/level")
    with pytest.raises(Forbidden):
        async with acme.work(role=Role.VIEWER) as work:
            await points.dismiss_quarantined(work, address="a/level")

    async with acme.work() as work:
        assert await points.dismiss_quarantined(work, address="a/level") == 1
    assert await waiting(acme) == []


async def test_what_is_in_another_unit_waits_until_it_is_said_which_one_that_is(acme: Tester, rival: Tester) -> None:
    for tester in (acme, rival):
        await recorded(tester, Reading("a/energy", NOON, 1, unit="Wh"))

    done = await recorded(
        acme,
        Reading("a/energy", NOON + SECOND, 2, unit="kWh"),
        Reading("a/energy", NOON + 2 * SECOND, 7_200, unit="J"),
        Reading("a/energy", NOON + 3 * SECOND, text="2.5", unit="kWh"),
        Reading("a/energy", NOON + 4 * SECOND, 3, unit="kwh"),
        Reading("a/energy", NOON + 5 * SECOND, 4, unit="V"),
        Reading("a/energy", NOON + 6 * SECOND, text="NaN", quality=Quality.BAD, unit="V"),
    )
    assert (done.recorded, done.errors) == (4, [])
    assert [(one.index, one.message) for one in done.quarantined] == [
        (3, "the point is in Wh, and the reading in kwh"),
        (4, "the point is in Wh, and the reading in V"),
    ]
    assert await raw(acme, "a/energy") == [1, 2_000, 2, 2_500]
    assert await latest(acme, "a/energy") == (None, "NaN")

    again = await points.release_quarantined(acme.workplace, acme.actor, address="a/energy")
    assert (again.recorded, len(again.quarantined)) == (0, 2)
    with pytest.raises(NotFound):
        await points.release_quarantined(rival.workplace, rival.actor, address="a/nothing", unit="kWh")
    let_in = await points.release_quarantined(acme.workplace, acme.actor, address="a/energy", unit="kWh")
    assert let_in == points.Recorded(2)
    assert await raw(acme, "a/energy") == [1, 2_000, 2, 2_500, 3_000, 4_000]
    assert await raw(rival, "a/energy") == [1]


async def test_a_point_that_was_named_wrongly_is_given_its_unit(acme: Tester, rival: Tester) -> None:
    for tester in (acme, rival):
        await recorded(tester, Reading("a/energy", NOON, 1, unit="furlong"))
        assert (await recorded(tester, Reading("a/energy", NOON + SECOND, 2, unit="kWh"))).quarantined

    async with acme.work() as work:
        await points.update(work, address="a/energy", unit="Wh")
    await points.release_quarantined(acme.workplace, acme.actor, address="a/energy")
    await points.release_quarantined(rival.workplace, rival.actor, address="a/energy")

    assert (await raw(acme, "a/energy"), await raw(rival, "a/energy")) == ([1, 2_000], [1])
    async with acme.work() as work:
        await points.create(work, address="a/other")
        await virtual_points.create(work, address="a/made", expression="2 * 'a/energy'")
    for address, unit in (("a/energy", "kWh"), ("a/energy", ""), ("a/made", "Wh")):
        with pytest.raises(Invalid):
            async with acme.work() as work:
                await points.update(work, address=address, unit=unit)


@pytest.fixture
def strict(acme: Tester) -> Workplace:
    """Two days and three readings are enough."""
    rules = PointRules(quarantined_for=timedelta(days=2), quarantined_max=3)
    ports: dict[Any, Any] = {**acme.workplace._ports, PointRules: rules}
    return Workplace(acme.workplace.engine, ports=ports, clock=acme.clock)


def dropped(why: str) -> float:
    return REGISTRY.get_sample_value("voltgraph_quarantine_readings_dropped_total", {"why": why}) or 0


async def test_what_waits_is_bounded_by_age_and_number_and_what_is_dropped_is_told(
    acme: Tester, rival: Tester, strict: Workplace
) -> None:
    async def bounded(tester: Tester) -> list[tuple[str, int]]:
        with capture_logs() as told:
            async with strict.open_work(tester.actor) as work:
                await points.bound_quarantine(work)
        return [(line["why"], line["count"]) for line in told if line["log_level"] == "warning"]

    acme.clock.now = NOON + timedelta(hours=1)
    for tester in (acme, rival):
        await recorded(tester, Reading("a/level", NOON, 1))
        await recorded(tester, *(Reading("a/level", NOON + n * SECOND, text=f"old {n}") for n in range(1, 3)))
    acme.clock.forward(days=1)
    for n in range(4, 9):
        acme.clock.forward(seconds=1)
        await recorded(acme, Reading("a/level", NOON + n * SECOND, text=f"new {n}"))
    before = dropped("age"), dropped("number")

    assert await bounded(acme) == [("number", 4)]
    assert await waiting(acme) == ["new 8", "new 7", "new 6"]
    assert await bounded(acme) == []
    assert await waiting(rival) == ["old 2", "old 1"]
    acme.clock.forward(days=1, hours=1)
    assert await bounded(rival) == [("age", 2)]
    assert await waiting(rival) == []
    assert len(await waiting(acme)) == 3
    assert (dropped("age") - before[0], dropped("number") - before[1]) == (2, 4)


async def test_a_type_that_another_process_has_changed_is_learned_when_something_does_not_fit(acme: Tester) -> None:
    await recorded(acme, Reading("a/mode", NOON, text="eco"))
    known = DIRECTORY.of(acme.tenant_id).get("a/mode")
    assert isinstance(known, Known)
    DIRECTORY.of(acme.tenant_id).put("a/mode", known._replace(value_type=ValueType.NUMBER))

    assert await recorded(acme, Reading("a/mode", NOON + SECOND, text="full")) == points.Recorded(1)
    assert await latest(acme, "a/mode") == (None, "full")


async def test_a_tenant_that_wants_no_unknown_points_gets_those_of_its_equipment_alone(
    acme: Tester, rival: Tester
) -> None:
    station = await a_station(acme)
    await recorded(acme, Reading("a/known", NOON, 1))
    async with acme.work() as work:
        await tenants.set_point_rules(work, policy=PointPolicy.KNOWN, points_max=None)

    done = await recorded(acme, Reading("a/known", NOON + SECOND, 2), Reading("a/unknown", NOON, 1))
    assert (done.recorded, [(one.index, one.code) for one in done.errors]) == (1, [(1, "NOT_FOUND")])
    owner = Owner(OwnerKind.STATION, station.id)
    assert (await recorded(acme, Reading("a/measured", NOON, 1), owner=owner)).recorded == 1
    assert (await recorded(rival, Reading("a/unknown", NOON, 1))).recorded == 1


async def test_a_tenant_has_no_more_points_than_it_may(acme: Tester, rival: Tester) -> None:
    async with acme.work() as work:
        await tenants.set_point_rules(work, policy=None, points_max=3)

    done = await recorded(acme, *(Reading(f"a/{n}", NOON, n) for n in range(5)))

    assert done.recorded == 3
    assert [(one.index, one.code, one.message) for one in done.errors] == [
        (3, "LIMIT", "there are 3 points, and may be no more (setPointRules)"),
        (4, "LIMIT", "there are 3 points, and may be no more (setPointRules)"),
    ]
    assert (await recorded(acme, *(Reading(f"a/{n}", NOON + SECOND, n) for n in range(5)))).recorded == 3
    assert (await recorded(rival, *(Reading(f"a/{n}", NOON, n) for n in range(5)))).recorded == 5


async def test_points_that_people_enter_count_too(acme: Tester, rival: Tester) -> None:
    async with acme.work() as work:
        await tenants.set_point_rules(work, policy=None, points_max=3)

    async def enter(tester: Tester) -> None:
        async with tester.work() as work:
            meter = await meters.create(work, name="main", kind=meters.MeterKind.ELECTRICITY)
            await meters.add_series(work, meter_id=meter.id, name="import", unit="kWh")
            await points.create(work, address="a/entered")
            await virtual_points.create(work, address="a/made", expression="2 * 'a/entered'")

    for tester in (acme, rival):
        await enter(tester)
    full = r"there are 3 points, and may be no more \(setPointRules\)"
    async with acme.work() as work:
        (meter,) = (await meters.listed(work, PageRequest())).rows
    with pytest.raises(LimitExceeded, match=full):
        async with acme.work() as work:
            await meters.add_series(work, meter_id=meter.id, name="export")
    with pytest.raises(LimitExceeded, match=full):
        async with acme.work() as work:
            await virtual_points.create(work, address="a/more", expression="3 * 'a/entered'")
    with pytest.raises(LimitExceeded, match=full):
        async with acme.work() as work:
            await points.create(work, address="a/another")
    assert [one.code for one in (await recorded(acme, Reading("a/new", NOON, 1))).errors] == ["LIMIT"]
    async with rival.work() as work:
        await points.create(work, address="a/another")


async def test_the_houses_limit_is_named_by_its_setting(acme: Tester) -> None:
    ports: dict[Any, Any] = {**acme.workplace._ports, PointRules: PointRules(points_max=1)}
    async with Workplace(acme.workplace.engine, ports=ports).open_work(acme.actor) as work:
        await points.create(work, address="a/one")
        with pytest.raises(LimitExceeded, match=r"there are 1 points, and may be no more \(VOLTGRAPH_POINTS_MAX\)"):
            await points.create(work, address="a/two")

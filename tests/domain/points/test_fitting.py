"""Readings of another type than their point: converted where nothing is lost, else kept apart."""

from datetime import UTC, datetime, timedelta
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import history, points, tenants
from domain.actor import Role
from domain.errors import Forbidden, NotFound
from domain.page import PageRequest
from domain.points import Owner, OwnerKind, Quality, Reading, ValueType
from domain.points.fitting import Content, fitted, number_of, text_of
from domain.points.known import DIRECTORY, Known
from domain.tenants import PointPolicy
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
        (3, "LIMIT", "there are 3 points, and may be no more"),
        (4, "LIMIT", "there are 3 points, and may be no more"),
    ]
    assert (await recorded(acme, *(Reading(f"a/{n}", NOON + SECOND, n) for n in range(5)))).recorded == 3
    assert (await recorded(rival, *(Reading(f"a/{n}", NOON, n) for n in range(5)))).recorded == 5

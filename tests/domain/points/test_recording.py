"""The one way in for measurements."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from domain import history, points
from domain.actor import Role
from domain.errors import Forbidden, NotFound, Unavailable
from domain.page import PageRequest
from domain.points import HistoryStore, NoSpool, Owner, OwnerKind, Quality, Reading, RecordError, Spool, ValueType
from domain.points.batch import TEXT_MAX
from domain.work import Workplace
from gateways.timescale import TimescaleStore
from tests.tester import Tester
from voltgraph.database import create_engine

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
POWER = "station/CP-1/1/Power.Active.Import"


async def recorded(
    tester: Tester, *readings: Reading, owner: Owner | None = None, role: Role = Role.STATION
) -> points.Recorded:
    async with tester.work(role=role) as work:
        return await points.record(work, readings, owner=owner)


async def raw(tester: Tester, *addresses: str) -> list[list[float | None]]:
    found = await history.history(
        tester.workplace,
        tester.actor,
        addresses=addresses,
        from_=datetime(1950, 1, 1, tzinfo=UTC),
        to=datetime(2150, 1, 1, tzinfo=UTC),
    )
    return [list(series.values) for series in found.series]


async def latest(tester: Tester, address: str) -> points.LatestReading | None:
    async with tester.work(read_only=True) as work:
        point = await points.by_address(work, address)
        return (await points.latest_of(work, [point.id])).get(point.id)


async def rows_of(tester: Tester, address: str) -> Sequence[Any]:
    """What is in the table, by hand."""
    async with tester.work(read_only=True) as work:
        point = await points.by_address(work, address)
        query = text("select at, value, text, quality from reading where series = :series order by at")
        return (await (await work.session.connection()).execute(query, {"series": point.series})).all()


async def test_a_number_a_boolean_and_a_text_are_all_kept(acme: Tester) -> None:
    done = await recorded(
        acme,
        Reading("site/power", NOON, 11_000.5),
        Reading("site/on", NOON, True),
        Reading("site/mode", NOON, text="island"),
        Reading("site/state", NOON, 2, text="Charging", quality=Quality.UNCERTAIN),
        Reading("site/broken", NOON, quality=Quality.BAD),
    )

    assert done == points.Recorded(5, [])
    assert await rows_of(acme, "site/power") == [(NOON, 11_000.5, None, 0)]
    assert await rows_of(acme, "site/on") == [(NOON, 1.0, None, 0)]
    assert await rows_of(acme, "site/mode") == [(NOON, None, "island", 0)]
    assert await rows_of(acme, "site/state") == [(NOON, 2.0, "Charging", 1)]
    assert await rows_of(acme, "site/broken") == [(NOON, None, None, 2)]


async def test_the_first_reading_makes_the_point(acme: Tester) -> None:
    owner = Owner(OwnerKind.STATION, uuid7())
    await recorded(acme, Reading(POWER, NOON, 11, unit="kW"), Reading("site/mode", NOON, text="island"), owner=owner)

    async with acme.work() as work:
        point, mode = await points.by_address(work, POWER), await points.by_address(work, "site/mode")
    assert (point.unit, point.value_type, point.owner_kind, point.owner_id) == (
        "W",
        ValueType.NUMBER,
        OwnerKind.STATION,
        owner.id,
    )
    assert mode.value_type is ValueType.TEXT


async def test_values_are_kept_in_base_units_whatever_each_reading_comes_in(acme: Tester) -> None:
    await recorded(
        acme,
        Reading(POWER, NOON, 7),
        Reading(POWER, NOON + timedelta(seconds=1), 11.04, unit="kW"),
        Reading(POWER, NOON + timedelta(seconds=2), 11_041, unit="W"),
        Reading(POWER, NOON + timedelta(seconds=3), 11_042),
    )

    assert await raw(acme, POWER) == [[7, 11_040, 11_041, 11_042]]
    async with acme.work() as work:
        assert (await points.by_address(work, POWER)).unit == "W"


async def test_a_point_without_a_unit_takes_the_first_that_it_is_told(acme: Tester) -> None:
    await recorded(acme, Reading(POWER, NOON, 7))
    await recorded(acme, Reading(POWER, NOON + timedelta(seconds=1), 1, unit="kW"))

    done = await recorded(acme, Reading(POWER, NOON + timedelta(seconds=2), 1, unit="kWh"))

    assert done.quarantined == [RecordError(0, "the point is in W, and the reading in kWh")]
    assert await raw(acme, POWER) == [[7, 1000]]


async def test_each_wrong_reading_is_named_and_the_others_are_kept(acme: Tester) -> None:
    naive = datetime(2026, 6, 1, 12)  # noqa: DTZ001
    done = await recorded(
        acme,
        Reading("ok/1", NOON, 1),
        Reading("", NOON, 1),
        Reading("line\nfeed", NOON, 1),
        Reading("x" * 256, NOON, 1),
        Reading("naive", naive, 1),
        Reading("ancient", datetime(1899, 1, 1, tzinfo=UTC), 1),
        Reading("far", datetime(2200, 1, 1, tzinfo=UTC), 1),
        Reading("nan", NOON, float("nan")),
        Reading("inf", NOON, float("-inf")),
        Reading("huge", NOON, 10**400),
        Reading("huge in Wh", NOON, 1e308, unit="kWh"),
        Reading("nothing", NOON),
        Reading("nul", NOON, text="a\0b"),
        Reading("half", NOON, text="\ud800"),
        Reading("long", NOON, text="x" * (TEXT_MAX + 1)),
        Reading("unit", NOON, 1, unit="\n"),
        Reading("ok/2", NOON, 2),
    )

    assert done.recorded == 2
    assert [error.index for error in done.errors] == list(range(1, 16))
    assert [error.message for error in done.errors][3:10] == [
        "at must have a time zone: 2026-06-01T12:00:00",
        "at must lie between 1900 and 2200: 1899-01-01T00:00:00+00:00",
        "at must lie between 1900 and 2200: 2200-01-01T00:00:00+00:00",
        "nan is no number that can be kept",
        "-inf is no number that can be kept",
        "the value is too large",
        "the value is too large",
    ]
    assert await raw(acme, "ok/1", "ok/2") == [[1], [2]]


async def test_a_batch_of_nothing_but_mistakes_stores_nothing(acme: Tester) -> None:
    assert (await recorded(acme, Reading("", NOON, 1))).recorded == 0
    assert await recorded(acme) == points.Recorded(0, [])


async def test_a_reading_sent_again_is_one_reading_and_the_last_word_counts(acme: Tester) -> None:
    await recorded(acme, Reading(POWER, NOON, 1), Reading(POWER, NOON, 2))
    assert await rows_of(acme, POWER) == [(NOON, 2, None, 0)]

    await recorded(acme, Reading(POWER, NOON, 2))
    await recorded(acme, Reading(POWER, NOON, 3, quality=Quality.UNCERTAIN))

    assert await rows_of(acme, POWER) == [(NOON, 3, None, 1)]
    reading = await latest(acme, POWER)
    assert reading
    assert (reading.value, reading.quality) == (3, Quality.UNCERTAIN)


async def test_the_same_moment_in_another_zone_is_the_same_reading(acme: Tester) -> None:
    berlin = timezone(timedelta(hours=2))
    await recorded(acme, Reading(POWER, NOON, 1), Reading(POWER, NOON.astimezone(berlin), 2))

    assert await rows_of(acme, POWER) == [(NOON, 2, None, 0)]


async def test_a_late_reading_joins_history_and_leaves_the_latest_value_alone(acme: Tester) -> None:
    await recorded(acme, Reading(POWER, NOON, 5))
    await recorded(acme, Reading(POWER, NOON - timedelta(hours=1), 3), Reading(POWER, NOON - timedelta(hours=2), 2))

    assert await raw(acme, POWER) == [[2, 3, 5]]
    reading = await latest(acme, POWER)
    assert reading
    assert (reading.at, reading.value) == (NOON, 5)


async def test_within_a_batch_the_latest_value_is_the_newest_not_the_last(acme: Tester) -> None:
    await recorded(acme, Reading(POWER, NOON, 5), Reading(POWER, NOON - timedelta(seconds=1), 4))

    reading = await latest(acme, POWER)
    assert reading
    assert reading.value == 5


async def test_what_is_measured_more_than_a_day_ahead_is_history_and_never_the_latest_value(
    acme: Tester, rival: Tester
) -> None:
    acme.clock.now = NOON
    ahead = NOON + timedelta(days=1)
    await recorded(acme, Reading(POWER, NOON, 5), Reading(POWER, NOON + timedelta(days=200), 6))
    await recorded(acme, Reading(POWER, ahead + timedelta(seconds=1), 7))
    for tester in (acme, rival):
        await recorded(tester, Reading("a/ahead", ahead, 1))

    assert (len(await rows_of(acme, POWER)), len(await rows_of(acme, "a/ahead"))) == (3, 1)
    for tester, address, value in ((acme, POWER, 5), (acme, "a/ahead", 1), (rival, "a/ahead", 1)):
        reading = await latest(tester, address)
        assert reading
        assert reading.value == value


async def test_of_one_moment_the_highest_version_is_the_latest_value(acme: Tester) -> None:
    await recorded(acme, Reading(POWER, NOON, 2, version=2), Reading(POWER, NOON, 1))

    assert await raw(acme, POWER) == [[2]]
    reading = await latest(acme, POWER)
    assert reading
    assert reading.value == 2


async def test_a_clock_that_was_never_set_is_kept_as_it_says(acme: Tester) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    before = datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    await recorded(acme, Reading(POWER, epoch, 1), Reading(POWER, before, 0), Reading(POWER, NOON, 2))

    assert [(row.at, row.value) for row in await rows_of(acme, POWER)] == [
        (epoch - timedelta(hours=1), 0),
        (epoch, 1),
        (NOON, 2),
    ]


async def test_the_same_address_of_two_tenants_is_two_points(acme: Tester, rival: Tester) -> None:
    await recorded(acme, Reading(POWER, NOON, 1))
    await recorded(rival, Reading(POWER, NOON, 2))

    assert await raw(acme, POWER) == [[1]]
    assert await raw(rival, POWER) == [[2]]
    assert (await latest(acme, POWER)) != (await latest(rival, POWER))


async def test_a_tenant_finds_nothing_of_another_by_address_id_or_text(acme: Tester, rival: Tester) -> None:
    await recorded(acme, Reading(POWER, NOON, 1))
    async with acme.work() as work:
        point = await points.by_address(work, POWER)

    async with rival.work() as work:
        with pytest.raises(NotFound):
            await points.by_address(work, POWER)
        with pytest.raises(NotFound):
            await points.by_id(work, point.id)
        assert await points.by_ids(work, [point.id]) == []
        assert await points.by_addresses(work, [POWER]) == {}
        assert await points.latest_of(work, [point.id]) == {}
        assert (await points.listed(work, PageRequest(), prefix="station/")).rows == []
    with pytest.raises(NotFound, match=POWER):
        await history.history(rival.workplace, rival.actor, addresses=[POWER], from_=NOON, to=NOON + timedelta(1))


async def test_readings_are_recorded_by_those_who_may_report(acme: Tester) -> None:
    with pytest.raises(Forbidden):
        await recorded(acme, Reading(POWER, NOON, 1), role=Role.VIEWER)
    with pytest.raises(Forbidden, match="read-only"):
        async with acme.work(read_only=True) as work:
            await points.record(work, [Reading(POWER, NOON, 1)])


async def test_recording_in_a_work_that_has_begun_is_a_mistake_that_shows(acme: Tester) -> None:
    async with acme.work() as work:
        await work.session.connection()
        with pytest.raises(RuntimeError, match="has not begun"):
            await points.record(work, [Reading(POWER, NOON, 1)])


async def test_many_may_record_at_once_on_fewer_connections(acme: Tester) -> None:
    """A hundred works, each of which makes points in a work of its own: none waits for a connection that it holds."""
    done = await asyncio.wait_for(
        asyncio.gather(*(recorded(acme, Reading(f"meter/{n}", NOON, n)) for n in range(100))), timeout=60
    )

    assert all(one.recorded == 1 for one in done)
    assert await raw(acme, *(f"meter/{n}" for n in range(100))) == [[n] for n in range(100)]


async def test_a_hundred_thousand_readings_are_all_there(acme: Tester) -> None:
    seconds, meters = 1_000, 100
    done = await recorded(
        acme,
        *(
            Reading(f"m/{meter}", NOON + timedelta(seconds=s), s + meter)
            for s in range(seconds)
            for meter in range(meters)
        ),
    )

    assert done == points.Recorded(100_000, [])
    assert await raw(acme, "m/0", "m/99") == [list(range(seconds)), list(range(99, 99 + seconds))]
    reading = await latest(acme, "m/7")
    assert reading
    assert reading.value == seconds - 1 + 7


async def test_without_a_store_and_a_spool_nothing_is_acknowledged(acme: Tester) -> None:
    async with TimescaleStore("postgresql://nobody@/nowhere?host=/nonexistent") as nowhere:
        workplace = with_port(with_port(acme.workplace, HistoryStore, nowhere), Spool, NoSpool())
        async with workplace.open_work(acme.actor) as work:
            with pytest.raises(Unavailable, match="history store"):
                await points.record(work, [Reading(POWER, NOON, 1)])

    assert await latest(acme, POWER) is None


async def test_without_a_database_and_a_spool_nothing_is_acknowledged(acme: Tester) -> None:
    nowhere = create_engine("postgresql+asyncpg://nobody@/nowhere?host=/nonexistent")
    workplace = with_port(Workplace(nowhere, ports=acme.workplace._ports), Spool, NoSpool())
    async with workplace.open_work(acme.actor) as work:
        with pytest.raises(Unavailable, match="history store"):
            await points.record(work, [Reading(POWER, NOON, 1)])
    await nowhere.dispose()


async def test_points_are_listed_newest_first_by_prefix_owner_kind_and_text(acme: Tester) -> None:
    owner = Owner(OwnerKind.STATION, uuid7())
    await recorded(acme, Reading("a_b/power", NOON, 1), owner=owner)
    acme.clock.forward(seconds=1)
    await recorded(acme, Reading("axb/power", NOON, 1))
    acme.clock.forward(seconds=1)
    await recorded(acme, Reading("c/Energy", NOON, 1))

    async def found(**by: Any) -> list[str]:
        async with acme.work() as work:
            return [point.address for point in (await points.listed(work, PageRequest(), **by)).rows]

    assert await found() == ["c/Energy", "axb/power", "a_b/power"]
    assert await found(prefix="a_") == ["a_b/power"]
    assert await found(text="energy") == ["c/Energy"]
    assert await found(text="%") == []
    assert await found(owner=owner.id) == ["a_b/power"]
    assert await found(kind=points.PointKind.CONTROL) == []
    assert await found(prefix="a", text="power", kind=points.PointKind.TELEMETRY) == ["axb/power", "a_b/power"]


def with_port(workplace: Workplace, port: type[Any], adapter: Any) -> Workplace:
    return Workplace(workplace.engine, ports={**workplace._ports, port: adapter}, clock=workplace.clock)

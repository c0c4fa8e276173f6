"""Readings as they were told: in numbers and in words, with what else is known of each."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import history, points, virtual_points
from domain.errors import Invalid, LimitExceeded, NotFound
from domain.history import Function, ReadingColumns, questions
from domain.points import Quality, Reading, Source, ValueType
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def record(tester: Tester, *readings: Reading) -> None:
    async with tester.work() as work:
        assert (await points.record(work, readings)).recorded == len(readings)


async def listed(tester: Tester, *addresses: str, **more: object) -> list[ReadingColumns]:
    return await history.reading_columns(
        tester.workplace,
        tester.actor,
        addresses=addresses,
        from_=NOON,
        to=NOON + DAY,
        **more,  # type: ignore[arg-type]
    )


async def test_words_and_numbers_come_back_with_what_else_is_known_of_them(acme: Tester) -> None:
    await record(
        acme,
        Reading("door", at(2), text="shut", source=Source.RESENT),
        Reading("door", at(0), text="open"),
        Reading("grid", at(1), value=1.5, unit="kW", quality=Quality.UNCERTAIN),
        Reading("mode", at(1), value=3, text="AUTO"),
    )
    door, grid, mode, _ = await listed(acme, "door", "grid", "mode", "door")

    assert (door.timestamps, door.values, door.texts) == ((at(0), at(2)), (None, None), ("open", "shut"))
    assert (door.sources, door.value_type) == ((Source.DEVICE, Source.RESENT), ValueType.TEXT)
    assert (grid.values, grid.unit, grid.qualities, grid.versions) == ((1500,), "W", (Quality.UNCERTAIN,), (1,))
    assert (mode.values, mode.texts, mode.value_type) == ((3,), ("AUTO",), ValueType.ENUM)


async def test_a_point_of_which_nothing_was_read_has_empty_columns(acme: Tester) -> None:
    await record(acme, Reading("a", at(-1), value=1))
    (column,) = await listed(acme, "a")
    assert (column.timestamps, column.values, column.versions) == ((), (), ())


async def test_what_counts_is_asked_for_by_quality_and_by_what_was_known(acme: Tester) -> None:
    acme.clock.now = at(100)
    await record(acme, Reading("a", at(0), value=1), Reading("a", at(1), quality=Quality.BAD, text="no sensor"))
    acme.clock.now = at(200)
    await record(acme, Reading("a", at(0), value=2, version=2))

    (everything,), (good,) = await listed(acme, "a"), await listed(acme, "a", quality=Quality.GOOD)
    assert (everything.values, everything.texts, everything.versions) == ((2, None), (None, "no sensor"), (2, 1))
    assert good.values == (2,)


async def test_a_virtual_point_has_the_readings_that_were_seen_live(acme: Tester) -> None:
    await record(acme, Reading("a", at(0), value=1), Reading("a", at(5), value=2))
    async with acme.work() as work:
        await virtual_points.create(work, address="twice", unit=None, expression="a * 2")
    (column,) = await listed(acme, "twice")
    assert (column.timestamps, column.values) == ((at(0), at(5)), (2, 4))


async def test_more_than_an_answer_may_hold_is_refused(acme: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    await record(acme, *(Reading("a", at(second), value=second) for second in range(11)))
    monkeypatch.setattr(questions, "VALUES_MAX", 10)
    with pytest.raises(LimitExceeded, match="more than 10"):
        await listed(acme, "a")


async def test_another_tenants_point_is_not_there(acme: Tester, rival: Tester) -> None:
    await record(rival, Reading("theirs", at(0), value=1))
    with pytest.raises(NotFound, match="theirs"):
        await listed(acme, "theirs")


@pytest.mark.parametrize("resolution", [None, "PT1H"])
async def test_a_column_of_numbers_has_no_place_for_words_and_says_what_has(
    acme: Tester, resolution: str | None
) -> None:
    await record(acme, Reading("door", at(0), text="open"))
    with pytest.raises(Invalid, match="door is a TEXT, no number: `readings`"):
        await history.history(
            acme.workplace, acme.actor, addresses=["door"], from_=NOON, to=NOON + DAY, resolution=resolution
        )


async def test_an_export_in_buckets_refuses_words_before_it_begins(acme: Tester) -> None:
    await record(acme, Reading("door", at(0), text="open"))
    with pytest.raises(Invalid, match="door is a TEXT"):
        await history.buckets(
            acme.workplace,
            acme.actor,
            addresses=["door"],
            from_=NOON,
            to=NOON + DAY,
            resolution="PT1H",
            function=Function.LAST,
        )


async def test_the_schema_shows_them(acme: Tester) -> None:
    await record(acme, Reading("door", at(0), text="open"))
    found = await acme.gql(
        """{ readings(points: ["door"], from: "2026-06-01T00:00:00Z", to: "2026-06-02T00:00:00Z") {
            address unit valueType timestamps values texts qualities sources versions
        } }"""
    )
    assert found == {
        "readings": [
            {
                "address": "door",
                "unit": None,
                "valueType": "TEXT",
                "timestamps": ["2026-06-01T12:00:00Z"],
                "values": [None],
                "texts": ["open"],
                "qualities": ["GOOD"],
                "sources": ["DEVICE"],
                "versions": [1],
            }
        ]
    }

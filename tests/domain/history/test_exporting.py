"""An export is what a question answers, however many pages it takes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from domain import history, points, virtual_points
from domain.errors import Invalid, NotFound
from domain.history import Function, exporting
from domain.points import Quality, Reading
from tests.tester import Tester

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 28, 20, tzinfo=UTC)  # the clocks of Berlin are put forward in the night that follows
END = START + timedelta(hours=36)
ASKED: dict[str, Any] = {"addresses": ["a", "b"], "from_": START, "to": END}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE_ROWS", 7)
    monkeypatch.setattr(exporting, "PAGE_VALUES", 10)


@pytest.fixture
async def recorded(acme: Tester) -> None:
    readings = [
        Reading(address, START + timedelta(minutes=17 * number), float(number * scale), quality=quality)
        for address, scale in (("a", 1), ("b", -3))
        for number, quality in enumerate([Quality.GOOD, Quality.UNCERTAIN, Quality.BAD] * 40)
    ]
    async with acme.work() as work:
        await points.record(work, readings)


async def columns(tester: Tester, **asked: Any) -> tuple[list[datetime], list[list[float | None]], int]:
    pages = [page async for page in await history.buckets(tester.workplace, tester.actor, **ASKED, **asked)]
    timestamps = [at for page in pages for at in page.timestamps]
    return timestamps, [[v for page in pages for v in page.series[n].values] for n in range(2)], len(pages)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("function", list(Function))
@pytest.mark.parametrize("resolution", ["PT30M", "PT6H", "P1D"])
async def test_buckets_are_those_of_history(acme: Tester, resolution: str, function: Function) -> None:
    asked: dict[str, Any] = {"resolution": resolution, "timezone": "Europe/Berlin", "function": function}
    whole = await history.history(acme.workplace, acme.actor, **ASKED, **asked)

    timestamps, found, pages = await columns(acme, **asked)

    assert timestamps == list(whole.timestamps)
    for series, column in zip(whole.series, found, strict=True):
        assert column == pytest.approx(list(series.values))
    assert pages == -(-len(timestamps) // 5) or resolution == "P1D"


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(("worst", "count"), [(None, 120), (Quality.UNCERTAIN, 80), (Quality.GOOD, 40)])
async def test_every_reading_is_there_once_in_its_order(acme: Tester, worst: Quality | None, count: int) -> None:
    pages = [page async for page in await history.readings(acme.workplace, acme.actor, **ASKED, quality=worst)]

    for address in ("a", "b"):
        rows = [row for page in pages if page.point.address == address for row in page.rows]
        assert len(rows) == count
        assert [row.at for row in rows] == sorted({row.at for row in rows})
    assert [page.point.address for page in pages] == sorted(page.point.address for page in pages)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_made_of_others_is_exported_as_it_was_shown_live(
    acme: Tester, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """In windows that have to be cut again and again, with values that do not stand, and inputs that come late."""
    random = Random(seed)
    monkeypatch.setattr("domain.history.made.READINGS_MAX", 12)
    qualities = [Quality.GOOD, Quality.GOOD, Quality.UNCERTAIN, Quality.BAD]
    async with acme.work() as work:
        await points.record(work, [Reading("s/1", START, 1.0), Reading("k", START, 2.0)])
    expressions = {"sum": "sum('s/*') - k", "lenient": "max(coalesce('s/1', 0), 'sum') * 2"}
    for address, expression in expressions.items():
        async with acme.work() as work:
            await virtual_points.create(work, address=address, expression=expression)
    seen: dict[str, list[tuple[datetime, float | None, Quality]]] = {address: [] for address in expressions}
    at = START
    for _ in range(20):
        at += timedelta(minutes=random.choice([1, 20, 59, 60, 90]))
        inputs = random.sample(["s/1", "s/2", "s/3", "k"], random.randint(1, 2))
        async with acme.work() as work:
            await points.record(
                work, [Reading(one, at, float(len(one)), quality=random.choice(qualities)) for one in inputs]
            )
        for address, readings in seen.items():
            shown = await acme.gql(f'{{ point(address: "{address}") {{ latest {{ at value quality }} }} }}')
            latest = shown["point"]["latest"]
            readings.append((datetime.fromisoformat(latest["at"]), latest["value"], Quality(latest["quality"])))

    asked: dict[str, Any] = {**ASKED, "addresses": list(expressions), "from_": START + timedelta(seconds=1)}
    pages = [page async for page in await history.readings(acme.workplace, acme.actor, **asked)]

    for address, readings in seen.items():
        rows = [row for page in pages if page.point.address == address for row in page.rows]
        assert [(row.at, row.value, row.quality) for row in rows] == readings
    assert len(pages) > len(expressions)


async def test_buckets_of_what_is_made_of_too_much_for_one_answer_are_asked_for_in_parts(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with acme.work() as work:
        times = [START + timedelta(minutes=number) for number in range(120)]
        await points.record(work, [Reading(one, at, float(at.minute)) for at in times for one in ("a", "b")])
    async with acme.work() as work:
        await virtual_points.create(work, address="less", expression="max(0, a - b / 2)")
    asked: dict[str, Any] = {**ASKED, "addresses": ["less"], "resolution": "PT5M", "function": Function.MAX}
    whole = await history.history(acme.workplace, acme.actor, **asked)
    monkeypatch.setattr("domain.history.made.READINGS_MAX", 150)  # of an hour before, and a quarter of an hour
    monkeypatch.setattr(exporting, "PAGE_VALUES", 1_000)

    pages = [page async for page in await history.buckets(acme.workplace, acme.actor, **asked)]

    assert [at for page in pages for at in page.timestamps] == list(whole.timestamps)
    assert [value for page in pages for value in page.series[0].values] == list(whole.series[0].values)
    assert len(pages) > 4


@pytest.mark.usefixtures("recorded")
async def test_what_may_not_be_asked_is_told_before_the_first_page(acme: Tester, rival: Tester) -> None:
    async def refused(tester: Tester, kind: type[Exception], **other: Any) -> None:
        with pytest.raises(kind):
            await history.readings(tester.workplace, tester.actor, **{**ASKED, **other})
        with pytest.raises(kind):
            await history.buckets(tester.workplace, tester.actor, resolution="P1D", **{**ASKED, **other})

    nobody: Sequence[str] = []
    await refused(acme, Invalid, to=START)
    await refused(acme, Invalid, addresses=nobody)
    await refused(acme, NotFound, addresses=["c"])
    await refused(rival, NotFound)

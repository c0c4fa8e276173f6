"""An export is what a question answers, however many pages it takes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import history, points
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

"""What points were, as columns."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import update

from domain import history
from domain.actor import Role
from domain.errors import Forbidden, Invalid, LimitExceeded, NotFound
from domain.history import History
from domain.points import HistoryStore, Quality, Reading
from domain.tenants import Tenant
from domain.work import Workplace
from gateways.timescale import TimescaleStore
from tests.domain.history.asking import DAY, HOUR, MINUTE, NOON, asked, columns, recorded
from tests.tester import Tester

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")


class Watched(TimescaleStore):
    """The store, which notes how many connections to the database wait for its answer."""

    def __init__(self, store: TimescaleStore, engine: AsyncEngine) -> None:
        self._store, self._engine, self.waiting = store, engine, list[str]()

    async def raw(self, *args: Any, **how: Any) -> Any:
        self.waiting.append(self._engine.pool.status())
        return await self._store.raw(*args, **how)

    async def figures(self, *args: Any, **how: Any) -> Any:
        self.waiting.append(self._engine.pool.status())
        return await self._store.figures(*args, **how)


@pytest.mark.parametrize("how", [{}, {"resolution": "PT1H"}])
async def test_no_connection_waits_while_the_store_looks(acme: Tester, how: dict[str, Any]) -> None:
    await recorded(acme, Reading("a", NOON, 1))
    store = Watched(acme.house.store, acme.workplace.engine)
    ports: dict[Any, Any] = {**acme.workplace._ports, HistoryStore: store}
    watched = Workplace(acme.workplace.engine, ports=ports, clock=acme.clock)

    await history.history(watched, acme.actor, addresses=["a"], from_=NOON, to=NOON + DAY, **how)

    (status,) = store.waiting
    assert "Current Checked out connections: 0" in status


async def test_raw_history_is_one_column_of_times_and_one_of_values_per_point(acme: Tester) -> None:
    await recorded(
        acme,
        Reading("a", NOON + MINUTE, 2, unit="kW"),
        Reading("a", NOON, 1, unit="kW"),
        Reading("b", NOON + MINUTE, -5),
        Reading("b", NOON + 2 * MINUTE, -6),
        Reading("a", NOON + DAY, 99),
        Reading("a", NOON - timedelta(microseconds=1), 98),
    )

    assert await asked(acme, "b", "a") == History(
        timestamps=[NOON, NOON + MINUTE, NOON + 2 * MINUTE],
        series=[
            history.Series("b", None, [None, -5, -6]),
            history.Series("a", "W", [1000, 2000, None]),
        ],
    )


async def test_means_name_their_buckets_by_their_start_and_leave_gaps_empty(acme: Tester) -> None:
    await recorded(
        acme, Reading("a", NOON, 1), Reading("a", NOON + 14 * MINUTE, 2), Reading("a", NOON + 45 * MINUTE, 7)
    )

    found = await asked(acme, "a", to=NOON + HOUR, resolution="PT15M")

    assert found.timestamps == [NOON + n * 15 * MINUTE for n in range(4)]
    assert columns(found) == [[1.5, None, None, 7]]


async def test_a_late_reading_changes_the_mean_of_its_own_bucket(acme: Tester) -> None:
    await recorded(acme, Reading("a", NOON, 10), Reading("a", NOON + HOUR, 30))
    await recorded(acme, Reading("a", NOON + MINUTE, 20))

    assert columns(await asked(acme, "a", to=NOON + 2 * HOUR, resolution="PT1H")) == [[15, 30]]


async def test_a_reading_that_came_twice_counts_once(acme: Tester) -> None:
    await recorded(acme, Reading("a", NOON, 10), Reading("a", NOON + MINUTE, 40))
    await recorded(acme, Reading("a", NOON, 10), Reading("a", NOON, 20))

    assert columns(await asked(acme, "a", to=NOON + HOUR, resolution="PT1H")) == [[30]]


@pytest.mark.parametrize(("day", "length"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)])
async def test_a_local_day_has_the_hours_that_it_has(acme: Tester, day: tuple[int, int, int], length: int) -> None:
    start = datetime(*day, tzinfo=BERLIN).astimezone(UTC)
    end = (datetime(*day, tzinfo=BERLIN) + DAY).astimezone(UTC)
    await recorded(acme, *(Reading("a", start - HOUR + n * 15 * MINUTE, n // 4) for n in range((length + 2) * 4)))

    by_hour = await asked(acme, "a", from_=start, to=end, resolution="PT1H", timezone="Europe/Berlin")
    by_day = await asked(acme, "a", from_=start - DAY, to=end + DAY, resolution="P1D", timezone="Europe/Berlin")

    assert by_hour.timestamps == [start + n * HOUR for n in range(length)]
    assert columns(by_hour) == [list(range(1, length + 1))]
    assert by_day.timestamps[1:] == [start, end]
    assert columns(by_day) == [[0, (length + 1) / 2, length + 1]]


async def test_months_and_years_are_local_too(acme: Tester) -> None:
    await recorded(
        acme,
        Reading("a", datetime(2025, 12, 31, 22, 59, 59, tzinfo=UTC), 1),
        Reading("a", datetime(2025, 12, 31, 23, tzinfo=UTC), 2),
        Reading("a", datetime(2026, 1, 31, 22, 59, 59, 999_999, tzinfo=UTC), 4),
        Reading("a", datetime(2026, 1, 31, 23, tzinfo=UTC), 8),
    )
    period: dict[str, Any] = {"from_": datetime(2025, 1, 1, tzinfo=BERLIN), "to": datetime(2027, 1, 1, tzinfo=BERLIN)}

    years = await asked(acme, "a", **period, resolution="P1Y", timezone="Europe/Berlin")
    months = await asked(acme, "a", **period, resolution="P1M", timezone="Europe/Berlin")

    assert columns(years) == [[1, pytest.approx(14 / 3)]]
    assert columns(months) == [[None] * 11 + [1, 3, 8] + [None] * 10]


async def test_the_zone_is_the_tenants_unless_one_is_asked_for(acme: Tester) -> None:
    async with acme.work() as work:
        await work.session.exec(update(Tenant).values(timezone="Asia/Kathmandu"))
    await recorded(acme, Reading("a", NOON, 1))

    at_home = await asked(acme, "a", from_=NOON, to=NOON + 2 * HOUR, resolution="PT1H")
    elsewhere = await asked(acme, "a", from_=NOON, to=NOON + 2 * HOUR, resolution="PT1H", timezone="Europe/Berlin")

    assert at_home.timestamps == [NOON, NOON + 15 * MINUTE, NOON + 75 * MINUTE]
    assert elsewhere.timestamps == [NOON, NOON + HOUR]


async def test_bad_readings_and_texts_move_no_mean(acme: Tester) -> None:
    await recorded(
        acme,
        Reading("a", NOON, 1),
        Reading("a", NOON + MINUTE, 100, quality=Quality.BAD),
        Reading("a", NOON + 2 * MINUTE, text="rebooting"),
    )

    assert columns(await asked(acme, "a", to=NOON + HOUR, resolution="PT1H")) == [[1]]
    assert columns(await asked(acme, "a")) == [[1, 100]]


async def test_a_zone_that_is_none_is_refused_for_raw_values_too(acme: Tester) -> None:
    await recorded(acme, Reading("a", NOON, 1))

    with pytest.raises(Invalid, match="'Mars/Phobos' is no IANA time zone"):
        await asked(acme, "a", timezone="Mars/Phobos")


async def test_a_point_asked_for_twice_is_answered_twice(acme: Tester) -> None:
    await recorded(acme, Reading("a", NOON, 1), Reading("b", NOON, 2))

    assert columns(await asked(acme, "a", "b", "a")) == [[1], [2], [1]]
    assert columns(await asked(acme, "a", "b", "a", to=NOON + HOUR, resolution="PT1H")) == [[1], [2], [1]]


async def test_an_unknown_point_is_named(acme: Tester, rival: Tester) -> None:
    await recorded(acme, Reading("a", NOON, 1))
    await recorded(rival, Reading("b", NOON, 1))

    for resolution in (None, "PT1H"):
        with pytest.raises(NotFound, match="point b does not exist"):
            await asked(acme, "a", "b", resolution=resolution)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"to": NOON}, "from must lie before to"),
        ({"from_": NOON.replace(tzinfo=None)}, "from must have a time zone"),
        ({"to": NOON.replace(tzinfo=None)}, "to must have a time zone"),
        ({"from_": datetime.min.replace(tzinfo=UTC)}, "from must lie between 1800 and 2400"),
        ({"to": datetime.max.replace(tzinfo=UTC)}, "to must lie between 1800 and 2400"),
        ({"resolution": "15m"}, "'15m' is no ISO 8601 duration"),
        ({"resolution": "PT7M"}, "no buckets of PT7M"),
        ({"resolution": "PT1H", "timezone": "Middle-earth/Shire"}, "'Middle-earth/Shire' is no IANA time zone"),
    ],
)
async def test_a_question_that_is_wrong_in_itself_is_answered_with_what_is_wrong(
    acme: Tester, how: dict[str, Any], message: str
) -> None:
    await recorded(acme, Reading("a", NOON, 1))
    with pytest.raises(Invalid, match=message):
        await asked(acme, "a", **how)


async def test_history_of_no_points_and_of_too_many_is_refused(acme: Tester) -> None:
    with pytest.raises(Invalid, match="1 to 500 points, not 0"):
        await asked(acme)
    with pytest.raises(Invalid, match="1 to 500 points, not 501"):
        await asked(acme, *(f"m/{n}" for n in range(501)))


async def test_an_answer_that_nobody_could_read_is_refused_with_a_limit(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.history.questions.VALUES_MAX", 20)
    await recorded(
        acme,
        *(Reading("a", NOON + n * MINUTE, n) for n in range(20)),
        *(Reading("b", NOON + n * MINUTE + timedelta(seconds=1), n) for n in range(8)),
    )

    assert columns(await asked(acme, "a")) == [list(range(20))]
    with pytest.raises(LimitExceeded, match="more than 20 values"):
        await asked(acme, "a", "b")
    with pytest.raises(LimitExceeded, match="more than 20 values"):  # 8 + 8 times of two points
        await asked(acme, "a", "b", to=NOON + 8 * MINUTE)
    assert len((await asked(acme, "a", "b", to=NOON + 5 * MINUTE)).timestamps) == 10
    assert len((await asked(acme, "a", "b", to=NOON + 10 * HOUR, resolution="PT1H")).timestamps) == 10
    with pytest.raises(LimitExceeded, match="more than 10 buckets"):
        await asked(acme, "a", "b", to=NOON + 11 * HOUR, resolution="PT1H")


async def test_history_is_shown_to_those_who_may_see_it(acme: Tester) -> None:
    await recorded(acme, Reading("a", NOON, 1))
    with pytest.raises(Forbidden):
        await asked(acme, "a", role=Role.STATION)


async def test_two_tenants_with_the_same_addresses_have_histories_of_their_own(acme: Tester, rival: Tester) -> None:
    await recorded(acme, Reading("a", NOON, 1))
    await recorded(rival, Reading("a", NOON, 2), Reading("a", NOON + MINUTE, 4))

    assert columns(await asked(acme, "a")) == [[1]]
    assert columns(await asked(rival, "a", to=NOON + HOUR, resolution="PT1H")) == [[3]]

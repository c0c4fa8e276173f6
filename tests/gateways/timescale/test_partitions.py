"""A partition per month, made by the owner's function for a role that owns nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from domain.points import Quality, Row
from gateways.timescale import TimescaleStore
from tests.gateways.timescale.waiting import until
from voltgraph.database import plain_url
from voltgraph.embedded import Urls

pytestmark = pytest.mark.anyio

_ENSURE = "select ensure_reading_partition($1)"


async def home(connection: asyncpg.Connection, series: int) -> list[str]:
    """The partition of each row, by time."""
    query = "select tableoid::regclass::text from reading where series = $1 order by at"
    return [name for (name,) in await connection.fetch(query, series)]


async def drop(owner: asyncpg.Connection, month: str) -> None:
    await owner.execute(f"drop table if exists reading_{month}")


@pytest.fixture(autouse=True)
async def where_there_are_partitions(application: asyncpg.Connection) -> None:
    if await application.fetchval("select reading_is_hypertable()"):
        pytest.skip("readings are in a hypertable of TimescaleDB here, which makes its chunks itself")


def row(series: int, at: datetime) -> Row:
    return Row(series, at, 1, None, Quality.GOOD)


async def test_each_month_has_its_partition_by_utc(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    await timescale.write(
        [row(one, datetime(2021, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)), row(one, datetime(2021, 3, 1, tzinfo=UTC))]
    )

    assert await home(application, one) == ["reading_202102", "reading_202103"]


async def test_clocks_that_are_wrong_get_no_partition(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    years = (1970, 1999, 2090)
    await timescale.write([row(one, datetime(year, 1, 1, tzinfo=UTC)) for year in years])

    assert await home(application, one) == ["reading_default"] * 3


async def test_this_month_and_the_next_are_made_ahead(urls: Urls, owner: asyncpg.Connection) -> None:
    today = datetime.now(UTC)
    months = [f"{today:%Y%m}", f"{today.year}{today.month + 1:02}" if today.month < 12 else f"{today.year + 1}01"]
    for month in months:
        await drop(owner, month)

    async def all_there() -> bool:
        return all([await owner.fetchval("select to_regclass($1) is not null", f"reading_{m}") for m in months])

    async with TimescaleStore(plain_url(urls.database)):
        await until(all_there)


async def test_months_are_dropped_as_wholes_with_their_roll_ups(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    await timescale.write([row(one, datetime(2000, month, 15, tzinfo=UTC)) for month in (4, 5, 6)])
    await timescale.roll()

    await timescale.forget_all(before=datetime(2000, 5, 20, tzinfo=UTC))

    assert await home(application, one) == ["reading_200005", "reading_200006"]
    left = "select tableoid::regclass::text from reading_rollup where series = $1 and width_s = 86400 order by at"
    assert [name for (name,) in await application.fetch(left, one)] == [
        "reading_rollup_200005",
        "reading_rollup_200006",
    ]


@pytest.mark.parametrize(
    ("before", "parent"), [(None, "reading"), (date(2500, 1, 1), "reading"), (date(2002, 1, 1), "station_log")]
)
async def test_nothing_else_is_dropped(application: asyncpg.Connection, before: date | None, parent: str) -> None:
    at = None if before is None else datetime(before.year, before.month, 1, tzinfo=UTC)
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await application.fetchval("select drop_reading_partitions($1, $2)", at, parent)


async def test_rows_that_waited_in_the_default_partition_move_into_their_own(
    application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    await drop(owner, "202405")
    for day in (date(2024, 4, 30), date(2024, 5, 1), date(2024, 5, 31), date(2024, 6, 1)):
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        await application.execute("insert into reading (series, at, value) values ($1, $2, 1)", one, at)
    assert (await home(application, one))[1:3] == ["reading_default"] * 2

    assert await application.fetchval(_ENSURE, date(2024, 5, 17)) is True
    assert (await home(application, one))[1:3] == ["reading_202405"] * 2
    assert await application.fetchval(_ENSURE, date(2024, 5, 1)) is False


async def test_many_may_ask_for_the_same_partition_at_once(urls: Urls, owner: asyncpg.Connection) -> None:
    await drop(owner, "202307")
    async with asyncpg.create_pool(plain_url(urls.database), min_size=8, max_size=8) as pool:
        made = await asyncio.gather(*(pool.fetchval(_ENSURE, date(2023, 7, 1)) for _ in range(8)))

    assert sorted(made) == [False] * 7 + [True]


async def test_a_partition_is_made_under_writers_without_losing_a_row(
    urls: Urls, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    await drop(owner, "202309")
    start = datetime(2023, 9, 1, tzinfo=UTC)

    async def insert(pool: asyncpg.Pool, number: int) -> None:
        for n in range(50):
            at = start + timedelta(seconds=number * 50 + n)
            await pool.execute("insert into reading (series, at, value) values ($1, $2, 1)", one, at)

    async with asyncpg.create_pool(plain_url(urls.database), min_size=5, max_size=5) as pool:
        writing = [asyncio.create_task(insert(pool, number)) for number in range(4)]
        await until(lambda: application.fetchval("select count(*) > 0 from reading where series = $1", one))
        assert await application.fetchval(_ENSURE, start.date()) is True
        await asyncio.gather(*writing)

    assert await home(application, one) == ["reading_202309"] * 200


async def test_where_a_partition_cannot_be_had_rows_are_kept_all_the_same(
    urls: Urls, application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    """Somebody's transaction lies on the table for longer than a writer waits for it."""
    one = next(series)
    await drop(owner, "202211")
    async with owner.transaction():
        await owner.execute("lock table reading in row exclusive mode")
        async with TimescaleStore(plain_url(urls.database)) as store:
            await asyncio.wait_for(store.write([row(one, datetime(2022, 11, 5, tzinfo=UTC))]), timeout=60)

    assert await home(application, one) == ["reading_default"]


async def test_nobody_waits_behind_a_partition_that_waits_for_a_long_question(
    urls: Urls, application: asyncpg.Connection, owner: asyncpg.Connection
) -> None:
    await drop(owner, "202112")
    awaited = (
        "select count(*) > 0 from pg_locks where not granted and mode = 'AccessExclusiveLock' "
        "and relation = 'reading_default'::regclass"
    )
    async with asyncpg.create_pool(plain_url(urls.database), min_size=2, max_size=2) as pool:
        async with application.transaction():
            await application.fetch("select from reading limit 1")
            making = asyncio.create_task(pool.fetchval(_ENSURE, date(2021, 12, 1)))
            await until(lambda: application.fetchval(awaited))
            async with pool.acquire() as asking:
                await asking.execute("set lock_timeout = '1s'")
                for _ in range(10):
                    await asking.fetch("select from reading limit 1")
        with suppress(asyncpg.LockNotAvailableError):  # a machine that is busy
            assert await making is True


@pytest.mark.parametrize("month", [date(1999, 12, 1), date(2150, 1, 1), None])
async def test_no_partition_is_made_for_nonsense(application: asyncpg.Connection, month: date | None) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await application.fetchval(_ENSURE, month)


async def test_a_session_with_strange_settings_makes_the_same_partition(
    application: asyncpg.Connection, owner: asyncpg.Connection, series: Iterator[int]
) -> None:
    one = next(series)
    await drop(owner, "202208")
    await application.execute("set timezone to 'Pacific/Kiritimati'; set datestyle to 'SQL, DMY'")
    await application.fetchval(_ENSURE, date(2022, 8, 1))
    for at in (datetime(2022, 8, 1, tzinfo=UTC), datetime(2022, 8, 31, 23, 59, 59, tzinfo=UTC)):
        await application.execute("insert into reading (series, at, value) values ($1, $2, 1)", one, at)

    assert await home(application, one) == ["reading_202208"] * 2


async def test_the_application_reaches_partitions_through_their_table_alone(
    timescale: TimescaleStore, application: asyncpg.Connection, series: Iterator[int]
) -> None:
    await timescale.write([row(next(series), datetime(2021, 5, 1, tzinfo=UTC))])

    for statement in ("select * from", "delete from", "truncate", "drop table", "alter table reading detach partition"):
        for partition in ("reading_202105", "reading_default"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await application.execute(f"{statement} {partition}")

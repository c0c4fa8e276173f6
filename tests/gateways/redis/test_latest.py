import asyncio
import math
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from domain.errors import Unavailable
from domain.points import Latest, LatestReading, Quality
from gateways.redis import RedisLatest
from tests.gateways.redis.conftest import Valkey

pytestmark = pytest.mark.anyio

ACME, RIVAL = uuid4(), uuid4()
POWER, MODE = uuid4(), uuid4()
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def latest(redis: Redis) -> Latest:
    return RedisLatest(redis)


def reading(point_id: UUID, *, after_us: int = 0, value: float | None = 1.5, text: str | None = None) -> LatestReading:
    return LatestReading(point_id, NOON + timedelta(microseconds=after_us), value, text, Quality.GOOD)


async def test_what_was_put_is_what_one_gets(latest: Latest) -> None:
    values = [0.1, -0.0, 1e300, math.inf, -math.inf, 5e-324, None]
    texts = [None, "", "größer\n \x00", "Charging", None, "7", "x"]
    readings = [
        LatestReading(uuid4(), NOON, value, text, quality)
        for value, text, quality in zip(values, texts, list(Quality) * 3, strict=False)
    ]

    assert await latest.put(ACME, readings) == [True] * 7

    assert await latest.get(ACME, [one.point_id for one in readings]) == {one.point_id: one for one in readings}


async def test_not_a_number_stays_not_a_number(latest: Latest) -> None:
    await latest.put(ACME, [reading(POWER, value=math.nan)])

    value = (await latest.get(ACME, [POWER]))[POWER].value
    assert value is not None
    assert math.isnan(value)


async def test_an_older_reading_never_replaces_a_newer_one(latest: Latest) -> None:
    newest = reading(POWER, after_us=2)
    assert await latest.put(ACME, [newest]) == [True]

    assert await latest.put(ACME, [reading(POWER, after_us=1), reading(MODE)]) == [False, True]

    assert (await latest.get(ACME, [POWER]))[POWER] == newest


async def test_within_one_batch_the_newest_stays_in_whatever_order(latest: Latest) -> None:
    batch = [reading(POWER, after_us=us, value=us) for us in (1, 3, 2)]

    assert await latest.put(ACME, batch) == [True, True, False]

    assert (await latest.get(ACME, [POWER]))[POWER].value == 3


async def test_at_the_same_time_the_later_put_wins(latest: Latest) -> None:
    await latest.put(ACME, [reading(POWER, value=1)])

    assert await latest.put(ACME, [reading(POWER, value=2)]) == [True]

    assert (await latest.get(ACME, [POWER]))[POWER].value == 2


async def test_times_compare_across_offsets_and_before_1970(latest: Latest) -> None:
    long_ago = LatestReading(POWER, datetime(1960, 1, 1, tzinfo=UTC), 1, None, Quality.GOOD)
    earlier = LatestReading(POWER, datetime(1959, 1, 1, tzinfo=UTC), 2, None, Quality.GOOD)
    east = LatestReading(MODE, NOON.astimezone(timezone(timedelta(hours=9))), 3, None, Quality.GOOD)

    assert await latest.put(ACME, [long_ago, earlier, east, reading(MODE, after_us=-1)]) == [True, False, True, False]

    assert await latest.get(ACME, [POWER, MODE]) == {POWER: long_ago, MODE: east}


async def test_processes_that_put_at_once_leave_the_newest(latest: Latest) -> None:
    await asyncio.gather(*(latest.put(ACME, [reading(POWER, after_us=(us * 37) % 100)]) for us in range(100)))

    assert (await latest.get(ACME, [POWER]))[POWER] == reading(POWER, after_us=99)


async def test_a_large_batch_is_put_and_got_whole(latest: Latest, redis: Redis) -> None:
    readings = [reading(uuid4(), value=number) for number in range(2_500)]

    assert await latest.put(ACME, readings) == [True] * 2_500

    got = await latest.get(ACME, [one.point_id for one in readings])
    assert list(got.values()) == readings


async def test_tenants_do_not_read_each_others_values(latest: Latest) -> None:
    await latest.put(ACME, [reading(POWER)])

    assert await latest.get(RIVAL, [POWER]) == {}


async def test_nothing_put_or_asked_is_nothing_answered(latest: Latest) -> None:
    assert await latest.put(ACME, []) == []
    assert await latest.get(ACME, []) == {}


async def test_without_redis_latest_values_say_unavailable(latest: Latest, valkey: Valkey) -> None:
    valkey.kill()

    with pytest.raises(Unavailable):
        await latest.put(ACME, [reading(POWER)])
    with pytest.raises(Unavailable):
        await latest.get(ACME, [POWER])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.none() | st.text(max_size=3)), max_size=6),
        max_size=8,
    )
)
async def test_whatever_batches_come_at_once_what_is_kept_is_the_newest_and_it_was_told_so(
    latest: Latest, redis: Redis, batches: list[list[tuple[int, int, str | None]]]
) -> None:
    tenant_id, point_ids = uuid4(), [uuid4() for _ in range(3)]
    told = [[reading(point_ids[n], after_us=us, value=us, text=text) for n, us, text in batch] for batch in batches]

    answers = await asyncio.gather(*(latest.put(tenant_id, batch) for batch in told))

    taken = [
        one
        for batch, answer in zip(told, answers, strict=True)
        for one, is_taken in zip(batch, answer, strict=True)
        if is_taken
    ]
    kept = await latest.get(tenant_id, point_ids)
    assert {point_id: one.at for point_id, one in kept.items()} == {
        point_id: max(one.at for batch in told for one in batch if one.point_id == point_id)
        for point_id in {one.point_id for batch in told for one in batch}
    }
    assert all(one in taken for one in kept.values())

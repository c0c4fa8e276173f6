from uuid import uuid4

import pytest
from redis.asyncio import Redis

from gateways.redis import RedisRefusals

pytestmark = pytest.mark.anyio


async def test_a_refusal_is_of_one_station_and_one_wish_and_for_days(redis: Redis) -> None:
    refusals, station = RedisRefusals(redis), (uuid4(), uuid4())
    await refusals.note(station, "A=60")
    assert await refusals.refuses(station, "A=60")
    assert not await refusals.refuses(station, "A=30")
    assert not await refusals.refuses((station[0], uuid4()), "A=60")
    (key,) = await redis.keys("*")
    assert 0 < await redis.ttl(key) <= 7 * 24 * 3600

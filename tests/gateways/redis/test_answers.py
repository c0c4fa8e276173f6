"""Answers that one process gave and another repeats."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from gateways.ocpp.memory import Remembered
from gateways.redis import RedisAnswers
from tests.gateways.redis.conftest import Valkey, until

pytestmark = pytest.mark.anyio

STATION, OTHER = (uuid4(), uuid4()), (uuid4(), uuid4())
SAID = Remembered(b"sixteen bytes!!!", '[3,"m-1",{"transactionId":7}]')
AGE_S = 600.0


@pytest.fixture
async def here(valkey: Valkey, anyio_backend: str) -> AsyncIterator[RedisAnswers]:
    async with RedisAnswers(valkey.url, age_s=AGE_S) as answers:
        yield answers


@pytest.fixture
async def there(valkey: Valkey, anyio_backend: str) -> AsyncIterator[RedisAnswers]:
    async with RedisAnswers(valkey.url, age_s=AGE_S) as answers:
        yield answers


async def heard(answers: RedisAnswers, message_id: str | int = "m-1") -> None:
    async def is_there() -> bool:
        return await answers.recall(STATION, message_id, elsewhere=True) is not None

    await until(is_there)


async def commands(redis: Redis, name: str) -> int:
    return int((await redis.info("commandstats")).get(f"cmdstat_{name}", {"calls": 0})["calls"])


async def test_what_one_process_answered_another_knows_for_that_station_alone(
    here: RedisAnswers, there: RedisAnswers, redis: Redis
) -> None:
    await here.remember(STATION, "m-1", SAID)
    await here.remember(STATION, 1, SAID)
    await heard(there, 1)
    assert await there.recall(STATION, "m-1", elsewhere=True) == SAID
    assert await there.recall(OTHER, "m-1", elsewhere=True) is None
    assert await there.recall(STATION, "1", elsewhere=True) is None, "a number is another id than its text"
    (key, *_) = await redis.keys("*")
    assert 0 < await redis.pttl(key) <= AGE_S * 1000


async def test_the_newest_answer_counts_wherever_it_was_given(here: RedisAnswers, there: RedisAnswers) -> None:
    """Stations number their messages anew: what is remembered here may be of another message than the last."""
    anew = Remembered(b"another sixteen!", '[3,"m-1",{"transactionId":8}]')
    await here.remember(STATION, "m-1", SAID)
    await heard(there)
    await there.remember(STATION, "m-1", anew)

    async def told() -> bool:
        return await here.recall(STATION, "m-1", elsewhere=True) == anew

    await until(told)


async def test_who_was_answered_nowhere_else_costs_no_question(
    here: RedisAnswers, there: RedisAnswers, redis: Redis
) -> None:
    await here.remember(STATION, "m-1", SAID)
    await heard(there)
    asked = await commands(redis, "get")
    assert await here.recall(STATION, "m-1", elsewhere=False) == SAID
    assert await here.recall(STATION, "m-2", elsewhere=False) is None
    assert await commands(redis, "get") == asked


async def test_many_who_ask_at_once_are_asked_for_at_once(here: RedisAnswers, redis: Redis) -> None:
    await here.recall(STATION, "m-0", elsewhere=True)
    reads = (await redis.info("stats"))["total_reads_processed"]
    await asyncio.gather(*(here.recall(STATION, f"m-{number}", elsewhere=True) for number in range(400)))
    assert (await redis.info("stats"))["total_reads_processed"] - reads < 40


async def test_while_redis_is_away_nothing_is_forgotten_and_later_all_is_told(
    here: RedisAnswers, there: RedisAnswers, valkey: Valkey
) -> None:
    valkey.kill()
    for number in range(50):
        await here.remember(STATION, f"m-{number}", SAID)
    assert await here.recall(STATION, "m-49", elsewhere=True) == SAID
    assert await there.recall(STATION, "m-49", elsewhere=True) is None
    valkey.start()
    await heard(there, "m-49")
    await heard(there, "m-0")


async def test_a_redis_that_does_not_answer_is_waited_for_once(here: RedisAnswers, valkey: Valkey) -> None:
    await here.recall(STATION, "m-1", elsewhere=True)
    valkey.freeze()
    try:
        async with asyncio.timeout(20):  # each would take half a second
            for number in range(500):
                await here.recall(STATION, f"m-{number}", elsewhere=True)
    finally:
        valkey.thaw()


async def test_what_a_process_has_answered_is_told_before_it_ends(valkey: Valkey, there: RedisAnswers) -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(RedisAnswers(valkey.url, age_s=AGE_S))
        for number in range(2_000):
            await here.remember(STATION, f"m-{number}", SAID)
    assert await there.recall(STATION, "m-1999", elsewhere=True) == SAID
    assert await there.recall(STATION, "m-0", elsewhere=True) == SAID


async def test_a_lag_of_our_own_does_not_count_as_an_absence_of_redis(here: RedisAnswers, there: RedisAnswers) -> None:
    await there.remember(STATION, "m-1", SAID)
    await heard(here)
    asking = asyncio.create_task(here.recall(STATION, "m-1", elsewhere=True))
    await asyncio.sleep(0)
    time.sleep(1.0)  # noqa: ASYNC251 -- twice the patience, in which nobody reads what Redis answers
    assert await asking == SAID

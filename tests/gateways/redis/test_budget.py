import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from domain.errors import Unavailable
from gateways.graphql.budget import Purse
from gateways.graphql.limits import Limits, Refused
from gateways.redis import RedisBudget, connect
from tests.gateways.redis.conftest import Valkey, until

pytestmark = pytest.mark.anyio

SLOW, BURST = 1, 1_000  # hardly anything comes back while a test runs
LIMITS = Limits()


@pytest.fixture
def budget(redis: Redis) -> RedisBudget:
    return RedisBudget(redis)


async def spend(purse: Purse, cost: int) -> bool:
    try:
        remaining = purse.spend("ada", cost, LIMITS)
        if not isinstance(remaining, int):
            await remaining
    except Refused:
        return False
    return True


async def spent_until_refused(purse: Purse, cost: int) -> int:
    spent = 0
    while await spend(purse, cost):
        spent += cost
    return spent


async def test_a_draw_takes_what_there_is_but_not_too_little(budget: RedisBudget) -> None:
    assert await budget.draw("ada", 900, at_least=10, per_s=SLOW, burst=BURST) == (900, 100, 0)
    granted, left, _ = await budget.draw("ada", 900, at_least=10, per_s=SLOW, burst=BURST)
    assert 100 <= granted <= 110
    assert left == 0

    granted, left, wait_s = await budget.draw("ada", 900, at_least=100, per_s=SLOW, burst=BURST)

    assert granted == 0
    assert 80 < wait_s <= 100


async def test_a_refused_draw_takes_nothing(budget: RedisBudget) -> None:
    await budget.draw("ada", 950, at_least=950, per_s=SLOW, burst=BURST)
    for _ in range(3):
        assert (await budget.draw("ada", 500, at_least=500, per_s=SLOW, burst=BURST))[0] == 0

    assert (await budget.draw("ada", 50, at_least=50, per_s=SLOW, burst=BURST))[0] == 50


async def test_the_bucket_fills_with_the_servers_time(budget: RedisBudget) -> None:
    await budget.draw("ada", 100, at_least=100, per_s=1_000, burst=100)

    async def has_some() -> bool:
        return (await budget.draw("ada", 50, at_least=50, per_s=1_000, burst=100))[0] == 50

    await until(has_some)


async def test_a_full_bucket_is_no_key(budget: RedisBudget, redis: Redis) -> None:
    await budget.draw("ada", 100, at_least=100, per_s=1_000, burst=100)
    await budget.draw("bob", 100, at_least=100, per_s=SLOW, burst=100)

    async def one_is_left() -> bool:
        return [key async for key in redis.scan_iter()] == [b"voltgraph:budget:bob"]

    await until(one_is_left)
    assert 98 <= await redis.ttl("voltgraph:budget:bob") <= 100


async def test_more_than_a_full_bucket_is_owed(budget: RedisBudget) -> None:
    assert await budget.draw("ada", 5_000, at_least=5_000, per_s=SLOW, burst=BURST) == (5_000, -4_000, 0)

    granted, left, wait_s = await budget.draw("ada", 1, at_least=1, per_s=SLOW, burst=BURST)

    assert granted == 0
    assert -4_000 <= left < -3_900
    assert 3_900 < wait_s <= 4_001


async def test_draws_at_once_grant_no_more_than_there_is(budget: RedisBudget) -> None:
    draws = (budget.draw("ada", 30, at_least=30, per_s=SLOW, burst=BURST) for _ in range(100))

    granted = sum(one[0] for one in await asyncio.gather(*draws))

    assert 990 <= granted <= 1_020


async def test_each_caller_has_a_bucket(budget: RedisBudget) -> None:
    await budget.draw("ada", BURST, at_least=BURST, per_s=SLOW, burst=BURST)

    assert await budget.draw("bob", 1, at_least=1, per_s=SLOW, burst=BURST) == (1, BURST - 1, 0)


async def test_two_processes_spend_one_budget(valkey: Valkey) -> None:
    async with connect(valkey.url) as one, connect(valkey.url) as other:
        purses = [Purse(RedisBudget(client), per_s=SLOW, burst=BURST) for client in (one, other)]
        spent = await asyncio.gather(*(spent_until_refused(purse, 5) for purse in purses))

    assert all(spent)
    assert BURST - 10 <= sum(spent) <= BURST + 20


async def test_without_redis_a_draw_says_so(budget: RedisBudget, valkey: Valkey) -> None:
    valkey.kill()

    with pytest.raises(Unavailable):
        await budget.draw("ada", 1, at_least=1, per_s=SLOW, burst=BURST)


@pytest.mark.parametrize("lose", [Valkey.kill, Valkey.freeze])
async def test_without_redis_operations_go_on_within_the_same_rate(
    budget: RedisBudget, valkey: Valkey, lose: Callable[[Valkey], None]
) -> None:
    purse = Purse(budget, per_s=SLOW, burst=BURST)
    assert await spend(purse, 1)
    lose(valkey)

    spent = await spent_until_refused(purse, 5)

    assert BURST - 10 <= spent <= BURST + 120
    valkey.thaw() if lose is Valkey.freeze else valkey.start()


async def test_a_redis_that_has_forgotten_everything_is_a_full_bucket(budget: RedisBudget, valkey: Valkey) -> None:
    await budget.draw("ada", BURST, at_least=BURST, per_s=SLOW, burst=BURST)
    valkey.kill()
    valkey.start()

    async def is_full() -> bool:
        try:
            return (await budget.draw("ada", 1, at_least=1, per_s=SLOW, burst=BURST))[0] == 1
        except Unavailable:
            return False

    await until(is_full)


async def test_any_name_of_a_caller_is_a_key(budget: RedisBudget) -> None:
    for name in (str(uuid4()), "anonymous:2001:db8::1", "größer {x} *", ""):
        assert await budget.draw(name, 1, at_least=1, per_s=SLOW, burst=BURST) == (1, BURST - 1, 0)

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from domain.errors import Unavailable
from gateways.graphql.budget import AWAY_S, LEASE_S, PRINCIPALS_MAX, OwnBudget, Purse
from gateways.graphql.limits import Limits, Refused

pytestmark = pytest.mark.anyio

LIMITS = Limits()
PER_S, BURST = 100, 1_000


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Shared:
    """What several processes share, in this one. Counts how often it is asked; may be out of reach."""

    def __init__(self, clock: Clock) -> None:
        self.asked = 0
        self.away = False
        self._budget = OwnBudget(clock)

    async def draw(
        self, principal: str, amount: int, *, at_least: int, per_s: int, burst: int
    ) -> tuple[int, int, float]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("gone")
        drawn = self._budget.draw(principal, amount, at_least=at_least, per_s=per_s, burst=burst)
        return drawn.granted, drawn.left, drawn.wait_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shared(clock: Clock) -> Shared:
    return Shared(clock)


@pytest.fixture
def a_purse(shared: Shared, clock: Clock) -> Callable[[], Purse]:
    return lambda: Purse(shared, per_s=PER_S, burst=BURST, clock=clock)


async def spend(purse: Purse, cost: int, principal: str = "ada") -> int:
    remaining = purse.spend(principal, cost, LIMITS)
    return remaining if isinstance(remaining, int) else await remaining


async def refusal(purse: Purse, cost: int, principal: str = "ada") -> Refused:
    with pytest.raises(Refused) as refused:
        await spend(purse, cost, principal)
    return refused.value


async def test_what_is_spent_is_gone_and_comes_back_with_time(a_purse: Callable[[], Purse], clock: Clock) -> None:
    purse = a_purse()
    assert await spend(purse, 400) == 600
    assert await spend(purse, 600) == 0

    refused = await refusal(purse, 50)

    assert (refused.limit, refused.status, refused.retry_after_s) == ("budget", 429, 1)
    assert refused.cost == {"requested": 50, "maximum": LIMITS.cost, "remaining": 0}
    assert refused.errors[0].extensions == {"code": "LIMIT", "limit": "budget", "retryAfter": 1}
    assert (await refusal(purse, 450)).retry_after_s == 5
    clock.now += 4.5
    assert await spend(purse, 450) == 0


async def test_hardly_any_operation_asks_the_others(a_purse: Callable[[], Purse], shared: Shared) -> None:
    purse = a_purse()
    await spend(purse, 1)

    for _ in range(25):
        assert isinstance(purse.spend("ada", 1, LIMITS), int)
    assert shared.asked == 1
    await spend(purse, 1)
    assert shared.asked == 2


async def test_processes_share_one_budget(a_purse: Callable[[], Purse], shared: Shared) -> None:
    one, other = a_purse(), a_purse()
    spent = 0
    for turn in range(400):
        try:
            await spend((one, other)[turn % 2], 5)
        except Refused:
            continue
        spent += 5

    assert BURST - 2 * 5 < spent <= BURST


async def test_whoever_has_nothing_left_is_refused_without_asking_the_others(
    a_purse: Callable[[], Purse], shared: Shared, clock: Clock
) -> None:
    purse = a_purse()
    await spend(purse, BURST)
    asked = shared.asked

    for _ in range(100):
        await refusal(purse, 10)

    assert shared.asked == asked
    clock.now += 0.1
    await spend(purse, 10)
    assert shared.asked == asked + 1


async def test_each_pays_for_themselves(a_purse: Callable[[], Purse]) -> None:
    purse = a_purse()
    await spend(purse, BURST, "ada")

    await refusal(purse, 1, "ada")
    assert await spend(purse, 1, "bob") == BURST - 1


async def test_many_at_once_wait_for_one_draw(a_purse: Callable[[], Purse], shared: Shared) -> None:
    purse = a_purse()

    remaining = await asyncio.gather(*(spend(purse, 1) for _ in range(20)))

    assert shared.asked == 1
    assert sorted(remaining) == list(range(BURST - 20, BURST))


async def test_one_who_gives_up_waiting_leaves_the_purse_to_the_others(
    a_purse: Callable[[], Purse], shared: Shared
) -> None:
    purse = a_purse()
    first, second = (asyncio.ensure_future(spend(purse, 1)) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()

    assert await second < BURST
    assert first.cancelled()


async def test_what_was_drawn_and_not_spent_is_lost_in_time(
    a_purse: Callable[[], Purse], shared: Shared, clock: Clock
) -> None:
    """Else every process would keep some for ever."""
    purse = a_purse()
    await spend(purse, 1)
    clock.now += LEASE_S + 1

    await spend(purse, 1)

    assert shared.asked == 2


async def test_what_costs_more_than_a_full_bucket_is_paid_afterwards(
    a_purse: Callable[[], Purse], clock: Clock
) -> None:
    purse = a_purse()

    assert await spend(purse, 3 * BURST) == 0

    assert (await refusal(purse, 1)).retry_after_s == 21
    clock.now += 20.5
    assert await spend(purse, 1) > 0


async def test_while_the_others_are_away_each_process_grants_its_own_rate(
    a_purse: Callable[[], Purse], shared: Shared, clock: Clock
) -> None:
    purse = a_purse()
    shared.away = True

    with capture_logs() as logged:
        for _ in range(BURST // 50):
            await spend(purse, 50)
        await refusal(purse, 50)

    assert shared.asked == 1, "nobody waits again and again for what is away"
    assert [entry["log_level"] for entry in logged] == ["warning"]
    clock.now += 2
    await spend(purse, 200)
    await refusal(purse, 1)
    clock.now += AWAY_S
    with capture_logs() as logged:
        await spend(purse, 200)
    assert shared.asked == 2
    assert logged == []


async def test_when_the_others_are_back_the_budget_is_shared_again(
    a_purse: Callable[[], Purse], shared: Shared, clock: Clock
) -> None:
    purse = a_purse()
    shared.away = True
    await spend(purse, BURST)
    shared.away = False
    clock.now += AWAY_S + 1

    assert await spend(purse, 100) == BURST - 100

    assert shared.asked == 2


async def test_a_process_alone_needs_nobody(clock: Clock) -> None:
    purse = Purse(per_s=PER_S, burst=BURST, clock=clock)

    assert await spend(purse, BURST) == 0
    await refusal(purse, 1)


async def test_the_number_of_callers_that_are_remembered_is_bounded(a_purse: Callable[[], Purse]) -> None:
    purse = a_purse()
    for number in range(PRINCIPALS_MAX + 100):
        await spend(purse, 1, str(number))

    assert len(purse._accounts) == PRINCIPALS_MAX


def test_a_budget_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        Purse(per_s=0)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 300), st.floats(0, 3)), max_size=60))
def test_nobody_is_granted_more_than_the_rate_and_the_burst(draws: list[tuple[int, int, float]]) -> None:
    clock = Clock()
    budget = OwnBudget(clock)
    began, granted = clock.now, 0
    for at_least, more, then_s in draws:
        drawn = budget.draw("ada", at_least + more, at_least=at_least, per_s=PER_S, burst=BURST)
        granted += drawn.granted
        assert drawn.granted == 0 or at_least <= drawn.granted <= at_least + more
        assert (drawn.wait_s > 0) == (drawn.granted == 0)
        assert granted <= BURST + PER_S * (clock.now - began) + 1e-6
        clock.now += then_s

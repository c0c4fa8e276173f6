"""Whoever comes meanwhile shares the next turn; each gets an answer of its own, whatever happens to the others."""

import asyncio
from collections.abc import Sequence

import pytest

from domain.gathering import Gathering

pytestmark = pytest.mark.anyio


class Counter:
    """Serves a lot when it is let; numbers come back negated."""

    def __init__(self) -> None:
        self.lots: list[list[int]] = []
        self.open = asyncio.Event()

    async def serve(self, numbers: Sequence[int]) -> Sequence[int]:
        self.lots.append(list(numbers))
        await self.open.wait()
        if 13 in numbers:
            raise ValueError("unlucky")
        return [-number for number in numbers if number != 404]


@pytest.fixture
def counter() -> Counter:
    return Counter()


async def begun(*asked: asyncio.Future[int]) -> None:
    """Those who could be dealt with are being dealt with."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(answer.done() for answer in asked)


async def test_whoever_comes_meanwhile_shares_the_next_turn_in_order(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=3)
    first = gathering.ask(0)
    await begun(first)
    late = [gathering.ask(number) for number in range(1, 6)]
    counter.open.set()

    assert await asyncio.gather(first, *late) == [0, -1, -2, -3, -4, -5]
    assert counter.lots == [[0], [1, 2, 3], [4, 5]]


async def test_nobody_waits_for_others_who_may_come(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=3)
    counter.open.set()

    assert [await gathering.ask(1), await gathering.ask(2)] == [-1, -2]
    assert counter.lots == [[1], [2]]


async def test_several_turns_go_on_side_by_side_and_no_more_than_allowed(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=1, turns=2)
    asked = [gathering.ask(number) for number in range(4)]
    await begun(*asked)
    assert counter.lots == [[0], [1]]
    counter.open.set()

    assert await asyncio.gather(*asked) == [0, -1, -2, -3]


async def test_a_lot_is_bounded_by_the_size_of_what_is_in_it_and_a_larger_one_goes_alone(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=10, size=int)
    counter.open.set()
    await asyncio.gather(*(gathering.ask(number) for number in (4, 6, 1, 20, 5, 5)))

    assert counter.lots == [[4, 6], [1], [20], [5, 5]]


async def test_what_goes_wrong_is_told_to_those_of_that_turn_alone(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=2)
    asked = [gathering.ask(number) for number in (13, 1, 2, 3)]
    counter.open.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [str(answer) for answer in answers] == ["unlucky", "unlucky", "-2", "-3"]
    assert await gathering.ask(4) == -4


async def test_whoever_is_left_without_an_answer_hears_so(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=2)
    counter.open.set()
    with pytest.raises(ValueError, match="zip"):
        await asyncio.gather(gathering.ask(1), gathering.ask(404))

    assert await gathering.ask(2) == -2


async def test_whoever_gives_up_takes_nothing_back_and_disturbs_nobody(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=3)
    served, queued = gathering.ask(1), gathering.ask(2)
    await begun(served, queued)
    later, last = gathering.ask(3), gathering.ask(4)
    for impatient in (served, later):
        impatient.cancel()
    counter.open.set()

    assert [await queued, await last] == [-2, -4]
    assert counter.lots == [[1, 2], [3, 4]]


async def test_drained_is_when_all_have_been_dealt_with(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=1, turns=2)
    await gathering.drained()
    asked = [gathering.ask(number) for number in (1, 13, 3, 4)]
    draining = asyncio.create_task(gathering.drained())
    await begun(*asked)
    assert not draining.done()
    counter.open.set()
    await draining

    assert all(answer.done() for answer in asked)
    assert await asyncio.gather(*asked, return_exceptions=True) == [-1, asked[1].exception(), -3, -4]


async def test_where_a_turn_is_cancelled_nobody_waits_for_ever(counter: Counter) -> None:
    gathering = Gathering(counter.serve, at_once=1)
    asked = [gathering.ask(number) for number in range(3)]
    await begun(*asked)
    (turn,) = (task for task in asyncio.all_tasks() if task.get_name() == "gathering")
    turn.cancel()
    await asyncio.wait(asked, timeout=30)

    assert all(answer.cancelled() for answer in asked)
    counter.open.set()
    assert await gathering.ask(5) == -5

"""Group commit: while one lot is dealt with, whoever comes meanwhile gathers for the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def _one(_item: object) -> int:
    return 1


class Gathering(Generic[Item, Answer]):
    """In the order in which they came, in `turns` at a time; nobody waits for others who may come.

    How much may wait is for whoever asks to bound.
    """

    def __init__(
        self,
        deal: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        at_once: int,
        size: Callable[[Item], int] = _one,
        turns: int = 1,
    ) -> None:
        """`deal` answers for each of its lot; what it raises is raised to all of them.

        A lot is of `at_once` at most, by the `size` of its items; an item that is larger is a lot by itself.
        """
        self._deal = deal
        self._at_once = at_once
        self._size = size
        self._turns = turns
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._turning: list[asyncio.Task[None]] = []

    def ask(self, item: Item) -> asyncio.Future[Answer]:
        """Whoever no longer waits for the answer does not take the item back."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self._turning = [task for task in self._turning if not task.done()]
        if len(self._turning) < self._turns:  # in a context of its own: it is not in the Work of who came first
            self._turning.append(asyncio.create_task(self._take_turns(), name="gathering", context=Context()))
        return answer

    async def drained(self) -> None:
        """Returns when all have been dealt with who have asked."""
        while turning := [task for task in self._turning if not task.done()]:
            await asyncio.wait(turning)

    async def _take_turns(self) -> None:
        while self._waiting:
            lot = self._lot()
            try:
                answers = await self._deal([item for item, _ in lot])
                settled = list(zip(lot, answers, strict=True))
            except Exception as error:
                for waiter in _waiters(lot):
                    waiter.set_exception(error)
            except asyncio.CancelledError:  # the loop ends, and nobody would ever answer the others either
                for waiter in (*_waiters(lot), *_waiters(self._waiting)):
                    waiter.cancel()
                self._waiting.clear()
                raise
            else:
                for (_, waiter), answer in settled:
                    if not waiter.done():
                        waiter.set_result(answer)

    def _lot(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        lot = [self._waiting.popleft()]
        total = self._size(lot[0][0])
        while self._waiting and (total := total + self._size(self._waiting[0][0])) <= self._at_once:
            lot.append(self._waiting.popleft())
        return lot


def _waiters(lot: Iterable[tuple[Item, asyncio.Future[Answer]]]) -> Iterator[asyncio.Future[Answer]]:
    """Without those who were cancelled while they waited."""
    return (waiter for _, waiter in lot if not waiter.done())

"""Those of one moment go together: while one lot is dealt with, whoever comes meanwhile gathers for the next."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, TypeVar
from uuid import UUID

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gathering(Generic[Item, Answer]):
    """Of one tenant at a time, in the order in which they came; nobody waits for others who may come."""

    def __init__(self, deal: Callable[[UUID, Sequence[Item]], Awaitable[Sequence[Answer]]], *, at_once: int) -> None:
        """`deal` answers for each of them; what it raises is raised to all of them."""
        self._deal = deal
        self._at_once = at_once
        self._waiting: defaultdict[UUID, deque[tuple[Item, asyncio.Future[Answer]]]] = defaultdict(deque)
        self._dealing: dict[UUID, asyncio.Task[None]] = {}

    async def ask(self, tenant_id: UUID, item: Item) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[tenant_id].append((item, answer))
        if tenant_id not in self._dealing:
            self._dealing[tenant_id] = asyncio.create_task(self._deal_with(tenant_id))
        return await answer

    async def _deal_with(self, tenant_id: UUID) -> None:
        waiting = self._waiting[tenant_id]
        try:
            while waiting:
                lot = [waiting.popleft() for _ in range(min(self._at_once, len(waiting)))]
                try:
                    answers = await self._deal(tenant_id, [item for item, _ in lot])
                except Exception as error:
                    for waiter in _unsettled(lot):
                        waiter.set_exception(error)
                else:
                    given = dict(zip((waiter for _, waiter in lot), answers, strict=True))
                    for waiter in _unsettled(lot):
                        waiter.set_result(given[waiter])
        finally:
            del self._dealing[tenant_id], self._waiting[tenant_id]


def _unsettled(lot: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> Iterator[asyncio.Future[Answer]]:
    """Without those who were cancelled while they waited."""
    return (waiter for _, waiter in lot if not waiter.done())

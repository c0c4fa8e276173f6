"""Subscribers who ask for the same: their news is executed and encoded once, and pushed to each as bytes.

A subscription is what is so now, or what was missed since an event (the join part, of each its own), and then the news
(of the group). The group hears before anybody looks, and what it hears while somebody still looks waits for them, so
that nothing falls in between; what both parts tell is told once.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, Self, TypeGuard

import structlog
from graphql import GraphQLError

from domain.errors import Resync
from gateways.graphql.engine import Answer, Engine, Joinable
from gateways.graphql.executor import Forkable
from gateways.graphql.metrics import DELIVERIES, GROUPS, LAG, MEMBERS, REPLAYED, Meter
from gateways.graphql.outbox import Bounds, Item, Line, Outbox, Waiting, lost, place

log = structlog.get_logger()

AT_ONCE = 1_000  # deliveries, of 2 to 12 µs each
FEW = 20  # members
AHEAD = 64  # what a group has heard, and not yet told
RESYNC = GraphQLError("too slow", extensions={"code": Resync.code})

# While somebody looks: a large fleet over a slow line takes minutes. What waits is shared by all who wait.
WHILE_JOINING = Bounds(facts=4096, size_bytes=4 * 1024 * 1024)


class Shareable(Forkable, Protocol):
    """A context whose callers can share news."""

    @property
    def scope(self) -> Hashable:
        """All that news of a field that coalesces may depend on; None: nobody shares with this caller."""
        ...

    def shared(self, listening: Callable[[], None]) -> Self:
        """Of nobody but the scope, for the news alone; `listening` is called once all further news would be heard."""
        ...

    def joining(self, after: str | None = None) -> Self:
        """Of this caller, for what comes before the news: what is so now, or what was missed since that event."""
        ...


def shares(context: Any) -> TypeGuard[Shareable]:
    return getattr(context, "scope", None) is not None


class Group:
    """One task, which ends with its last member."""

    def __init__(
        self,
        news: Callable[[Callable[[], None]], AsyncGenerator[Answer, None]],
        fault: Callable[[Exception], Answer],
    ) -> None:
        self.seats: dict[Seat, None] = {}
        self.hears = asyncio.Event()
        self.has_ended = False
        self._news = news
        self._fault = fault
        self._heard: list[Item] = []  # and not yet told
        self._unpaused = 0  # deliveries since others had their turn
        self._telling: asyncio.Task[None] | None = None
        self.task = asyncio.create_task(self._run(), name="group")
        GROUPS.inc()

    def leave(self, seat: "Seat") -> None:
        if self.seats.pop(seat, seat) is None:
            MEMBERS.dec()
            if not self.seats:
                self._end()
                self.task.cancel()

    async def _run(self) -> None:
        try:
            async with aclosing(self._news(self.hears.set)) as answers:
                async for answer in answers:
                    if answer.refused or answer.broken:
                        await self._all_told()
                        self._tell_end(answer)
                        return
                    if not self.hears.is_set():
                        self.hears.set()
                    await self._take(Item.of(answer))
            await self._all_told()
            self._tell_end(None)
        except Exception as error:
            self._fail(error)

    async def _take(self, item: Item) -> None:
        """Few are told at once; many by a task, which then has all that has come by its turn."""
        if self._telling is None and len(self.seats) <= FEW:
            self._tell([*self.seats], [item])
            _observe_lag([item])
            if self._unpaused >= AT_ONCE:
                await self._pause()
            return
        self._heard.append(item)
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_later(), name="group tells")
        elif len(self._heard) >= AHEAD:
            await self._telling

    async def _all_told(self) -> None:
        if self._telling is not None:
            await self._telling

    async def _tell_later(self) -> None:
        try:
            await self._tell_all()
        except Exception as error:
            self._fail(error)
            self.task.cancel()
        finally:
            self._telling = None

    async def _tell_all(self) -> None:
        """All that was heard to one after the other, so that each gets it in one go; in parts, where that is much.

        Who joins in between will see in what it looks at what this tells.
        """
        while self._heard:
            items, self._heard = self._heard, []
            seats = [*self.seats]
            part = max(1, AT_ONCE // len(items))
            for begin in range(0, len(seats), part):
                self._tell(seats[begin : begin + part], items)
                if self._unpaused >= AT_ONCE:
                    await self._pause()
            _observe_lag(items)

    def _tell(self, seats: Sequence["Seat"], items: Sequence[Item]) -> None:
        for seat in seats:
            for item in items:
                if seat in self.seats:
                    seat.hear(item)
        self._unpaused += len(items) * len(seats)
        DELIVERIES.inc(len(items) * len(seats))

    async def _pause(self) -> None:
        self._unpaused = 0
        await asyncio.sleep(0)

    def _fail(self, error: Exception) -> None:
        log.error("a group has failed", exc_info=error)
        self._tell_end(self._fault(error))

    def _tell_end(self, answer: Answer | None) -> None:
        seats = list(self.seats)
        self._end()
        for seat in seats:
            seat.end(answer)

    def _end(self) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        MEMBERS.dec(len(self.seats))
        self.seats.clear()
        self.hears.set()
        GROUPS.dec()


def _observe_lag(items: Sequence[Item]) -> None:
    for item in items:
        if item.place is not None:
            LAG.observe(max(0.0, time.time() - item.place[0] / 1000))


class Seat:
    """One subscriber's. While it joins, what it hears waits; afterwards it needs no task."""

    __slots__ = ("_ended", "_extensions", "_group", "_line", "_outbox", "_until", "_waiting", "_watch")

    def __init__(self, group: Group, line: Line, outbox: Outbox, joinable: Joinable, after: str | None) -> None:
        self._group = group
        self._line = line
        self._outbox = outbox
        self._extensions = joinable.extensions
        self._watch: Meter | None = joinable.watch
        self._watch.started()
        self._waiting: Waiting | None = Waiting(WHILE_JOINING)
        self._until = None if after is None else place(after)  # news up to there was told before
        self._ended: tuple[Answer | None] | None = None
        group.seats[self] = None
        MEMBERS.inc()

    async def join(self, answers: AsyncGenerator[Answer, None]) -> None:
        """Tells what comes before the news, at the reader's pace; from there on the group tells."""
        async with aclosing(answers):
            await self._group.hears.wait()
            if self._ended is not None:
                self._say_end(*self._ended)
                return
            async for answer in answers:
                if answer.refused or answer.broken:
                    self._say_end(answer)
                    self.leave()
                    return
                await self._tell(answer)
        await self._catch_up()

    def hear(self, item: Item) -> None:
        if self._waiting is not None:
            if not self._waiting.offer(self._line, item):
                self._lose()
        elif self._is_new(item):
            if self._extensions is not None:
                item = self._first(item)
            if not self._outbox.push(self._line, item):
                self._count([RESYNC])
                self.leave()

    def end(self, answer: Answer | None) -> None:
        """The group has; its last word is told after all that it said before."""
        if self._waiting is None:
            self._say_end(answer)
        else:
            self._ended = (answer,)

    def leave(self) -> None:
        self._group.leave(self)
        self._count(None)

    async def _tell(self, answer: Answer) -> None:
        item = Item.of(answer)
        if answer.extensions is None and self._extensions is not None:
            item = item.saying(self._extensions)
        self._extensions = None
        if item.place is not None:
            self._until = item.place
            REPLAYED.inc()
        elif item.key is None and self._until is not None and self._until[0] > time.time() * 1000:
            self._until = None  # it looks after all, and that event is none that anybody can have been told of
        await self._outbox.put(self._line, item)

    async def _catch_up(self) -> None:
        """At the reader's pace too; nothing is heard between the last that waited and the first that is pushed."""
        while self._waiting:
            _, item = self._waiting.take()
            if self._is_new(item):
                await self._outbox.put(self._line, self._first(item))
        self._waiting = None
        if self._ended is not None:
            self._say_end(*self._ended)

    def _first(self, item: Item) -> Item:
        """With what is told once."""
        if self._extensions is not None:
            item, self._extensions = item.saying(self._extensions), None
        return item

    def _is_new(self, item: Item) -> bool:
        """The group tells in order, but may be behind what somebody who joined has been told already."""
        if self._until is None or item.place is None:
            return True
        if item.place <= self._until:
            return False
        self._until = None
        return True

    def _lose(self) -> None:
        """Too much has happened while it joined."""
        waiting, self._waiting = self._waiting, Waiting(WHILE_JOINING)
        self._count([RESYNC])
        self.leave()
        lost(self._line, len(waiting or ()) + self._outbox.forget(self._line) + 1)

    def _count(self, errors: Sequence[GraphQLError] | None) -> None:
        """How it has ended, which is once."""
        if self._watch is not None:
            self._watch.ended(errors)
            self._watch = None

    def _say_end(self, answer: Answer | None) -> None:
        self._count(None if answer is None else answer.errors)
        if answer is None:
            self._line.complete()
        else:
            self._line.fail([error.formatted for error in answer.errors or ()])


class Groups:
    """Of one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._groups: dict[Hashable, Group] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._groups)

    def seat(
        self, joinable: Joinable, context: Shareable, line: Line, outbox: Outbox, after: str | None = None
    ) -> Seat:
        """Whoever has one joins by it, and leaves by it. `after` is what the transport says, if anything."""
        key = (joinable.key, context.scope)
        group = self._groups.get(key)
        if group is None or group.has_ended:
            group = self._groups[key] = Group(
                lambda listening: self._news(joinable, context, listening),
                lambda error: self._engine.fault(error, joinable.news_call, context),
            )
            self._ending.add(group.task)
            group.task.add_done_callback(lambda task: self._forget(key, task))
        return Seat(group, line, outbox, joinable, after or joinable.after)

    def join_part(
        self, joinable: Joinable, context: Shareable, after: str | None = None
    ) -> AsyncGenerator[Answer, None]:
        return self._engine.answers(joinable, joinable.call, context.joining(after))

    def _news(
        self, joinable: Joinable, context: Shareable, listening: Callable[[], None]
    ) -> AsyncGenerator[Answer, None]:
        return self._engine.answers(joinable, joinable.news_call, context.shared(listening))

    def _forget(self, key: Hashable, task: "asyncio.Task[None]") -> None:
        self._ending.discard(task)
        if (group := self._groups.get(key)) is not None and group.task is task:
            del self._groups[key]

"""The one typed Info: who asks, where work is opened, and the loaders of this one execution."""

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Self, TypeVar

import strawberry

from domain.actor import Actor, Permission, Role
from domain.errors import Unauthenticated
from domain.work import Work, Workplace
from resolvers.loaders import Loaders

Port = TypeVar("Port")

strawberry.enum(Role, description="What an actor may do: ADMIN everything, OPERATOR control, VIEWER look.")
strawberry.enum(
    Permission, description="VIEW, CONTROL equipment, MANAGE credentials and deletions, REPORT measurements."
)


class Part(Enum):
    """Of a subscription: all of it; what comes before the news; the news alone, for however many who share it."""

    WHOLE = "WHOLE"
    JOIN = "JOIN"
    NEWS = "NEWS"


@dataclass
class Context:
    """Lives for one operation, or for one event of a subscription, since its loaders remember what they have read.

    `after` is the event after which a subscriber who comes again goes on. `listening` is called once a subscription
    would hear all further news.
    """

    workplace: Workplace
    actor: Actor | None
    part: Part = field(default=Part.WHOLE, kw_only=True)
    after: str | None = field(default=None, kw_only=True)
    listening: Callable[[], None] = field(default=lambda: None, kw_only=True)

    @property
    def caller(self) -> Actor:
        if self.actor is None:
            raise Unauthenticated("show a credential: `Authorization: Bearer …`")
        return self.actor

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Work]:
        """Reading through this door is viewing."""
        async with self.workplace.open_work(self.caller, read_only=True) as work:
            work.require(Permission.VIEW)
            yield work

    def write(self) -> AbstractAsyncContextManager[Work]:
        return self.workplace.open_work(self.caller)

    def port(self, protocol: type[Port]) -> Port:
        return self.workplace.port(protocol)

    @cached_property
    def loaders(self) -> Loaders:
        return Loaders(self)

    def fork(self) -> Self:
        """The same caller with nothing remembered."""
        return type(self)(self.workplace, self.actor, part=self.part, after=self.after, listening=self.listening)

    @property
    def scope(self) -> Hashable:
        """All that news may depend on where it is shared; None for whoever has shown nothing, and shares nothing."""
        return None if self.actor is None else (self.actor.tenant_id, self.actor.role, self.actor.scopes)

    def shared(self, listening: Callable[[], None]) -> Self:
        """Of nobody but the scope, for the news alone."""
        caller = self.caller
        anybody = Actor(caller.tenant_id, caller.role, "subscribers", scopes=caller.scopes)
        return replace(self, actor=anybody, part=Part.NEWS, after=None, listening=listening)

    def joining(self, after: str | None = None) -> Self:
        """Of this caller, for what comes before the news: what is so now, or what was missed since that event."""
        return replace(self, part=Part.JOIN, after=after)


Info = strawberry.Info[Context, None]


def context(workplace: Workplace, actor: Actor | None) -> Context:
    return Context(workplace, actor)

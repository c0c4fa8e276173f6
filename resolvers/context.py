"""The one typed Info: who asks, where work is opened, and the loaders of this one execution."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
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


@dataclass
class Context:
    """Lives for one operation, or for one event of a subscription, since its loaders remember what they have read."""

    workplace: Workplace
    actor: Actor | None

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
        return type(self)(self.workplace, self.actor)


Info = strawberry.Info[Context, None]


def context(workplace: Workplace, actor: Actor | None) -> Context:
    return Context(workplace, actor)

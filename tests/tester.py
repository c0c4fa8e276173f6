"""A tenant to test with, and what its people can do."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from domain import tenants
from domain.actor import Actor, Role, system
from domain.work import Work, Workplace
from gateways.graphql import Answer, Call, Engine, Rights
from resolvers.context import Context, context
from voltgraph.app import built_engine
from voltgraph.wiring import House


class Clock:
    """The wall's, unless a test has set it."""

    def __init__(self) -> None:
        self.now: datetime | None = None

    def __call__(self) -> datetime:
        return self.now or datetime.now(UTC)

    def forward(self, **by: float) -> datetime:
        """Set it ahead from where it is, and leave it standing there."""
        self.now = self() + timedelta(**by)
        return self.now


@dataclass
class Tester:
    __test__ = False  # not a test class, whatever pytest thinks of its name

    house: House
    actor: Actor
    slug: str
    clock: Clock = field(repr=False)

    @property
    def tenant_id(self) -> UUID:
        return self.actor.tenant_id

    @property
    def workplace(self) -> Workplace:
        return self.house.workplace

    def acting_as(self, role: Role) -> Actor:
        return replace(self.actor, role=role)

    def work(self, *, read_only: bool = False, role: Role = Role.ADMIN) -> AbstractAsyncContextManager[Work]:
        return self.workplace.open_work(self.acting_as(role), read_only=read_only)

    async def relay(self) -> None:
        """Run the outbox to its end."""
        await self.house.relay.drain()

    async def gql(self, query: str, variables: dict[str, Any] | None = None, *, role: Role = Role.ADMIN) -> Any:
        """What an operation answers; an error fails the test."""
        answer = await self.answer(query, variables, role=role)
        assert not answer.errors, answer.errors
        return answer.data

    async def gql_errors(
        self, query: str, variables: dict[str, Any] | None = None, *, role: Role = Role.ADMIN
    ) -> list[str]:
        """The codes of the errors that an operation answers."""
        answer = await self.answer(query, variables, role=role)
        return [str((error.extensions or {}).get("code")) for error in answer.errors or []]

    async def answer(self, query: str, variables: dict[str, Any] | None = None, *, role: Role = Role.ADMIN) -> Answer:
        return await asked(context(self.workplace, self.acting_as(role)), query, variables)

    @asynccontextmanager
    async def subscribe(
        self, query: str, variables: dict[str, Any] | None = None, *, role: Role = Role.ADMIN
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """The items of a subscription, as `data` dicts."""
        async with aclosing(watched(context(self.workplace, self.acting_as(role)), query, variables)) as answers:
            yield _data(answers)


async def _data(stream: AsyncIterator[Answer]) -> AsyncIterator[Any]:
    async for answer in stream:
        assert not answer.errors, answer.errors
        yield answer.data


async def asked(asking: Context, query: str, variables: dict[str, Any] | None = None) -> Answer:
    """The answer to a query or mutation, whoever asks."""
    return await _engine().execute(Call(query, variables), asking, RIGHTS)


def watched(asking: Context, query: str, variables: dict[str, Any] | None = None) -> AsyncGenerator[Answer, None]:
    """What an operation of any kind answers."""
    return _engine().stream(Call(query, variables), asking, RIGHTS)


RIGHTS = Rights("a test")


@cache
def _engine() -> Engine:
    """Without a budget: tests ask as much as they like."""
    return built_engine()


async def a_tester(house: House, slug: str) -> Tester:
    """A fresh tenant and its administrator."""
    tenant_id = uuid7()
    async with house.workplace.open_work(system(tenant_id)) as work:
        await tenants.create(work, slug=slug)
    clock = house.workplace.clock
    assert isinstance(clock, Clock)
    return Tester(house, Actor(tenant_id=tenant_id, role=Role.ADMIN, name=slug), slug, clock)

"""Orders on their way to the process that holds a station's socket, and back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from domain.commands import Miss, Outcome, Unheard
from domain.errors import TimedOut, Unavailable
from gateways.redis import ClusterLink, Holder, Order, RedisPresence, Router
from tests.gateways.redis.conftest import QUICK, Valkey, until

pytestmark = pytest.mark.anyio

TENANT, STATION, COMMAND = uuid4(), uuid4(), uuid4()
THERE = {"tenant_id": TENANT, "station_id": STATION}
ORDER: dict[str, Any] = {**THERE, "command_id": COMMAND, "kind": "RESET", "arguments": {"type": "SOFT"}}
LOST = Outcome("FAILED", None, "the station's connection was lost", Miss.UNANSWERED)


@dataclass
class Desk(Holder):
    answers: Outcome = LOST
    heard: list[Any] = field(default_factory=list)
    silent: bool = False

    async def carry_out(self, order: Order) -> Outcome:
        self.heard.append(order)
        if self.silent:
            await asyncio.Event().wait()
        return self.answers

    async def recall(self, command_id: UUID) -> bool:
        self.heard.append(command_id)
        return command_id == COMMAND

    async def deliver_waiting(self, tenant_id: UUID, station_id: UUID) -> None:
        self.heard.append((tenant_id, station_id))

    async def evict(self, tenant_id: UUID, station_id: UUID, holder: str) -> None: ...

    async def hang_up(self, tenant_id: UUID, station_id: UUID) -> None: ...


@pytest.fixture
async def link(valkey: Valkey, redis: Redis, anyio_backend: str) -> AsyncIterator[ClusterLink]:
    """Of a process that holds nothing itself."""
    async with Router(valkey.url, patience=QUICK) as router:
        yield ClusterLink(RedisPresence(redis), router, "asker")


@pytest.fixture
async def desk(valkey: Valkey, redis: Redis, anyio_backend: str) -> AsyncIterator[Desk]:
    """Of the process that holds the station."""
    desk = Desk()
    async with Router(valkey.url, patience=QUICK) as router:
        await ClusterLink(RedisPresence(redis), router, "holder").serve(desk)
        await RedisPresence(redis).claim(TENANT, STATION, "holder/socket", 600)
        yield desk


async def test_an_order_reaches_the_holder_and_its_outcome_comes_back(link: ClusterLink, desk: Desk) -> None:
    assert await link.deliver(**ORDER, timeout_s=20, send_within_s=7.5) == LOST

    (order,) = desk.heard
    assert (order.command_id, order.kind, order.arguments) == (COMMAND, "RESET", {"type": "SOFT"})
    assert (order.send_within_s, 19 < order.timeout_s < 20) == (7.5, True)


async def test_where_nobody_holds_the_station_it_was_not_heard(link: ClusterLink) -> None:
    with pytest.raises(Unheard, match="not connected"):
        await link.deliver(**ORDER, timeout_s=20)
    assert not await link.recall(**THERE, command_id=COMMAND)
    await link.wake(**THERE)


async def test_where_the_holder_is_gone_it_was_not_heard(link: ClusterLink, redis: Redis) -> None:
    await RedisPresence(redis).claim(TENANT, STATION, "nobody/socket", 600)

    with pytest.raises(Unheard, match="gone"):
        await link.deliver(**ORDER, timeout_s=20)
    assert not await link.recall(**THERE, command_id=COMMAND)
    await link.wake(**THERE)


async def test_where_there_is_no_answer_it_may_have_been_heard(link: ClusterLink, desk: Desk) -> None:
    desk.silent = True
    with pytest.raises(TimedOut):
        await link.deliver(**ORDER, timeout_s=0.2)


async def test_where_redis_is_lost_meanwhile_it_may_have_been_heard(
    link: ClusterLink, desk: Desk, valkey: Valkey
) -> None:
    desk.silent = True
    asking = asyncio.create_task(link.deliver(**ORDER, timeout_s=2))
    await until(lambda: bool(desk.heard))
    valkey.kill()

    with pytest.raises(Unavailable) as error:
        await asking
    assert not isinstance(error.value, Unheard)
    with pytest.raises(Unheard):
        await link.deliver(**ORDER, timeout_s=2)


async def test_an_order_is_taken_back_where_it_is(link: ClusterLink, desk: Desk) -> None:
    assert await link.recall(**THERE, command_id=COMMAND)
    assert not await link.recall(**THERE, command_id=uuid4())


async def test_the_holder_is_woken(link: ClusterLink, desk: Desk) -> None:
    await link.wake(**THERE)
    await until(lambda: desk.heard == [(TENANT, STATION)])

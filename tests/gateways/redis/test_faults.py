"""The four faults of stock broadcaster 0.3.1. Each test is run on the stock too, and must fail there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

import pytest
from broadcaster import Broadcast
from broadcaster._backends.redis import RedisBackend
from redis.asyncio import Redis

from domain.bus import Gap, Message, Overflowed, Topic
from gateways.redis import RedisBroadcast, RedisBus
from tests.gateways.redis.conftest import QUICK, Valkey, kill_listeners, until

pytestmark = pytest.mark.anyio

TENANT = uuid4()

Hear = Callable[[], Awaitable[bytes]]


class Radio(Protocol):
    """What both have: publish on a channel, and hear it."""

    async def publish(self, channel: str, payload: bytes) -> None: ...

    def hearing(self, channel: str) -> AbstractAsyncContextManager[Hear]: ...


class StockRadio:
    """broadcaster as it is; `backend` tells whether its Redis backend is its own or the cured one."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast

    async def publish(self, channel: str, payload: bytes) -> None:
        await self._broadcast.publish(channel, payload)

    @asynccontextmanager
    async def hearing(self, channel: str) -> AsyncIterator[Hear]:
        async with self._broadcast.subscribe(channel) as subscriber:

            async def hear() -> bytes:
                message: Any = (await subscriber.get()).message
                return message.encode() if isinstance(message, str) else bytes(message)

            yield hear


class OurRadio:
    def __init__(self, bus: RedisBus) -> None:
        self._bus = bus

    async def publish(self, channel: str, payload: bytes) -> None:
        await self._bus.publish([Message(Topic(TENANT, channel), payload)])

    @asynccontextmanager
    async def hearing(self, channel: str) -> AsyncIterator[Hear]:
        async with self._bus.listen(Topic(TENANT, channel)) as ear:

            async def hear() -> bytes:
                async for item in ear:
                    if isinstance(item, Message):
                        return item.payload
                raise AssertionError("the bus stopped")

            yield hear


@asynccontextmanager
async def stock(url: str) -> AsyncIterator[Radio]:
    async with Broadcast(backend=RedisBackend(url)) as broadcast:
        yield StockRadio(broadcast)


@asynccontextmanager
async def stock_on_our_backend(url: str) -> AsyncIterator[Radio]:
    async with Broadcast(backend=RedisBroadcast(url, patience=QUICK)) as broadcast:
        yield StockRadio(broadcast)


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Radio]:
    async with RedisBus(url, patience=QUICK) as bus:
        yield OurRadio(bus)


def fails(cause: type[BaseException] | tuple[type[BaseException], ...]) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, raises=cause, reason="the fault that we cure")


GUARD_S = 60.0
Opening = Callable[[str], AbstractAsyncContextManager[Radio]]


def patience_s(opening: Opening, *, in_vain_with: Opening) -> float:
    return 3 if opening is in_vain_with else 30


@pytest.mark.parametrize(
    "opening", [pytest.param(stock, marks=fails(TimeoutError)), stock_on_our_backend, ours], ids=lambda o: o.__name__
)
async def test_the_first_subscriber_of_a_process_hears(opening: Opening, valkey: Valkey) -> None:
    async with asyncio.timeout(GUARD_S), opening(valkey.url) as radio, radio.hearing("first") as hear:
        await radio.publish("first", b"hello")

        async with asyncio.timeout(patience_s(opening, in_vain_with=stock)):
            assert await hear() == b"hello"


@pytest.mark.parametrize(
    "opening",
    [pytest.param(stock_on_our_backend, marks=fails(KeyError)), ours],
    ids=lambda o: o.__name__,
)
async def test_a_hundred_first_subscribers_of_one_channel_at_once_all_hear(opening: Opening, valkey: Valkey) -> None:
    async with asyncio.timeout(GUARD_S), opening(valkey.url) as radio:
        listening = asyncio.Barrier(101)

        async def listen() -> bytes | None:
            async with radio.hearing("rush") as hear:
                await listening.wait()
                try:
                    async with asyncio.timeout(patience_s(opening, in_vain_with=stock_on_our_backend)):
                        return await hear()
                except TimeoutError:
                    return None

        listeners = [asyncio.create_task(listen()) for _ in range(100)]
        await listening.wait()
        await radio.publish("rush", b"all")

        outcomes = await asyncio.gather(*listeners, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        assert outcomes == [b"all"] * 100


@pytest.mark.parametrize(
    "opening", [pytest.param(stock, marks=fails(TimeoutError)), stock_on_our_backend, ours], ids=lambda o: o.__name__
)
async def test_a_live_listener_hears_again_after_its_redis_connection_was_killed(
    opening: Opening, valkey: Valkey, redis: Redis
) -> None:
    # The second channel wakes the stock, which is deaf to its first; so what is tested here is the kill alone.
    async with (
        asyncio.timeout(GUARD_S),  # the stock has been seen to hang for ever
        opening(valkey.url) as radio,
        radio.hearing("lasting") as hear,
        radio.hearing("second"),
    ):
        await radio.publish("lasting", b"before")
        before = asyncio.ensure_future(hear())
        await asyncio.wait([before], timeout=30)
        assert before.done(), "deaf from the start"

        assert await kill_listeners(redis) == 1

        heard = asyncio.ensure_future(hear())
        try:
            async with asyncio.timeout(patience_s(opening, in_vain_with=stock)):
                while not heard.done():
                    await radio.publish("lasting", b"after")
                    await asyncio.wait([heard], timeout=0.05)
            assert await heard == b"after"
        finally:
            heard.cancel()


async def test_stock_queues_without_bound_for_a_slow_consumer_and_tells_it_nothing(valkey: Valkey) -> None:
    backend = RedisBroadcast(valkey.url)
    async with Broadcast(backend=backend) as broadcast, broadcast.subscribe("flood") as slow:
        await backend.run([("PUBLISH", "flood", b"x")] * 5_000)

        await until(lambda: slow._queue.qsize() == 5_000)


async def test_a_slow_consumer_is_bounded_and_told_while_a_quick_one_beside_it_loses_nothing(bus: RedisBus) -> None:
    topic = Topic(TENANT, "flood")
    async with bus.listen(topic, limit=10) as slow, bus.listen(topic, limit=100) as quick:
        heard = 0
        for _ in range(100):
            await bus.publish([Message(topic, b"x")] * 50)
            for _ in range(50):
                assert isinstance(await anext(aiter(quick)), Message)
                heard += 1

        assert heard == 5_000
        assert len(slow._waiting) <= 10
        with pytest.raises(Overflowed):
            async for item in slow:
                assert not isinstance(item, Gap)

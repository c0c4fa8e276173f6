import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from domain.bus import Bus, Ear, Gap, Message, Overflowed, Topic
from domain.errors import Unavailable
from gateways.redis import Patience, RedisBus
from gateways.redis.bus import DELIVERIES, EARS, PUBLISHED, RECONNECTS
from gateways.redis.ears import DROPS, GAPS, REPLAYED, Waiting
from gateways.redis.streams import decode, encode
from tests.gateways.redis.conftest import QUICK, Valkey, kill_listeners, until

pytestmark = pytest.mark.anyio

ACME, RIVAL = uuid4(), uuid4()
STATIONS = Topic(ACME, "station")
ONE = Topic(ACME, "station", "one")
TWO = Topic(ACME, "station", "two")
READINGS = Topic(ACME, "reading")
END = b"end"


def news(topic: Topic, *payloads: str, conflate: str | None = None) -> list[Message]:
    return [Message(topic, payload.encode(), conflate) for payload in payloads]


async def first(ear: Ear) -> Message | Gap:
    async with asyncio.timeout(30):
        return await anext(aiter(ear))


async def payload(ear: Ear) -> str:
    item = await first(ear)
    return "gap" if isinstance(item, Gap) else item.payload.decode()


async def kept(redis: Redis, topic: Topic) -> list[str]:
    """The ids of the facts of its kind."""
    found = await redis.xrange(f"voltgraph:stream:{topic.tenant_id}:{topic.kind}")
    return [fact_id.decode() for fact_id, _ in found or ()]  # type: ignore[union-attr]


async def until_end(ear: Ear) -> list[str]:
    """The payloads up to the one that says `end`; gaps are written as such."""
    heard = []
    async with asyncio.timeout(30):
        async for item in ear:
            if isinstance(item, Gap):
                heard.append("gap")
            elif item.payload == END:
                break
            else:
                heard.append(item.payload.decode())
    return heard


async def subscriptions(redis: Redis) -> set[str]:
    return set(map(str, await redis.pubsub_channels("voltgraph:news:*")))


def named(*topics: Topic) -> set[str]:
    return {str(f"voltgraph:news:{topic.channel}".encode()) for topic in topics}


async def test_what_one_process_publishes_another_hears_in_order(bus: RedisBus, valkey: Valkey) -> None:
    async with RedisBus(valkey.url) as elsewhere, elsewhere.listen(STATIONS) as ear:
        await bus.publish(news(STATIONS, *map(str, range(100))))
        await bus.publish(news(STATIONS, "end"))

        assert await until_end(ear) == [str(number) for number in range(100)]


async def test_news_keeps_its_topic_payload_and_conflation_on_the_way(bus: RedisBus) -> None:
    message = Message(Topic(ACME, "reading", "a:b\nc"), b'\x00{"value": 1}\n\xff', "power:1")
    async with bus.listen(Topic(ACME, "reading")) as ear:
        await bus.publish([message])

        assert await first(ear) == message


async def test_news_with_a_key_is_heard_on_the_kind_and_on_its_key_alone(bus: RedisBus) -> None:
    async with bus.listen(STATIONS) as kind, bus.listen(ONE) as one, bus.listen(TWO) as two:
        await bus.publish([*news(ONE, "a"), *news(TWO, "b"), *news(STATIONS, "c")])
        await bus.publish([*news(ONE, "end"), *news(TWO, "end")])

        assert await until_end(kind) == ["a", "b", "c"]
        assert await until_end(one) == ["a"]
        assert await until_end(two) == ["b"]


async def test_who_listens_to_a_kind_and_to_keys_of_it_hears_once(bus: RedisBus) -> None:
    async with bus.listen(ONE, STATIONS, TWO, STATIONS) as ear:
        await bus.publish([*news(ONE, "a"), *news(TWO, "b"), *news(STATIONS, "c", "end")])
        assert await until_end(ear) == ["a", "b", "c"]

        await bus.publish([*news(TWO, "d"), *news(ONE, "e"), *news(STATIONS, "end")])
        assert await until_end(ear) == ["d", "e"]


async def test_one_ear_hears_several_keys(bus: RedisBus) -> None:
    async with bus.listen(ONE, TWO) as ear:
        await bus.publish([*news(ONE, "a"), *news(TWO, "b"), *news(Topic(ACME, "station", "three"), "c")])
        await bus.publish(news(TWO, "end"))

        assert sorted(await until_end(ear)) == ["a", "b"]


async def test_tenants_do_not_hear_each_other(bus: RedisBus) -> None:
    async with bus.listen(STATIONS, ONE) as acme, bus.listen(Topic(RIVAL, "station")) as rival:
        await bus.publish([*news(Topic(RIVAL, "station", "one"), "theirs"), *news(ONE, "ours")])
        await bus.publish([*news(STATIONS, "end"), *news(Topic(RIVAL, "station"), "end")])

        assert await until_end(acme) == ["ours"]
        assert await until_end(rival) == ["theirs"]


async def test_a_process_subscribes_once_however_many_listen(bus: RedisBus, redis: Redis) -> None:
    async with bus.listen(ONE) as first_ear, bus.listen(ONE) as second_ear, bus.listen(ONE):
        assert await redis.publish(f"voltgraph:news:{ONE.channel}", b"\n" + encode(news(ONE, "once")[0])) == 1

        heard = [await first(first_ear), await first(second_ear)]
        assert heard == news(ONE, "once", "once")
        assert heard[0] is heard[1], "decoded once per process"


async def test_a_listener_who_comes_back_soon_finds_the_subscription_still_there(bus: RedisBus, redis: Redis) -> None:
    async with bus.listen(ONE):
        pass

    assert await subscriptions(redis) == named(ONE)


async def test_the_subscription_ends_some_time_after_the_last_listener_left(valkey: Valkey, redis: Redis) -> None:
    async with RedisBus(valkey.url, linger_s=0.05) as bus:
        async with bus.listen(ONE), bus.listen(STATIONS):
            assert await subscriptions(redis) == named(ONE, STATIONS)

        async def gone() -> bool:
            return not await subscriptions(redis)

        await until(gone)
        assert not bus._channels

        async with bus.listen(ONE) as ear:
            await bus.publish(news(ONE, "end"))
            assert await until_end(ear) == []


async def test_listeners_who_come_and_go_while_subscriptions_end_are_never_deaf(valkey: Valkey) -> None:
    async with RedisBus(valkey.url, linger_s=0) as bus:
        for turns in range(30):
            async with bus.listen(ONE), bus.listen(ONE) as ear:
                for number in map(str, range(3)):
                    await bus.publish(news(ONE, number, "end"))
                    assert await until_end(ear) == [number], f"heard once, {turns} turns after the last one left"
            for _ in range(turns):
                await asyncio.sleep(0)


async def test_a_listener_cancelled_while_it_subscribes_harms_nobody(bus: RedisBus) -> None:
    async def listen() -> None:
        async with bus.listen(TWO):
            await asyncio.Event().wait()

    async with bus.listen(ONE) as ear:
        for turns in range(20):
            hasty = asyncio.create_task(listen())
            for _ in range(turns):
                await asyncio.sleep(0)
            hasty.cancel()
            await asyncio.wait([hasty])
            assert hasty.cancelled()

        async with bus.listen(TWO) as second:
            await bus.publish([*news(ONE, "end"), *news(TWO, "end")])
            assert await until_end(ear) == []
            assert await until_end(second) == []


async def test_a_gap_is_told_once_after_the_server_was_restarted_and_news_flows_again(
    bus: RedisBus, valkey: Valkey
) -> None:
    async with bus.listen(ONE, TWO) as ear, bus.listen(STATIONS) as other:
        valkey.kill()
        valkey.start()

        assert isinstance(await first(ear), Gap)
        assert isinstance(await first(other), Gap)
        await bus.publish(news(ONE, "end"))
        assert await until_end(ear) == []
        assert await until_end(other) == []


async def test_two_losses_leave_one_gap_for_a_listener_that_looked_at_neither(bus: RedisBus, redis: Redis) -> None:
    async with bus.listen(READINGS) as sleeper, bus.listen(READINGS) as watcher:
        for _ in range(2):
            await kill_listeners(redis)
            assert isinstance(await first(watcher), Gap)

        await bus.publish(news(READINGS, "end"))
        assert await until_end(sleeper) == ["gap"]


async def test_a_server_that_falls_silent_is_noticed_and_left_for_a_new_line(bus: RedisBus, valkey: Valkey) -> None:
    async with bus.listen(READINGS, ONE) as ear:
        valkey.freeze()
        await until(lambda: not bus.up)
        valkey.thaw()

        assert isinstance(await first(ear), Gap)
        await bus.publish(news(ONE, "end"))
        assert await until_end(ear) == []


async def test_an_idle_line_is_not_taken_for_a_dead_one(bus: RedisBus) -> None:
    reconnects = RECONNECTS._value.get()
    async with bus.listen(ONE) as ear:
        await asyncio.sleep(5 * QUICK.silence_s)
        await bus.publish(news(ONE, "end"))
        assert await until_end(ear) == []
    assert RECONNECTS._value.get() == reconnects


async def test_without_redis_publishing_listening_and_starting_say_unavailable(valkey: Valkey) -> None:
    impatient = Patience(connect_s=1, answer_s=0.3, backoff_min_s=0.01, backoff_max_s=0.05)
    async with RedisBus(valkey.url, patience=impatient) as bus:
        valkey.kill()

        with pytest.raises(Unavailable):
            await bus.publish(news(ONE, "lost"))
        with pytest.raises(Unavailable):
            async with bus.listen(ONE):
                pass
        with pytest.raises(Unavailable):
            await RedisBus(valkey.url, patience=impatient).start()


async def test_a_short_loss_of_the_line_is_waited_out_by_who_subscribes_meanwhile(
    bus: RedisBus, valkey: Valkey
) -> None:
    async def listen() -> list[str]:
        async with bus.listen(ONE) as ear:
            listening.set()
            return await until_end(ear)

    listening = asyncio.Event()
    valkey.kill()
    listener = asyncio.create_task(listen())
    await asyncio.sleep(0.05)
    assert not listening.is_set()

    valkey.start()
    async with asyncio.timeout(30):
        await listening.wait()
        await bus.publish(news(ONE, "end"))
        await listener


async def test_listeners_elsewhere_are_told_of_a_gap_when_a_publisher_could_not_reach_redis(
    bus: RedisBus, valkey: Valkey
) -> None:
    async with RedisBus(valkey.url) as elsewhere, elsewhere.listen(ONE) as ear, elsewhere.listen(TWO) as other:
        hidden = valkey.socket.rename(valkey.folder / "hidden")  # nobody can connect; who is connected stays so
        await bus._backend._publisher._client.connection_pool.disconnect()
        with pytest.raises(Unavailable):
            await bus.publish(news(ONE, "lost"))
        await asyncio.sleep(0.1)  # it cannot be told yet either
        hidden.rename(valkey.socket)

        assert isinstance(await first(ear), Gap)
        await bus.publish([*news(ONE, "end"), *news(TWO, "end")])
        assert await until_end(other) == []


async def test_an_ear_ends_when_the_bus_stops(valkey: Valkey) -> None:
    bus = RedisBus(valkey.url)
    await bus.start()
    async with bus.listen(ONE) as ear:
        await bus.stop()
        with pytest.raises(StopAsyncIteration):
            await first(ear)


async def test_a_frame_that_is_not_ours_is_passed_over(bus: RedisBus, redis: Redis) -> None:
    async with bus.listen(ONE) as ear:
        for rubbish in (b"", b"{", b"7\n", b"\n[1]\n", b"1-2\n{", b"\xff\xfe\n", b"\nnull\nx", b"one-two\n[1]"):
            await redis.publish(f"voltgraph:news:{ONE.channel}", rubbish)
        await bus.publish(news(ONE, "end"))

        assert await until_end(ear) == []


async def test_waiting_values_of_one_point_are_replaced_and_events_are_not(bus: RedisBus) -> None:
    readings = Topic(ACME, "reading")
    async with bus.listen(readings, limit=4) as slow, bus.listen(readings, limit=2_000) as quick:
        await bus.publish(
            [
                *news(readings, "event"),
                *(message for n in range(500) for message in news(readings, f"p{n}", conflate="p")),
                *(message for n in range(500) for message in news(readings, f"q{n}", conflate="q")),
                *news(readings, "end"),
            ]
        )
        while (item := await first(quick)) != Message(readings, END):
            assert isinstance(item, Message)

        assert await until_end(slow) == ["event", "p499", "q499"]


async def test_the_metrics_count_what_happened(bus: RedisBus, redis: Redis) -> None:
    def counts() -> list[float]:
        counted = (PUBLISHED, DELIVERIES, DROPS, RECONNECTS, EARS, GAPS, REPLAYED)
        return [metric._value.get() for metric in counted]

    before = counts()
    async with bus.listen(ONE, limit=2) as slow, bus.listen(ONE) as quick:
        await bus.publish(news(ONE, "a", "b", "c", "end"))
        assert await until_end(quick) == ["a", "b", "c"]
        with pytest.raises(Overflowed):
            await first(slow)
        async with bus.listen(READINGS) as other:
            await kill_listeners(redis)
            assert isinstance(await first(other), Gap)
        async with bus.listen(ONE, after=(await kept(redis, ONE))[1]) as late:
            assert [await payload(late), await payload(late)] == ["c", "end"]
        after = counts()

    assert [new - old for new, old in zip(after, before, strict=True)] == [4, 4 + 2, 4, 1, 2, 1, 2]
    assert EARS._value.get() == before[4]


# Conflation, against the plainest possible model of it.

Offer = tuple[str, str | None]  # topic key, conflate

steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["one", "two"]), st.sampled_from([None, "power", "soc"])),
        st.just("take"),
        st.just("gap"),
    ),
    max_size=60,
)


class Model:
    def __init__(self, limit: int) -> None:
        self.limit, self.items, self.overflowed = limit, list[Message | Gap](), False

    def offer(self, message: Message) -> None:
        if self.overflowed:
            return
        for place, waiting in enumerate(self.items):
            if (
                isinstance(waiting, Message)
                and message.conflate is not None
                and (waiting.topic, waiting.conflate) == (message.topic, message.conflate)
            ):
                self.items[place] = message
                return
        if sum(isinstance(item, Message) for item in self.items) == self.limit:
            self.items, self.overflowed = [], True
        else:
            self.items.append(message)

    def gap(self) -> None:
        if not self.overflowed and not any(isinstance(item, Gap) for item in self.items):
            self.items.append(Gap())


@given(limit=st.integers(1, 6), steps=steps)
def test_a_listener_takes_the_latest_of_each_value_in_order_and_within_bounds(
    limit: int, steps: list[Offer | str]
) -> None:
    waiting, model = Waiting(limit), Model(limit)
    latest: dict[tuple[str, str], bytes] = {}
    taken: dict[tuple[str, str], bytes] = {}

    def take() -> None:
        item = waiting.take()
        assert item == model.items.pop(0)
        if isinstance(item, Message) and item.conflate and item.topic.key:
            taken[item.topic.key, item.conflate] = item.payload

    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            key, conflate = step
            message = Message(Topic(ACME, "reading", key), str(number).encode(), conflate)
            waiting.offer(message)
            model.offer(message)
            if conflate:
                latest[key, conflate] = message.payload
        elif step == "gap":
            waiting.gap()
            model.gap()
        elif waiting:
            take()
        assert len(waiting) == len(model.items) <= limit + 1
        assert waiting.overflowed == model.overflowed

    while waiting:
        take()
    assert model.overflowed or taken == latest


@given(key=st.none() | st.text(), conflate=st.none() | st.text(), payload=st.binary(), kind=st.text("abc_", min_size=1))
def test_any_message_survives_the_wire(key: str | None, conflate: str | None, payload: bytes, kind: str) -> None:
    message = Message(Topic(ACME, kind, key), payload, conflate)

    assert decode(Topic(ACME, kind), encode(message)) == message


async def test_the_adapter_is_a_bus(bus: RedisBus) -> None:
    port: Bus = bus
    items: AsyncIterator[Message | Gap]
    async with port.listen(ONE) as ear:
        items = aiter(ear)
        await port.publish(news(ONE, "x"))
        assert await anext(items) == news(ONE, "x")[0]

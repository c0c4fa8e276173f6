"""Facts have ids, and whoever knows the last one that it heard goes on from there."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from domain.bus import Ear, Gap, Message, Overflowed, Topic, place
from domain.errors import Invalid
from domain.events import is_kind_of_facts
from gateways.redis import Keeping, RedisBus, connect
from gateways.redis.streams import AT_ONCE, stream
from tests.gateways.redis.conftest import QUICK, Valkey, kill_listeners, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def stations() -> Topic:
    return Topic(uuid4(), "station")


@pytest.fixture
def keeping_valkey() -> Iterator[Valkey]:
    folder = Path(tempfile.mkdtemp(prefix="vg"))
    valkey = Valkey(folder, remembers=True)
    valkey.start()
    yield valkey
    valkey.kill()
    shutil.rmtree(folder)


def at(topic: Topic, key: str) -> Topic:
    return Topic(topic.tenant_id, topic.kind, key)


async def tell(bus: RedisBus, topic: Topic, *payloads: object) -> None:
    await bus.publish([Message(topic, str(payload).encode()) for payload in payloads])


async def hear(ear: AsyncIterator[Message | Gap] | Ear, count: int = 1) -> list[str]:
    """So many items, in the order in which they come."""
    items = aiter(ear)
    heard = []
    async with asyncio.timeout(30):
        for _ in range(count):
            item = await anext(items)
            heard.append("gap" if isinstance(item, Gap) else item.payload.decode())
    return heard


async def tell_live(bus: RedisBus, topic: Topic, ear: Ear, payload: str) -> None:
    """Once nothing is left to be replayed."""
    live = asyncio.ensure_future(hear(ear))
    await asyncio.sleep(0.1)
    await tell(bus, topic, payload)
    assert await live == [payload]


async def ids(redis: Redis, topic: Topic) -> list[str]:
    return [fact_id.decode() for fact_id, _ in await redis.xrange(stream(topic)) or ()]  # type: ignore[union-attr]


async def test_facts_have_rising_ids_and_readings_have_none(bus: RedisBus, stations: Topic) -> None:
    one = at(stations, "one")
    async with bus.listen(stations) as ear:
        await tell(bus, one, "a", "b")
        await bus.publish([Message(one, b"5 W", conflate="power")])
        a, b, reading = [item async for item, _ in zip_count(ear, 3)]

    assert isinstance(a, Message)
    assert isinstance(b, Message)
    assert a.id is not None
    assert b.id is not None
    assert place(a.id) < place(b.id)
    assert isinstance(reading, Message)
    assert reading.id is None


async def zip_count(ear: Ear, count: int) -> AsyncIterator[tuple[Message | Gap, int]]:
    items = aiter(ear)
    for number in range(count):
        yield await anext(items), number


async def test_who_names_the_last_fact_is_told_what_came_after_it_and_then_the_news(
    bus: RedisBus, redis: Redis, stations: Topic
) -> None:
    await tell(bus, at(stations, "one"), *range(10))
    sixth = (await ids(redis, stations))[5]

    async with bus.listen(stations, after=sixth) as ear:
        await tell(bus, at(stations, "two"), 10, 11)
        assert await hear(ear, 5) == ["6", "7", "8", "9", "10"]
        await tell(bus, at(stations, "one"), 12)
        assert await hear(ear, 2) == ["11", "12"]


async def test_of_several_keys_their_facts_alone_are_told_in_the_order_in_which_they_happened(
    bus: RedisBus, redis: Redis, stations: Topic
) -> None:
    for number in range(60):
        await tell(bus, at(stations, "abc"[number % 3]), number)
    expected = [str(number) for number in range(10, 60) if number % 3 < 2]

    async with bus.listen(at(stations, "a"), at(stations, "b"), after=(await ids(redis, stations))[9]) as ear:
        assert await hear(ear, len(expected)) == expected
        async with asyncio.TaskGroup() as group:
            group.create_task(bus.publish([Message(at(stations, "abc"[n % 3]), b"%d" % n) for n in range(60, 120)]))
        assert await hear(ear, 40) == [str(number) for number in range(60, 120) if number % 3 < 2]


async def test_live_facts_of_several_keys_come_in_the_order_of_their_ids(bus: RedisBus, stations: Topic) -> None:
    """Else who goes on from the last one that it heard would miss one that was overtaken."""
    keys = [at(stations, key) for key in "abcdef"]
    async with bus.listen(*keys, limit=1_000) as ear:
        await bus.publish([Message(keys[n * 7 % 6], b"%d" % n) for n in range(600)])
        assert await hear(ear, 600) == [str(n) for n in range(600)]


async def test_the_building_block_tells_what_came_after_and_ends(bus: RedisBus, redis: Redis, stations: Topic) -> None:
    await tell(bus, at(stations, "one"), *range(3 * AT_ONCE))
    await tell(bus, at(stations, "two"), "theirs")
    first = (await ids(redis, stations))[0]

    told = [item async for item in bus.replay(at(stations, "one"), after=first)]

    assert [item.payload for item in told if isinstance(item, Message)] == [b"%d" % n for n in range(1, 3 * AT_ONCE)]
    assert [item async for item in bus.replay(stations, after="1-0")] == [Gap()]


@pytest.mark.parametrize("after", ["", "x", "1", "1-", "-1", "1-2-3", "1-x", " 1-2", "-1-2", f"{2**64}-0", "1" * 40])
async def test_what_is_no_id_is_refused_by_name(bus: RedisBus, stations: Topic, after: str) -> None:
    with pytest.raises(Invalid, match="after") as refused:
        async with bus.listen(stations, after=after):
            pass
    assert refused.value.details == {"field": "after"}
    with pytest.raises(Invalid):
        bus.replay(stations, after=after)


@pytest.mark.parametrize("after", ["0-0", "1-1", f"{2**64 - 1}-{2**64 - 1}", "9999999999999-0"])
async def test_an_id_that_is_not_kept_is_a_gap_and_news_follows(bus: RedisBus, stations: Topic, after: str) -> None:
    await tell(bus, stations, "old")

    async with bus.listen(stations, after=after) as ear:
        assert await hear(ear) == ["gap"]
        await tell(bus, stations, "new")
        assert await hear(ear) == ["new"]


async def test_an_id_of_another_tenant_or_kind_is_a_gap_and_shows_nothing(
    bus: RedisBus, redis: Redis, stations: Topic
) -> None:
    others = Topic(uuid4(), "station")
    await tell(bus, others, "theirs", "theirs too")
    await tell(bus, Topic(stations.tenant_id, "session"), "a charge", "another")

    for topic in (others, Topic(stations.tenant_id, "session")):
        async with bus.listen(stations, after=(await ids(redis, topic))[0]) as ear:
            assert await hear(ear) == ["gap"]
            await tell(bus, stations, "ours")
            assert await hear(ear) == ["ours"]


async def test_what_is_kept_is_bounded_and_what_was_dropped_is_a_gap(valkey: Valkey, redis: Redis) -> None:
    stations = Topic(uuid4(), "station")
    async with RedisBus(valkey.url, keeping=Keeping(length=300, quiet_s=50)) as bus:
        await tell(bus, stations, *range(100))
        early = (await ids(redis, stations))[0]
        await tell(bus, stations, *range(100, 2_000))

        kept = await ids(redis, stations)
        assert 300 <= len(kept) < 500, "about, and never fewer"
        assert 0 < await redis.ttl(stream(stations)) <= 50, "a tenant that is quiet costs nothing in the end"
        async with bus.listen(stations, after=early) as ear:
            assert await hear(ear) == ["gap"]
        async with bus.listen(stations, after=kept[-3]) as ear:
            assert await hear(ear, 2) == ["1998", "1999"]


async def test_a_long_absence_is_made_up_for_at_the_readers_pace_while_news_goes_on(
    bus: RedisBus, redis: Redis, stations: Topic
) -> None:
    await tell(bus, stations, *range(4 * AT_ONCE))
    heard: list[str] = []
    async with bus.listen(stations, limit=10, after=(await ids(redis, stations))[0]) as ear:
        for turn in range(80):
            await tell(bus, stations, 4 * AT_ONCE + turn)
            heard += await hear(ear, 20)
        heard += await hear(ear, 4 * AT_ONCE + 80 - 1 - len(heard))

    assert heard == [str(number) for number in range(1, 4 * AT_ONCE + 80)]


async def test_one_who_is_too_slow_for_the_news_is_told_so_after_what_was_replayed(
    bus: RedisBus, redis: Redis, stations: Topic
) -> None:
    await tell(bus, stations, *range(5))
    async with bus.listen(stations, limit=3, after=(await ids(redis, stations))[0]) as ear:
        assert await hear(ear, 4) == ["1", "2", "3", "4"]
        await tell(bus, stations, *range(5, 50))
        assert await hear(ear, 45) == [str(number) for number in range(5, 50)], "as long as it is behind, there is room"
        await tell_live(bus, stations, ear, "50")
        await tell(bus, stations, *range(51, 60))
        with pytest.raises(Overflowed):
            await hear(ear, 10)


async def test_a_reader_who_is_interrupted_misses_nothing(bus: RedisBus, redis: Redis, stations: Topic) -> None:
    await tell(bus, stations, *range(3 * AT_ONCE))
    heard: list[str] = []
    async with bus.listen(stations, limit=5, after=(await ids(redis, stations))[0]) as ear:
        turns = 0
        while len(heard) < 3 * AT_ONCE - 1:
            reading = asyncio.ensure_future(anext(aiter(ear)))
            for _ in range(turns % 40):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                item = reading.result()
                assert isinstance(item, Message)
                heard.append(item.payload.decode())
            turns += 1

    assert heard == [str(number) for number in range(1, 3 * AT_ONCE)]


# --- a line that was lost


async def test_facts_that_were_told_while_the_line_was_down_are_made_up_for_without_a_gap(
    bus: RedisBus, valkey: Valkey, redis: Redis, stations: Topic
) -> None:
    one, two = at(stations, "one"), at(stations, "two")
    async with (
        RedisBus(valkey.url) as elsewhere,
        bus.listen(stations) as whole,
        bus.listen(one) as narrow,
        bus.listen(two) as silent,
    ):
        for turn in range(20):
            await kill_listeners(redis)
            await tell(elsewhere, one, 2 * turn)
            await tell(elsewhere, one, 2 * turn + 1)
        await tell(elsewhere, two, "end")

        assert await hear(whole, 41) == [*map(str, range(40)), "end"]
        assert await hear(narrow, 40) == [*map(str, range(40))]
        assert await hear(silent) == ["end"]


async def test_the_first_fact_ever_may_be_told_while_the_line_is_down(
    bus: RedisBus, valkey: Valkey, redis: Redis, stations: Topic
) -> None:
    async with RedisBus(valkey.url) as elsewhere, bus.listen(stations) as ear:
        await kill_listeners(redis)
        await tell(elsewhere, stations, "first")
        assert await hear(ear) == ["first"]


async def test_what_is_conflated_is_a_gap_after_a_lost_line(bus: RedisBus, redis: Redis, stations: Topic) -> None:
    async with bus.listen(stations, Topic(stations.tenant_id, "reading")) as ear:
        await kill_listeners(redis)
        assert await hear(ear) == ["gap"]


async def test_the_bus_is_not_up_before_what_was_missed_is_told(
    bus: RedisBus, redis: Redis, valkey: Valkey, stations: Topic
) -> None:
    async with RedisBus(valkey.url) as elsewhere, bus.listen(stations) as ear:
        heard = asyncio.ensure_future(hear(ear))
        await kill_listeners(redis)
        await tell(elsewhere, stations, "missed")
        await until(lambda: bus.up and heard.done())
        assert await heard == ["missed"]


async def test_who_begins_to_listen_while_the_line_is_down_hears_nothing_of_before(
    bus: RedisBus, valkey: Valkey, redis: Redis, stations: Topic
) -> None:
    async with RedisBus(valkey.url) as elsewhere, bus.listen(stations) as early:
        await kill_listeners(redis)
        await tell(elsewhere, stations, "before")
        await until(lambda: not bus.up)
        async with bus.listen(stations) as late:
            assert await hear(early) == ["before"]
            await tell(elsewhere, stations, "after")
            assert "before" not in await hear(late, 1)


async def test_whoever_has_no_room_for_what_was_missed_looks_again(
    bus: RedisBus, valkey: Valkey, redis: Redis, stations: Topic
) -> None:
    async with (
        RedisBus(valkey.url) as elsewhere,
        bus.listen(stations, limit=5) as small,
        bus.listen(stations, limit=5_000) as large,
    ):
        await kill_listeners(redis)
        await tell(elsewhere, stations, *range(3_000))
        assert await hear(large, 3_000) == [*map(str, range(3_000))]
        try:
            assert await hear(small) == ["gap"]
        except Overflowed:  # where the line was back before all was told, too much came over it: that is said as well
            return
        await tell(elsewhere, stations, "on")
        assert await hear(small) == ["on"]


async def test_a_server_that_comes_back_with_its_memory_leaves_no_gap(keeping_valkey: Valkey, stations: Topic) -> None:
    async with (
        RedisBus(keeping_valkey.url, patience=QUICK) as bus,
        RedisBus(keeping_valkey.url, patience=QUICK) as elsewhere,
        bus.listen(stations) as ear,
        bus.listen(Topic(stations.tenant_id, "session")) as silent,
    ):
        await tell(elsewhere, stations, 1)
        keeping_valkey.kill()
        await until(lambda: not bus.up and not elsewhere.up)
        keeping_valkey.start()
        await until(lambda: elsewhere.up)
        await tell(elsewhere, stations, 2)
        assert await hear(ear, 2) == ["1", "2"]
        await until(lambda: bus.up)
        await tell(elsewhere, Topic(stations.tenant_id, "session"), "of another kind")
        assert await hear(silent) == ["of another kind"]


async def test_a_server_that_has_lost_its_memory_is_a_gap_for_those_who_listen_and_for_those_who_come_back(
    bus: RedisBus, valkey: Valkey, redis: Redis, stations: Topic
) -> None:
    silent_kind = Topic(stations.tenant_id, "session")
    async with bus.listen(stations) as ear, bus.listen(silent_kind) as silent:
        await tell(bus, stations, "old")
        last = (await ids(redis, stations))[-1]
        valkey.kill()
        valkey.start()
        assert await hear(ear, 2) == ["old", "gap"]
        assert await hear(silent) == ["gap"]

    await tell(bus, stations, "new")
    async with bus.listen(stations, after=last) as ear:
        assert await hear(ear) == ["gap"]


async def test_ids_that_begin_anew_below_the_old_ones_make_nobody_deaf(valkey: Valkey, stations: Topic) -> None:
    async with RedisBus(valkey.url, patience=QUICK) as bus, connect(valkey.url) as redis:
        await redis.xadd(stream(stations), {"f": b"[null,null]\nahead"}, id=f"{2**63}-0")
        await redis.xadd(stream(stations), {"f": b"[null,null]\nof time"}, id=f"{2**63}-1")
        async with bus.listen(stations, after=f"{2**63}-0") as ear:
            assert await hear(ear) == ["of time"]
            await tell_live(bus, stations, ear, "live")
            await redis.delete(stream(stations))
            await kill_listeners(redis)
            assert await hear(ear) == ["gap"]
            await tell(bus, stations, "now")
            assert await hear(ear) == ["now"]


async def test_what_a_publisher_could_not_tell_is_a_gap_for_those_who_come_later_too(
    valkey: Valkey, redis: Redis, stations: Topic
) -> None:
    async with RedisBus(valkey.url, patience=QUICK) as bus:
        await tell(bus, stations, "before")
        last = (await ids(redis, stations))[-1]
        hidden = valkey.socket.rename(valkey.folder / "hidden")
        await bus._backend._publisher._client.connection_pool.disconnect()
        with pytest.raises(Exception, match="Redis"):
            await tell(bus, stations, "lost")
        hidden.rename(valkey.socket)
        await until(lambda: not bus._untold and bus._apology is not None and bus._apology.done())
        await tell(bus, stations, "after")

        async with bus.listen(stations, after=last) as ear:
            assert await hear(ear) == ["gap"]
            await tell(bus, stations, "now")
            assert await hear(ear) == ["now"]
        async with bus.listen(stations, after=(await ids(redis, stations))[-2]) as ear:
            assert await hear(ear) == ["now"]


async def test_who_listens_learns_the_order_in_which_all_processes_told(valkey: Valkey, stations: Topic) -> None:
    async with (
        RedisBus(valkey.url) as one,
        RedisBus(valkey.url) as two,
        one.listen(stations, limit=500) as ear,
    ):
        await asyncio.gather(*(tell(bus, stations, n) for n in range(100) for bus in (one, two)))
        heard = [item async for item, _ in zip_count(ear, 200)]

    places = [place(item.id) for item in heard if isinstance(item, Message) and item.id]
    assert len(places) == 200
    assert places == sorted(set(places))


def test_topics_of_facts_alone_are_resumed() -> None:
    assert is_kind_of_facts("station")
    assert is_kind_of_facts("credential")
    assert not is_kind_of_facts("reading")
    assert not is_kind_of_facts("session.metered")

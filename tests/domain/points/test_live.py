"""What viewers see of readings: latest values, news, and what happens to both while Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from domain import history, points
from domain.bus import Bus, Ear, Gap, Message
from domain.points import Latest, LatestReading, Owner, OwnerKind, PointUpdate, Quality, Reading, Updates
from domain.points import live as live_module
from domain.points.live import OWED
from domain.points.news import Live, messages
from domain.work import Workplace
from gateways.redis import Patience, RedisBus, RedisLatest, connect
from tests.domain.points.line import Line
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
QUICK = Patience(connect_s=1, answer_s=5, silence_s=0.2, backoff_min_s=0.01, backoff_max_s=0.1)


async def recorded(
    tester: Tester, *readings: Reading, owner: Owner | None = None, workplace: Workplace | None = None
) -> int:
    async with (workplace or tester.workplace).open_work(tester.actor) as work:
        return (await points.record(work, readings, owner=owner)).recorded


async def next_message(ear: Ear) -> Message:
    news = await asyncio.wait_for(anext(aiter(ear)), timeout=30)
    assert isinstance(news, Message)
    return news


async def updates(ear: Ear, count: int) -> list[PointUpdate]:
    """The next `count` updates, however they are packed."""
    heard: list[PointUpdate] = []
    view = Updates()
    while len(heard) < count:
        heard += view.read(await next_message(ear))
    return heard


async def test_whoever_listens_to_an_owner_hears_what_its_points_measure(acme: Tester) -> None:
    owner = Owner(OwnerKind.STATION, uuid7())
    async with acme.workplace.port(Bus).listen(points.topic(acme.tenant_id, owner.id)) as ear:  # type: ignore[type-abstract]
        await recorded(acme, Reading("a/power", NOON, 11, unit="kW"), Reading("a/mode", NOON, text="eco"), owner=owner)

        assert await updates(ear, 2) == [
            PointUpdate("a/power", NOON, 11_000, None, Quality.GOOD),
            PointUpdate("a/mode", NOON, None, "eco", Quality.GOOD),
        ]


async def test_a_point_is_heard_with_its_own_owner_whoever_records_it(acme: Tester) -> None:
    owner = Owner(OwnerKind.STATION, uuid7())
    await recorded(acme, Reading("a/power", NOON, 1), owner=owner)
    async with acme.work() as work:
        point = await points.by_address(work, "a/power")

    async with acme.workplace.port(Bus).listen(*points.topics(acme.tenant_id, [point])) as ear:  # type: ignore[type-abstract]
        await recorded(acme, Reading("a/power", NOON + timedelta(1), 2))
        assert [update.value for update in await updates(ear, 1)] == [2]


async def test_another_tenant_hears_nothing(acme: Tester, rival: Tester) -> None:
    bus = acme.workplace.port(Bus)  # type: ignore[type-abstract]
    async with bus.listen(points.every_topic(rival.tenant_id), points.topic(rival.tenant_id, None)) as ear:
        await recorded(acme, Reading("a/power", NOON, 1))
        await recorded(rival, Reading("a/power", NOON, 2))

        assert [update.value for update in await updates(ear, 1)] == [2]


async def test_late_readings_are_no_news(acme: Tester) -> None:
    await recorded(acme, Reading("a/power", NOON, 1))
    async with acme.workplace.port(Bus).listen(points.every_topic(acme.tenant_id)) as ear:  # type: ignore[type-abstract]
        await recorded(acme, Reading("a/power", NOON - timedelta(seconds=1), 0))
        await recorded(acme, Reading("a/current", NOON, 2))

        assert [update.address for update in await updates(ear, 1)] == ["a/current"]


async def test_what_a_slow_listener_hears_last_is_what_is_true(acme: Tester) -> None:
    """A thousand batches of the same two points wait as one, and the last of each is the latest value."""
    owner = Owner(OwnerKind.STATION, uuid7())
    async with acme.workplace.port(Bus).listen(points.topic(acme.tenant_id, owner.id), limit=4) as ear:  # type: ignore[type-abstract]
        for n in range(300):
            at = NOON + timedelta(seconds=n)
            await recorded(acme, Reading("a/power", at, n), Reading("a/current", at, -n), owner=owner)
        view = Updates()
        seen: dict[str, float | None] = {}
        while seen.get("a/power") != 299:
            seen |= {update.address: update.value for update in view.read(await next_message(ear))}

    assert seen == {"a/power": 299, "a/current": -299}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(-(2**53), 2**53)), max_size=60),
    st.randoms(),
)
def test_a_listener_never_goes_back_whatever_order_batches_arrive_in(
    readings: list[tuple[str, int, int]], order: st.DataObject
) -> None:
    tenant_id = uuid7()
    told = [
        message
        for address, second, value in readings
        for message in messages(tenant_id, [_live(address, NOON + timedelta(seconds=second), value)])
    ]
    order.shuffle(told)  # type: ignore[attr-defined]
    view = Updates({"a", "b"})

    seen: dict[str, datetime] = {}
    for message in told:
        for update in view.read(message):
            assert update.at >= seen.get(update.address, update.at)
            seen[update.address] = update.at

    newest = {
        address: max(NOON + timedelta(seconds=second) for other, second, _ in readings if other == address)
        for address, _, _ in readings
        if address != "c"
    }
    assert seen == newest


def test_only_batches_about_the_same_points_replace_each_other() -> None:
    tenant_id = uuid7()

    def conflate(*addresses: str) -> str | None:
        return messages(tenant_id, [_live(address, NOON, 1) for address in addresses])[0].conflate

    assert conflate("a", "b") == conflate("b", "a")
    assert len({conflate("a"), conflate("b"), conflate("a", "b"), conflate("ab")}) == 4


def test_a_flood_of_points_is_told_in_messages_of_bearable_size() -> None:
    told = messages(uuid7(), [_live(f"m/{n}", NOON, n) for n in range(2_500)])

    assert [len(list(Updates().read(message))) for message in told] == [1_000, 1_000, 500]


def _live(address: str, at: datetime, value: float) -> Live:
    return Live(address, None, LatestReading(uuid7(), at, value, None, Quality.GOOD))


@asynccontextmanager
async def over(tester: Tester, url: str, *, answer_s: float = 5) -> AsyncIterator[Workplace]:
    """The same workplace with another way to Redis."""
    async with connect(url, patience=replace(QUICK, answer_s=answer_s)) as client, RedisBus(url, patience=QUICK) as bus:
        ports: dict[type[Any], Any] = {**tester.workplace._ports, Latest: RedisLatest(client), Bus: bus}
        yield Workplace(tester.workplace.engine, ports=ports, clock=tester.workplace.clock)


async def latest_value(tester: Tester, address: str) -> float | None:
    async with tester.work() as work:
        point = await points.by_address(work, address)
        found = await points.latest_of(work, [point.id])
        return found[point.id].value if point.id in found else None


async def until_shown(tester: Tester, address: str, value: float) -> None:
    async with asyncio.timeout(60):
        while await latest_value(tester, address) != value:  # noqa: ASYNC110  # another process would have no event either
            await asyncio.sleep(0.02)


async def test_without_redis_readings_are_stored_and_shown_when_it_is_back(
    acme: Tester, rival: Tester, redis_line: tuple[Line, str]
) -> None:
    line, url = redis_line
    async with over(acme, url) as workplace:
        await recorded(acme, Reading("a/power", NOON, 1), workplace=workplace)
        with capture_logs() as logs:
            await line.cut()
            for n in range(2, 6):
                at = NOON + timedelta(seconds=n)
                assert await recorded(acme, Reading("a/power", at, n), workplace=workplace) == 1
                assert await recorded(rival, Reading("a/power", at, -n), workplace=workplace) == 1
            assert await recorded(acme, Reading("a/power", NOON, 1.5), workplace=workplace) == 1
            found = await history.history(
                acme.workplace, acme.actor, addresses=["a/power"], from_=NOON, to=NOON + timedelta(1)
            )
            assert found.series[0].values == [1.5, 2, 3, 4, 5]
            assert await latest_value(acme, "a/power") == 1

            await line.mend()
            await until_shown(acme, "a/power", 5)
            await until_shown(rival, "a/power", -5)
            async with asyncio.timeout(60):
                while OWED._value.get():  # noqa: ASYNC110  # a gauge has no event
                    await asyncio.sleep(0.02)
            await recorded(acme, Reading("a/power", NOON + timedelta(minutes=1), 6), workplace=workplace)

        assert await latest_value(acme, "a/power") == 6
        said = [log["event"] for log in logs if "latest values" in log["event"]]
        assert said == ["latest values wait for Redis", "latest values are shown again"]


async def test_viewers_hear_what_redis_missed_when_it_is_back(acme: Tester, redis_line: tuple[Line, str]) -> None:
    line, url = redis_line
    async with over(acme, url) as workplace, acme.workplace.port(Bus).listen(points.every_topic(acme.tenant_id)) as ear:  # type: ignore[type-abstract]
        await line.cut()
        await recorded(acme, Reading("a/power", NOON, 1), workplace=workplace)
        await recorded(acme, Reading("a/power", NOON + timedelta(1), 2), workplace=workplace)
        await line.mend()

        async with asyncio.timeout(60):
            async for news in ear:
                if not isinstance(news, Gap) and [update.value for update in Updates().read(news)] == [2]:
                    break


async def test_a_redis_that_hangs_is_waited_for_once_and_not_by_every_batch(
    acme: Tester, redis_line: tuple[Line, str]
) -> None:
    line, url = redis_line
    async with over(acme, url, answer_s=0.3) as workplace:
        line.freeze()
        before = line.accepted
        for n in range(30):
            await recorded(acme, Reading("a/power", NOON + timedelta(seconds=n), n), workplace=workplace)
        tries = line.accepted - before
        line.thaw()
        await until_shown(acme, "a/power", 29)

    assert tries < 15  # one connection each, were they to try


async def test_what_is_owed_to_viewers_is_bounded(
    acme: Tester, redis_line: tuple[Line, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line, url = redis_line
    monkeypatch.setattr(live_module, "OWED_MAX", 3)
    async with over(acme, url) as workplace:
        await line.cut()
        await recorded(acme, *(Reading(f"m/{n}", NOON, n) for n in range(5)), workplace=workplace)
        await recorded(acme, Reading("m/0", NOON + timedelta(1), 10), workplace=workplace)
        assert OWED._value.get() == 3

        await line.mend()
        await until_shown(acme, "m/0", 10)
        await until_shown(acme, "m/2", 2)
        assert await latest_value(acme, "m/4") is None

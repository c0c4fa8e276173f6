"""Subscriptions on a bus of their own, whose line is cut while they live; and subscribers who come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from domain.bus import Bus
from domain.stations import StationStatus
from domain.work import Workplace
from gateways.redis import RedisBus, connect
from resolvers.context import context
from tests.factories import a_station
from tests.gateways.redis.conftest import QUICK, Valkey, kill_listeners
from tests.schema.test_commands import completed, requested
from tests.schema.test_sessions import a_charger
from tests.schema.test_stations import a_plug
from tests.tester import Tester, watched

pytestmark = pytest.mark.anyio


@dataclass
class Watcher:
    """Listens on a line of its own, so that it misses what the tester's own bus tells."""

    tester: Tester
    bus: RedisBus
    url: str

    @property
    def workplace(self) -> Workplace:
        own = self.tester.workplace
        return Workplace(own.engine, clock=own.clock, ports={**own._ports, Bus: self.bus})

    @property
    def told(self) -> Tester:
        """The same tenant, where what it does is told on this line."""
        return replace(self.tester, house=replace(self.tester.house, workplace=self.workplace))

    @asynccontextmanager
    async def watching(self, subscription: str) -> AsyncIterator[AsyncIterator[Any]]:
        asking = context(self.workplace, self.tester.actor)
        stream: Any = watched(asking, f"subscription {{ {subscription} }}")
        async with asyncio.timeout(20):
            try:
                yield stream
            finally:
                await stream.aclose()

    async def lose_the_line(self, *, memory: bool = True) -> None:
        """And the server what it has kept, so that nothing can be made up for."""
        async with connect(self.url) as redis:
            if memory:
                await redis.flushall()
            assert await kill_listeners(redis)


@pytest.fixture
async def watcher(acme: Tester, valkey: Valkey) -> AsyncIterator[Watcher]:
    async with RedisBus(valkey.url, patience=QUICK, linger_s=0.01) as bus:
        yield Watcher(acme, bus, valkey.url)


async def shown(items: AsyncIterator[Any], field: str) -> Any:
    result: Any = await anext(items)
    assert not result.errors, result.errors
    return result.data[field]


async def test_after_a_gap_a_charge_that_ended_unseen_is_shown_ended(acme: Tester, watcher: Watcher) -> None:
    charger = await a_charger(acme)
    await charger.start()

    async with watcher.watching("sessionUpdates { kind session { status energyWh } }") as items:
        assert (await shown(items, "sessionUpdates"))["session"]["status"] == "ACTIVE"
        await charger.stop(5, 2_000.0)
        await watcher.lose_the_line()

        assert await shown(items, "sessionUpdates") == {
            "kind": "SNAPSHOT",
            "session": {"status": "COMPLETED", "energyWh": 1_000.0},
        }


async def test_after_a_gap_an_order_that_ended_unseen_is_shown_ended(acme: Tester, watcher: Watcher) -> None:
    command = await requested(acme, (await a_station(acme)).id)

    async with watcher.watching("commandUpdates { status }") as items:
        assert await shown(items, "commandUpdates") == {"status": "QUEUED"}
        await completed(acme, command)
        await watcher.lose_the_line()

        assert await shown(items, "commandUpdates") == {"status": "ACCEPTED"}


async def test_after_a_gap_every_plug_is_shown_and_news_goes_on(acme: Tester, watcher: Watcher) -> None:
    station = await a_station(acme)
    plugs = "stationStatusUpdates { evseNumber status }"

    async with watcher.watching(plugs) as items:
        assert await shown(items, "stationStatusUpdates") == {"evseNumber": None, "status": "UNKNOWN"}
        await a_plug(acme, station.id, StationStatus.CHARGING)
        await watcher.lose_the_line()

        assert await shown(items, "stationStatusUpdates") == {"evseNumber": None, "status": "CHARGING"}
        assert await shown(items, "stationStatusUpdates") == {"evseNumber": 1, "status": "CHARGING"}
        await a_plug(watcher.told, station.id, StationStatus.AVAILABLE, evse=2)
        assert await shown(items, "stationStatusUpdates") == {"evseNumber": 2, "status": "AVAILABLE"}


async def test_what_happened_while_the_line_was_down_is_made_up_for_without_a_look(
    acme: Tester, watcher: Watcher, valkey: Valkey
) -> None:
    station = await a_station(acme)
    async with (
        RedisBus(valkey.url) as elsewhere,
        watcher.watching("stationStatusUpdates { evseNumber status eventId }") as items,
    ):
        assert await shown(items, "stationStatusUpdates")
        await watcher.lose_the_line(memory=False)
        await a_plug(replace(watcher, bus=elsewhere).told, station.id, StationStatus.CHARGING)

        told = await shown(items, "stationStatusUpdates")
        assert (told["evseNumber"], told["status"]) == (1, "CHARGING")
        assert told["eventId"], "told as news"


async def test_whoever_shares_the_news_of_a_charge_is_told_after_a_gap_that_it_ended(
    acme: Tester, watcher: Watcher
) -> None:
    charger = await a_charger(acme)
    await charger.start()
    listening = asyncio.Event()
    asking = context(watcher.workplace, acme.actor).shared(listening.set)
    document = "subscription { sessionUpdates { kind session { status } } }"

    async with asyncio.timeout(20), aclosing(watched(asking, document)) as items:
        hearing = asyncio.ensure_future(shown(items, "sessionUpdates"))
        await listening.wait()
        await asyncio.sleep(0.2)  # it learns which go on
        await charger.stop(5, 2_000.0)
        await watcher.lose_the_line()

        assert await hearing == {"kind": "SNAPSHOT", "session": {"status": "COMPLETED"}}


async def test_whoever_leaves_is_listened_for_no_more(acme: Tester, watcher: Watcher) -> None:
    await a_station(acme)

    async with watcher.watching("stationStatusUpdates { status }") as items:
        await shown(items, "stationStatusUpdates")
        assert len(watcher.bus._ears) == 1

    assert not watcher.bus._ears

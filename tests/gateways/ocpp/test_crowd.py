"""Coming and going is told, also where the database is away for a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from domain import stations
from domain.actor import Actor
from domain.errors import Unavailable
from domain.work import Work, Workplace
from gateways.ocpp.crowd import Crowd
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio


class Shaky(Workplace):
    """The same house, whose database is away for the first `times` that it is wanted."""

    def __init__(self, house: Workplace, *, times: int) -> None:
        super().__init__(house.engine, ports=house._ports, clock=house.clock)
        self.times = times

    @asynccontextmanager
    async def open_work(self, actor: Actor, **given: Any) -> AsyncIterator[Work]:
        self.times -= 1
        if self.times >= 0:
            raise Unavailable("the database is not reachable")
        async with super().open_work(actor, **given) as work:
            yield work


class Heard(Workplace):
    """The same house, and what each of its works has emitted."""

    def __init__(self, house: Workplace) -> None:
        super().__init__(house.engine, ports=house._ports, clock=house.clock)
        self.works: list[list[Any]] = []

    async def _publish(self, work: Work) -> None:
        self.works.append([envelope.event for envelope in work.emitted])


async def test_a_station_that_comes_while_the_database_is_away_has_come(acme: Tester) -> None:
    station = await a_station(acme)

    await Crowd(Shaky(acme.workplace, times=2), retry_delays_s=(0, 0)).came(acme.tenant_id, station.id, "ocpp1.6")

    async with acme.work(read_only=True) as work:
        assert (await stations.by_id(work, station.id)).ocpp_version == "ocpp1.6"


async def test_whoever_waits_longer_than_that_is_told(acme: Tester) -> None:
    station, shaky = await a_station(acme), Shaky(acme.workplace, times=2)
    crowd = Crowd(shaky, retry_delays_s=(0,))

    with pytest.raises(Unavailable):
        await crowd.came(acme.tenant_id, station.id, "ocpp1.6")
    await crowd.came(acme.tenant_id, station.id, "ocpp2.0.1")

    async with acme.work(read_only=True) as work:
        assert (await stations.by_id(work, station.id)).ocpp_version == "ocpp2.0.1"


async def test_a_crowd_is_told_together_and_of_each_station_in_order(acme: Tester) -> None:
    first, second = await a_station(acme, "CP-1"), await a_station(acme, "CP-2")
    house = Heard(acme.workplace)
    crowd = Crowd(house)
    await asyncio.gather(
        crowd.came(acme.tenant_id, first.id, "ocpp1.6", peer="192.0.2.1"),
        crowd.came(acme.tenant_id, second.id, "ocpp2.0.1", peer="192.0.2.2"),
        crowd.went(acme.tenant_id, first.id),
        crowd.went(acme.tenant_id, uuid4()),  # deleted meanwhile
        crowd.came(acme.tenant_id, first.id, "ocpp2.1"),
    )

    assert len(house.works) == 1
    told = [(event.station_id, getattr(event, "ocpp_version", None)) for event in house.works[0]]
    assert [version for station_id, version in told if station_id == first.id] == ["ocpp1.6", None, "ocpp2.1"]
    assert [version for station_id, version in told if station_id == second.id] == ["ocpp2.0.1"]
    assert len(told) == 4
    async with acme.work(read_only=True) as work:
        now = [await stations.by_id(work, station.id) for station in (first, second)]
    assert [(station.ocpp_version, station.peer) for station in now] == [
        ("ocpp2.1", "192.0.2.1"),
        ("ocpp2.0.1", "192.0.2.2"),
    ]

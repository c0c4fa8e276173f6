"""Coming and going is told, also where the database is away for a moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

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

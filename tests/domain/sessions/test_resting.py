"""Where a charge has ended nothing flows, though most stations do not say so."""

from datetime import timedelta

import pytest

from domain import history, points, stations
from domain.actor import Role
from domain.points import LatestReading, Owner, OwnerKind, Quality, Reading
from domain.reactions import Apart, reactions_to
from domain.sessions import SessionStopped, come_to_rest
from tests.domain.sessions.charger import Charger, a_charger, minute
from tests.factories import a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio

POWER, PHASE, REGISTER = "Power.Active.Import", "Current.Import/L1", "Energy.Active.Import.Register"
OFFERED, LIMIT = "Power.Offered", "Current.Import.Offered/L1"


async def place_of(charger: Charger, evse: int = 1) -> str:
    async with charger.tester.work(read_only=True) as work:
        station = await stations.by_id(work, charger.station_id)
    return stations.address_of(station.identity, evse)


async def measure(charger: Charger, at: float, *, evse: int = 1, **values: float) -> None:
    place = await place_of(charger, evse)
    names = {
        "power": (POWER, "W"),
        "current": (PHASE, "A"),
        "register": (REGISTER, "Wh"),
        "offered": (OFFERED, "W"),
        "limit": (LIMIT, "A"),
    }
    readings = [
        Reading(f"{place}/{names[name][0]}", minute(at), value=value, unit=names[name][1])
        for name, value in values.items()
    ]
    async with charger.tester.work(role=Role.STATION) as work:
        await points.record(work, readings, owner=Owner(OwnerKind.STATION, charger.station_id))


async def shown(charger: Charger, measurand: str, evse: int = 1) -> LatestReading:
    address = f"{await place_of(charger, evse)}/{measurand}"
    async with charger.tester.work(read_only=True) as work:
        point = await points.by_address(work, address)
        return (await points.latest_of(work, [point.id]))[point.id]


async def a_charge(charger: Charger, *, until: float) -> None:
    started = await charger.start(0)
    await measure(charger, 0, power=11_000, current=16, register=1_000, offered=22_000, limit=32)
    await charger.stop(until, meter_wh=8_500, transaction_id=started.session.transaction_id)


async def test_what_flowed_is_0_from_the_end_of_the_charge_on(acme: Tester) -> None:
    charger = await a_charger(acme, now=30)
    await a_charge(charger, until=30)
    await acme.relay()

    for flow in (POWER, PHASE):
        reading = await shown(charger, flow)
        assert (reading.value, reading.quality) == (0, Quality.UNCERTAIN)
        assert minute(30) < reading.at < minute(30) + timedelta(seconds=1)
    assert (await shown(charger, REGISTER)).value == 1_000
    assert (await shown(charger, OFFERED)).value == 22_000
    assert (await shown(charger, LIMIT)).value == 32


async def test_power_that_was_measured_once_weighs_no_longer_than_the_charge(acme: Tester) -> None:
    charger = await a_charger(acme, now=90)
    await a_charge(charger, until=30)
    await acme.relay()

    found = await history.energy(
        acme.workplace, acme.actor, addresses=[f"{await place_of(charger)}/{POWER}"], from_=minute(0), to=minute(90)
    )
    assert found.series[0].energy_wh == pytest.approx(5_500, abs=1)


async def test_what_the_station_measured_at_the_end_and_after_it_stays(acme: Tester) -> None:
    charger = await a_charger(acme, now=40)
    started = await charger.start(0)
    await measure(charger, 30, power=7_000)
    await measure(charger, 35, power=60)
    await charger.stop(30, meter_wh=8_500, transaction_id=started.session.transaction_id)
    await acme.relay()

    assert (await shown(charger, POWER)).value == 60
    rows = await history.history(
        acme.workplace, acme.actor, addresses=[f"{await place_of(charger)}/{POWER}"], from_=minute(0), to=minute(40)
    )
    assert list(rows.series[0].values) == [7_000, 0, 60]


async def test_the_other_evse_of_the_station_and_the_rivals_station_go_on(acme: Tester, rival: Tester) -> None:
    charger, theirs = await a_charger(acme, now=30), await a_charger(rival, now=30)
    await a_token(acme)
    await measure(charger, 0, evse=2, power=3_000)
    await measure(theirs, 0, power=4_000)
    await a_charge(charger, until=30)
    await acme.relay()

    assert (await shown(charger, POWER, evse=2)).value == 3_000
    assert (await shown(theirs, POWER)).value == 4_000


async def test_a_charge_that_goes_on_after_all_is_not_put_to_rest(acme: Tester) -> None:
    charger = await a_charger(acme, now=30)
    started = await charger.start(0)
    await measure(charger, 0, power=11_000)
    early = SessionStopped(session_id=started.session.id, station_id=charger.station_id, energy_wh=0, inferred=True)
    await come_to_rest(acme.workplace, acme.acting_as(Role.SYSTEM), early)

    assert (await shown(charger, POWER)).value == 11_000


async def test_it_is_done_as_often_as_the_relay_likes(acme: Tester) -> None:
    charger = await a_charger(acme, now=30)
    await a_charge(charger, until=30)
    ended = SessionStopped(
        session_id=(await charger.session()).id, station_id=charger.station_id, energy_wh=7_500, inferred=False
    )
    for _ in range(3):
        await come_to_rest(acme.workplace, acme.acting_as(Role.SYSTEM), ended)

    rows = await history.history(
        acme.workplace, acme.actor, addresses=[f"{await place_of(charger)}/{POWER}"], from_=minute(0), to=minute(40)
    )
    assert list(rows.series[0].values) == [11_000, 0]
    assert [type(following) for following in reactions_to(SessionStopped)] == [Apart]


async def test_a_charge_of_which_nothing_was_measured_makes_no_points(acme: Tester) -> None:
    charger = await a_charger(acme, now=30)
    started = await charger.start(0)
    await charger.stop(30, meter_wh=8_500, transaction_id=started.session.transaction_id)
    await acme.relay()

    async with acme.work(read_only=True) as work:
        assert await points.of_owner(work, charger.station_id, limit=10) == []

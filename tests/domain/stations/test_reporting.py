"""What stations say of their plugs, in whatever order and by whatever clock."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain import stations
from domain.actor import Role
from domain.events import Event
from domain.stations import StationStatus, StationStatusChanged
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


async def says(
    tester: Tester, station_id: UUID, status: StationStatus, at: float, *, evse: int | None = 1, connector: int = 1
) -> list[Event]:
    """What follows from it for those who watch."""
    async with tester.work(role=Role.STATION) as work:
        await stations.report_status(
            work,
            station_id=station_id,
            evse_number=evse,
            connector_number=None if evse is None else connector,
            status=status,
            at=minute(at),
        )
    return [envelope.event for envelope in work.emitted]


async def charges(tester: Tester, station_id: UUID, state: StationStatus | None, at: float, *, evse: int = 1) -> None:
    async with tester.work(role=Role.STATION) as work:
        await stations.report_charging_state(work, station_id=station_id, evse_number=evse, state=state, at=minute(at))


async def shown(tester: Tester, station_id: UUID) -> list[StationStatus]:
    """The station's status, then its connectors'."""
    async with tester.work(read_only=True) as work:
        station = await stations.by_id(work, station_id)
        evses = await stations.evses_of(work, [station_id])
        plugs = await stations.connectors_of(work, [evse.id for evse in evses])
    return [station.status, *(plug.status for plug in sorted(plugs, key=lambda plug: (plug.evse_number, plug.number)))]


async def test_a_status_from_before_the_one_that_is_known_changes_nothing(acme: Tester) -> None:
    acme.clock.now = minute(60)
    station_id = (await a_station(acme)).id
    await says(acme, station_id, StationStatus.CHARGING, 30)
    await says(acme, station_id, StationStatus.PREPARING, 20)
    assert await shown(acme, station_id) == [StationStatus.CHARGING, StationStatus.CHARGING]


async def test_a_clock_that_was_ahead_and_is_set_right_does_not_silence_its_station(acme: Tester) -> None:
    acme.clock.now = minute(0)
    station_id = (await a_station(acme)).id
    for evse in (1, None):
        await says(acme, station_id, StationStatus.UNAVAILABLE, 90, evse=evse)
        await says(acme, station_id, StationStatus.AVAILABLE, 0, evse=evse)
    assert await shown(acme, station_id) == [StationStatus.AVAILABLE, StationStatus.AVAILABLE]


async def test_a_clock_that_was_ahead_and_is_set_right_does_not_hide_what_a_charge_does(acme: Tester) -> None:
    acme.clock.now = minute(0)
    station_id = (await a_station(acme)).id
    await says(acme, station_id, StationStatus.OCCUPIED, -1)
    await charges(acme, station_id, StationStatus.CHARGING, 90)
    await charges(acme, station_id, StationStatus.SUSPENDED_EV, 0)
    assert await shown(acme, station_id) == [StationStatus.SUSPENDED_EV, StationStatus.SUSPENDED_EV]


async def test_a_free_plug_does_not_hide_the_charge_at_its_neighbor_on_the_same_evse(acme: Tester) -> None:
    acme.clock.now = minute(60)
    station_id = (await a_station(acme)).id
    await says(acme, station_id, StationStatus.OCCUPIED, 0, connector=1)
    await charges(acme, station_id, StationStatus.CHARGING, 1)
    await says(acme, station_id, StationStatus.UNAVAILABLE, 2, connector=2)
    await says(acme, station_id, StationStatus.AVAILABLE, 3, connector=2)
    await says(acme, station_id, StationStatus.FAULTED, 4, connector=1)
    await says(acme, station_id, StationStatus.OCCUPIED, 5, connector=1)
    assert await shown(acme, station_id) == [StationStatus.CHARGING, StationStatus.CHARGING, StationStatus.AVAILABLE]


async def test_the_last_plug_that_becomes_free_ends_what_its_evse_showed(acme: Tester) -> None:
    acme.clock.now = minute(60)
    station_id = (await a_station(acme)).id
    await says(acme, station_id, StationStatus.OCCUPIED, 0)
    await charges(acme, station_id, StationStatus.CHARGING, 1)
    await says(acme, station_id, StationStatus.AVAILABLE, 2)
    await says(acme, station_id, StationStatus.OCCUPIED, 3)
    assert await shown(acme, station_id) == [StationStatus.OCCUPIED, StationStatus.OCCUPIED]


async def test_the_station_itself_is_told_of_as_the_whole_that_it_is(acme: Tester) -> None:
    """Its connector 0 says Available while a car charges: whoever watches must not take the station for free."""
    acme.clock.now = minute(60)
    station_id = (await a_station(acme)).id
    told = [
        *await says(acme, station_id, StationStatus.CHARGING, 0),
        *await says(acme, station_id, StationStatus.AVAILABLE, 1, evse=None),
        *await says(acme, station_id, StationStatus.FAULTED, 2, evse=None),
    ]
    assert [(e.evse_number, e.status) for e in told if isinstance(e, StationStatusChanged)] == [
        (1, "CHARGING"),
        (None, "CHARGING"),
        (None, "FAULTED"),
    ]

"""Stations that come, boot and go."""

import asyncio
from datetime import timedelta

import pytest

from domain import stations
from domain.actor import Role
from domain.events import Event
from domain.stations import Presence, Registration, StationStatus
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio


async def test_a_boot_tells_who_the_station_is_and_resets_nothing(acme: Tester) -> None:
    station = await a_station(acme, registration=Registration.PENDING)
    async with acme.work(role=Role.STATION) as work:
        await stations.report_status(
            work,
            station_id=station.id,
            evse_number=1,
            connector_number=1,
            status=StationStatus.CHARGING,
            at=work.now,
        )
    for version in ("1.0", "1.1"):
        async with acme.work(role=Role.STATION) as work:
            booted = await stations.boot(
                work, station_id=station.id, reason="PowerUp", vendor="Voltex", model="One", firmware_version=version
            )
        assert [type(envelope.event) for envelope in work.emitted] == [stations.StationBooted]

    assert (booted.vendor, booted.model, booted.firmware_version, booted.boot_reason) == (
        "Voltex",
        "One",
        "1.1",
        "PowerUp",
    )
    assert (booted.registration, booted.status) == (Registration.PENDING, StationStatus.CHARGING)
    assert booted.booted_at == booted.last_seen_at == work.now


async def test_coming_and_going_is_told(acme: Tester) -> None:
    station = await a_station(acme)
    told: list[type[Event]] = []
    async with acme.work(role=Role.STATION) as work:
        await stations.connected(work, station_ids=[station.id], ocpp_version="ocpp1.6")
    told += [type(envelope.event) for envelope in work.emitted]
    came_at = work.now
    async with acme.work(role=Role.STATION) as work:
        await stations.disconnected(work, station_ids=[station.id], seen_at=came_at - timedelta(hours=1))
    told += [type(envelope.event) for envelope in work.emitted]

    assert told == [stations.StationConnected, stations.StationDisconnected]
    async with acme.work() as work:
        gone = await stations.by_id(work, station.id)
    assert (gone.ocpp_version, gone.last_seen_at) == ("ocpp1.6", came_at)


async def test_a_station_that_was_deleted_goes_quietly(acme: Tester) -> None:
    station = await a_station(acme)
    async with acme.work() as work:
        await stations.delete(work, station_id=station.id)
    async with acme.work(role=Role.STATION) as work:
        await stations.disconnected(work, station_ids=[station.id])

    assert work.emitted == []


async def test_a_station_whose_process_died_is_missed_once(acme: Tester) -> None:
    lost, kept = await a_station(acme), await a_station(acme)
    presence = acme.workplace.port(Presence)  # type: ignore[type-abstract]
    await presence.claim(acme.tenant_id, lost.id, "dead/1", 0.01)
    await presence.claim(acme.tenant_id, kept.id, "alive/1", 60)

    missed: list[Event] = []
    async with asyncio.timeout(20):
        while not missed:
            async with acme.work(role=Role.SYSTEM) as work:
                await stations.forget_lost(work)
            missed = [envelope.event for envelope in work.emitted]

    assert missed == [stations.StationDisconnected(station_id=lost.id)]
    async with acme.work(role=Role.SYSTEM) as work:
        await stations.forget_lost(work)
    assert work.emitted == []
    assert await presence.online(acme.tenant_id) == {kept.id}

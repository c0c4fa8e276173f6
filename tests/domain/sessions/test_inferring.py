"""Charges that nobody ends are over some time; whatever is heard of one later takes it back."""

from datetime import timedelta

import pytest

from domain import sessions, stations
from domain.actor import Role
from domain.reactions import SWEEPS, reactions_to
from domain.sessions import ChargingState, EvseVacated, SessionResumed, SessionStatus, SessionStopped, Stage
from domain.stations import Presence, StationStatus
from tests.domain.sessions.charger import Charger, a_charger, minute, sample, told
from tests.statements import assert_statements
from tests.tester import Tester

pytestmark = pytest.mark.anyio

STARTED, UPDATED, ENDED = Stage


async def vacate(charger: Charger, at: float, *, evse: int = 1) -> EvseVacated | None:
    """What is emitted, if anything."""
    async with charger.telling() as work:
        await sessions.vacate(work, station_id=charger.station_id, evse_number=evse, at=minute(at))
    return next((one.event for one in work.emitted if isinstance(one.event, EvseVacated)), None)


async def grace_ends(charger: Charger, vacated: EvseVacated | None) -> None:
    assert vacated is not None
    async with charger.tester.work(role=Role.SYSTEM) as work:
        await sessions.interrupt_vacated(work, vacated)


async def vacated(tester: Tester) -> tuple[Charger, str]:
    """A charge from minute 0, last heard of at minute 10, whose connector was free at minute 12."""
    charger = await a_charger(tester, now=0)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    await charger.meter(sample(10, 1_900), transaction_id=number)
    tester.clock.now = minute(12)
    event = await vacate(charger, 12)
    tester.clock.now = minute(17)
    await grace_ends(charger, event)
    return charger, number


async def test_a_charge_whose_connector_is_free_is_over_where_it_was_last_heard_of(acme: Tester) -> None:
    charger, _ = await vacated(acme)
    session = await charger.session()
    assert (session.status, session.ended_at, session.inferred) == (SessionStatus.INTERRUPTED, minute(10), True)
    assert session.energy_wh == 900
    assert [type(event) for event in await told(acme)].count(SessionStopped) == 1


async def test_its_stop_completes_it_with_its_true_values_before_and_after_the_grace(acme: Tester) -> None:
    charger, number = await vacated(acme)
    await charger.stop(11, meter_wh=2_000, transaction_id=number)
    session = await charger.session()
    assert (session.status, session.ended_at, session.energy_wh) == (SessionStatus.COMPLETED, minute(11), 1_000)

    other = await a_charger(acme, now=0)
    number = (await other.start(0, meter_wh=1_000)).session.transaction_id
    event = await vacate(other, 12)
    await other.stop(11, meter_wh=2_000, transaction_id=number)
    await grace_ends(other, event)
    assert (await other.session()).status is SessionStatus.COMPLETED


async def test_values_of_the_transaction_from_after_it_show_that_the_charge_goes_on(acme: Tester) -> None:
    charger, number = await vacated(acme)
    await charger.meter(sample(11, 1_950), transaction_id=number)  # kept from before
    assert (await charger.session()).status is SessionStatus.INTERRUPTED
    await charger.meter(sample(20, 2_500), transaction_id=number)
    assert (await charger.session()).status is SessionStatus.ACTIVE
    assert type((await told(acme))[-1]) is SessionResumed


async def test_a_connector_that_charges_again_within_the_grace_keeps_its_charge(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await charger.start(0, meter_wh=1_000)
    event = await vacate(charger, 12)
    await charger.resume(13)
    await grace_ends(charger, event)
    assert (await charger.session()).status is SessionStatus.ACTIVE
    assert await charger.meter(sample(14, 1_500)) is not None, "values without a transaction are its own again"


async def test_values_without_a_transaction_are_not_of_a_charge_whose_connector_is_free(acme: Tester) -> None:
    """Samples by the clock come from an empty connector too: they are the station's telemetry."""
    charger = await a_charger(acme, now=0)
    await charger.start(0, meter_wh=1_000)
    event = await vacate(charger, 12)
    assert await charger.meter(sample(13, 5_000)) is None
    await grace_ends(charger, event)
    session = await charger.session()
    assert (session.status, session.energy_wh) == (SessionStatus.INTERRUPTED, 0)


async def test_free_connectors_without_a_charge_and_repeated_ones_are_told_of_no_further(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    assert await vacate(charger, 0) is None
    number = (await charger.start(1)).session.transaction_id
    assert await vacate(charger, 0.5) is None, "it was free before it charged"
    assert await vacate(charger, 2) is not None
    assert await vacate(charger, 2) is None
    await charger.stop(3, meter_wh=1_000, transaction_id=number)
    assert await vacate(charger, 4) is None


@pytest.mark.parametrize("skew_s", [-3_600.0, 0.0])
async def test_a_charge_that_outlasts_a_boot_goes_on_by_whatever_clock_its_station_has(
    acme: Tester, skew_s: float
) -> None:
    """Its values come every quarter of an hour: more seldom than a charge is given to be heard of after a boot."""
    charger = await a_charger(acme, now=0)
    async with charger.telling() as work:
        await stations.report_clock(work, station_id=charger.station_id, skew_s=skew_s)
    behind = skew_s / 60
    number = (await charger.start(behind, meter_wh=1_000)).session.transaction_id
    await charger.meter(sample(behind + 5, 2_000), transaction_id=number)
    acme.clock.now = minute(10)
    booted = await charger.boot()
    acme.clock.now = minute(15)
    await charger.grace_ends(booted)
    assert (await charger.session()).status is SessionStatus.INTERRUPTED

    await charger.meter(sample(behind + 9, 2_500), transaction_id=number)  # kept from before
    assert (await charger.session()).status is SessionStatus.INTERRUPTED
    acme.clock.now = minute(20)
    await charger.meter(sample(behind + 20, 3_000), transaction_id=number)

    session = await charger.session()
    assert (session.status, session.ended_at, session.energy_wh) == (SessionStatus.ACTIVE, None, 2_000)


async def test_values_after_a_boot_that_name_no_transaction_are_telemetry_of_the_station(acme: Tester) -> None:
    """It has forgotten its charge, or never learned its number: nobody can tell whether it is still the same."""
    charger = await a_charger(acme, now=0)
    await charger.start(0, meter_wh=1_000)
    await charger.meter(sample(5, 2_000))
    acme.clock.now = minute(10)
    booted = await charger.boot()
    acme.clock.now = minute(15)
    await charger.grace_ends(booted)

    assert await charger.meter(sample(20, 3_000)) is None
    session = await charger.session()
    assert (session.status, session.energy_wh) == (SessionStatus.INTERRUPTED, 1_000)


async def test_only_the_last_time_that_it_was_free_counts(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    number = (await charger.start(0)).session.transaction_id
    first = await vacate(charger, 2)
    await charger.meter(sample(3, 1_200), transaction_id=number)
    second = await vacate(charger, 4)
    await grace_ends(charger, first)
    assert (await charger.session()).status is SessionStatus.ACTIVE
    await grace_ends(charger, second)
    assert (await charger.session()).status is SessionStatus.INTERRUPTED


async def test_a_charge_that_is_gone_keeps_no_grace_from_ending(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await charger.start(0)
    event = await vacate(charger, 2)
    async with acme.work() as work:
        await stations.delete(work, station_id=charger.station_id)
    await grace_ends(charger, event)


def test_the_graces_and_the_looking_after_are_wired() -> None:
    (grace,) = reactions_to(EvseVacated)
    assert (grace.reaction, grace.delay) == (sessions.interrupt_vacated, timedelta(minutes=5))
    assert sessions.interrupt_forgotten in SWEEPS


# By age


async def come(charger: Charger, *, online: bool = True) -> None:
    async with charger.tester.work(role=Role.SYSTEM) as work:
        await stations.connected(work, station_ids=[charger.station_id], ocpp_version="ocpp1.6")
    if online:
        presence = charger.tester.workplace.port(Presence)  # type: ignore[type-abstract]
        await presence.claim(charger.tester.tenant_id, charger.station_id, "a/test", 600.0)


async def sweep(tester: Tester) -> None:
    async with tester.work(role=Role.SYSTEM) as work:
        await sessions.interrupt_forgotten(work)


async def forgotten(tester: Tester, *, online: bool = True) -> tuple[Charger, str]:
    charger = await a_charger(tester, now=0)
    await come(charger, online=online)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    await charger.meter(sample(10, 1_900), transaction_id=number)
    tester.clock.now = minute(10) + timedelta(hours=25)
    return charger, number


async def test_a_charge_that_its_station_says_nothing_of_for_a_day_is_over_by_inference(acme: Tester) -> None:
    charger, number = await forgotten(acme)
    await sweep(acme)
    session = await charger.session()
    assert (session.status, session.ended_at, session.energy_wh) == (SessionStatus.INTERRUPTED, minute(10), 900)
    assert session.inferred

    await charger.meter(sample(60 * 30, 4_000), transaction_id=number)
    session = await charger.session()
    assert (session.status, session.inferred, session.energy_wh) == (SessionStatus.ACTIVE, False, 3_000)


async def test_a_station_that_is_away_or_just_back_has_time_to_say_it(acme: Tester) -> None:
    away, _ = await forgotten(acme, online=False)
    back, _ = await forgotten(acme)
    await come(back)
    await sweep(acme)
    assert {(await charger.session()).status for charger in (away, back)} == {SessionStatus.ACTIVE}
    acme.clock.forward(hours=2)
    await sweep(acme)
    assert (await back.session()).status is SessionStatus.INTERRUPTED
    assert (await away.session()).status is SessionStatus.ACTIVE


async def test_a_charge_that_is_heard_of_is_not_forgotten_and_other_tenants_are_left_alone(
    acme: Tester, rival: Tester
) -> None:
    charger, number = await forgotten(acme)
    await charger.meter(sample(60 * 24, 1_900), transaction_id=number)  # it draws nothing, and says so
    other, _ = await forgotten(rival)
    await sweep(acme)
    assert (await charger.session()).status is SessionStatus.ACTIVE
    assert (await other.session()).status is SessionStatus.ACTIVE


async def test_looking_for_the_forgotten_costs_one_statement_where_there_are_none(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.start(0)
    with assert_statements(acme, 1):
        await sweep(acme)


# What is missing (2.x)


async def hear_all_sent(charger: Charger, *, is_ongoing: bool | None = True) -> None:
    async with charger.telling() as work:
        await sessions.hear_all_sent(work, station_id=charger.station_id, transaction_id="TX-1", is_ongoing=is_ongoing)


async def test_gaps_are_counted_asked_for_and_filled(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    assert not (await charger.report(STARTED, 0, seq=7, evse_number=1)).asks
    assert (await charger.report(UPDATED, 3, seq=10)).asks
    assert not (await charger.report(UPDATED, 4, seq=11)).asks, "it was asked a moment ago"
    assert (await charger.session()).missing_messages == 2
    acme.clock.now = minute(20)
    assert (await charger.report(UPDATED, 5, seq=12)).asks
    await charger.report(UPDATED, 1, seq=8)
    await charger.report(UPDATED, 1, seq=8)
    assert (await charger.session()).missing_messages == 1
    await charger.report(UPDATED, 2, seq=9)
    assert not (await charger.report(ENDED, 20, seq=13)).asks
    session = await charger.session()
    assert (session.missing_messages, session.incomplete) == (0, False)


async def test_what_a_station_says_it_has_not_got_is_missing_for_good_until_it_comes_after_all(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await charger.report(STARTED, 0, seq=0, evse_number=1)
    await charger.report(UPDATED, 3, seq=2)
    await hear_all_sent(charger)
    session = await charger.session()
    assert (session.missing_messages, session.incomplete, session.status) == (1, True, SessionStatus.ACTIVE)
    assert not (await charger.report(ENDED, 9, seq=3)).asks, "it has said so already"
    assert (await charger.report(ENDED, 9, seq=5)).asks, "this gap is a new one"
    await charger.report(UPDATED, 2, seq=1)
    session = await charger.session()
    assert (session.missing_messages, session.incomplete) == (1, False)


async def test_an_end_whose_start_never_comes_is_asked_for_and_incomplete(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    assert (await charger.report(ENDED, 9, seq=3)).asks
    await hear_all_sent(charger, is_ongoing=False)
    session = await charger.session()
    assert (session.status, session.start_inferred, session.incomplete) == (SessionStatus.COMPLETED, True, True)
    await charger.report(STARTED, 0, seq=2, evse_number=1)
    assert not (await charger.session()).incomplete


async def test_a_charge_that_the_station_knows_no_more_of_is_over_by_inference(acme: Tester) -> None:
    charger = await a_charger(acme, now=10)
    await charger.report(STARTED, 0, seq=0, evse_number=1, state=ChargingState.CHARGING)
    async with charger.telling() as work:
        await stations.report_charging_state(
            work, station_id=charger.station_id, evse_number=1, state=StationStatus.CHARGING, at=minute(0)
        )
    await charger.report(UPDATED, 3, seq=2, samples=[sample(3, 1_000)])
    await hear_all_sent(charger, is_ongoing=False)
    session = await charger.session()
    assert (session.status, session.inferred, session.incomplete) == (SessionStatus.INTERRUPTED, True, True)
    async with acme.work(read_only=True) as work:
        assert (await stations.by_id(work, charger.station_id)).status is not StationStatus.CHARGING


async def test_of_a_transaction_that_nobody_knows_nothing_is_missing(acme: Tester) -> None:
    charger = await a_charger(acme)
    await hear_all_sent(charger)
    assert await charger.sessions() == []

"""How charges end, by the station's word or without it; nothing a station says of an end is lost."""

import asyncio
from typing import Any

import pytest

from domain import stations
from domain.sessions import ChargingState, Moment, SessionResumed, SessionStatus, SessionStopped, Stage
from domain.stations import StationStatus
from tests.domain.sessions.charger import Charger, a_charger, minute, sample, told
from tests.factories import a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio


async def test_a_stop_completes_the_charge_with_the_energy_between_the_registers(acme: Tester) -> None:
    charger = await a_charger(acme, now=30)
    started = await charger.start(0, meter_wh=1_000)

    await charger.stop(30, meter_wh=8_500, transaction_id=started.session.transaction_id, reason="EVDisconnected")

    session = await charger.session()
    assert (session.status, session.ended_at, session.inferred) == (SessionStatus.COMPLETED, minute(30), False)
    assert (session.meter_start_wh, session.meter_stop_wh, session.energy_wh) == (1_000, 8_500, 7_500)
    assert (session.stop_reason, session.power_w, session.meter_suspect) == ("EVDisconnected", None, False)
    assert (await told(acme))[-1] == SessionStopped(
        session_id=session.id, station_id=charger.station_id, energy_wh=7_500, inferred=False
    )


async def test_a_repeated_stop_changes_and_tells_nothing(acme: Tester) -> None:
    charger = await a_charger(acme)
    started = await charger.start()
    for at, meter_wh in ((30, 8_500), (30, 8_500), (31, 0)):
        await charger.stop(at, meter_wh=meter_wh, transaction_id=started.session.transaction_id)
    session = await charger.session()
    assert (session.ended_at, session.energy_wh, session.meter_suspect) == (minute(30), 7_500, False)
    assert [type(event) for event in await told(acme)].count(SessionStopped) == 1


async def test_stops_repeated_at_the_same_time_tell_one_end(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start()).session.transaction_id
    await asyncio.gather(*(charger.stop(30, meter_wh=8_500, transaction_id=number) for _ in range(4)))
    assert [type(event) for event in await told(acme)].count(SessionStopped) == 1


async def test_what_a_stop_brings_of_the_whole_charge_is_merged_with_what_was_known(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start(0, meter_wh=None)).session.transaction_id
    await charger.meter(sample(10, 1_500), transaction_id=number)
    await charger.stop(
        30,
        meter_wh=None,
        transaction_id=number,
        samples=[
            sample(0, 1_000, moment=Moment.BEGIN),
            sample(10, 1_500),
            sample(30, 2_200, moment=Moment.END),
        ],
    )
    session = await charger.session()
    assert (session.meter_start_wh, session.meter_stop_wh, session.energy_wh) == (1_000, 2_200, 1_200)


async def test_meter_values_that_come_after_the_stop_do_not_change_its_end(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start()).session.transaction_id
    await charger.stop(30, meter_wh=8_500, transaction_id=number)
    await charger.meter(sample(10, 3_000, power_w=7_000), transaction_id=number)
    session = await charger.session()
    assert (session.status, session.energy_wh, session.power_w) == (SessionStatus.COMPLETED, 7_500, None)
    assert [type(event) for event in await told(acme)].count(SessionStopped) == 1


async def test_a_meter_that_stops_below_its_start_is_marked_and_bills_nothing(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start(meter_wh=5_000)).session.transaction_id
    await charger.stop(30, meter_wh=100, transaction_id=number)
    session = await charger.session()
    assert (session.energy_wh, session.meter_suspect, session.status) == (0, True, SessionStatus.COMPLETED)


@pytest.mark.parametrize("unknown", ["-1", "2147483647", None])
async def test_a_stop_without_a_known_transaction_ends_the_open_charge_of_its_card(
    acme: Tester, unknown: str | None
) -> None:
    charger = await a_charger(acme)
    await charger.start(0, evse=1, token_uid="CARD", meter_wh=1_000)
    await charger.start(0, evse=2, token_uid="OTHER", meter_wh=1_000)

    ended = await charger.stop(30, meter_wh=2_000, transaction_id=unknown, token_uid="card")

    one, two = sorted(await charger.sessions(), key=lambda session: session.evse_number or 0)
    assert ended is not None
    assert (one.id, one.status, one.energy_wh) == (ended.id, SessionStatus.COMPLETED, 1_000)
    assert two.status is SessionStatus.ACTIVE
    assert await charger.orphans() == []


async def test_a_stop_of_nothing_known_without_a_card_ends_the_only_open_charge(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.start(0)
    await charger.stop(30, meter_wh=2_000, transaction_id=None)
    assert (await charger.session()).status is SessionStatus.COMPLETED


async def test_a_stop_that_could_be_of_either_of_two_charges_is_kept_as_an_orphan(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.start(0, evse=1)
    await charger.start(0, evse=2)

    assert await charger.stop(30, meter_wh=2_000, transaction_id=None) is None

    assert {session.status for session in await charger.sessions()} == {SessionStatus.ACTIVE}
    (orphan,) = await charger.orphans()
    assert (orphan.at, orphan.meter_wh, orphan.transaction_id) == (minute(30), 2_000, None)


async def test_of_two_charges_of_one_card_the_register_tells_which_was_stopped(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.start(0, evse=1, meter_wh=1_000)
    await charger.start(0, evse=2, meter_wh=500_000)
    ended = await charger.stop(30, meter_wh=504_000, transaction_id=None, token_uid="CARD")
    assert ended is not None
    assert (ended.evse_number, ended.energy_wh) == (2, 4_000)


@pytest.mark.parametrize(
    ("why", "at", "meter_wh", "token_uid"),
    [
        ("another card", 30, 2_000, "OTHER"),
        ("before the start", -5, 2_000, "CARD"),
        ("a register below the start's", 30, 500, "CARD"),
        ("weeks later", 60 * 24 * 21, 2_000, "CARD"),
    ],
)
async def test_a_stop_that_does_not_fit_the_open_charge_is_an_orphan(
    acme: Tester, why: str, at: float, meter_wh: float, token_uid: str
) -> None:
    charger = await a_charger(acme)
    await charger.start(0, meter_wh=1_000, token_uid="CARD")
    await charger.stop(at, meter_wh=meter_wh, transaction_id="2147483647", token_uid=token_uid, reason="Local")
    assert (await charger.session()).status is SessionStatus.ACTIVE, why
    (orphan,) = await charger.orphans()
    assert (orphan.kind, orphan.token_uid, orphan.reason) == ("STOP", token_uid, "Local")


async def test_an_orphan_stop_that_is_repeated_is_kept_once_and_makes_no_session(acme: Tester) -> None:
    charger = await a_charger(acme)
    for _ in range(3):
        await charger.stop(30, meter_wh=2_000, transaction_id="2147483647", token_uid="CARD")
    assert len(await charger.orphans()) == 1
    assert await charger.sessions() == []


async def test_a_repeated_stop_of_nothing_known_does_not_end_the_next_charge(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.start(0, meter_wh=1_000)
    await charger.stop(30, meter_wh=2_000, transaction_id=None)
    await charger.start(20, meter_wh=2_000)  # its clock was set back meanwhile
    await charger.stop(30, meter_wh=2_000, transaction_id=None)
    assert [s.status for s in await charger.sessions()] == [SessionStatus.COMPLETED, SessionStatus.ACTIVE]


async def test_a_stop_that_comes_before_its_start_is_found_when_the_start_comes(acme: Tester) -> None:
    charger = await a_charger(acme, now=60)
    await charger.stop(30, meter_wh=8_500, transaction_id=None, token_uid="CARD")
    await charger.start(0, meter_wh=1_000, token_uid="CARD")
    session = await charger.session()
    assert (session.status, session.energy_wh, session.ended_at) == (SessionStatus.COMPLETED, 7_500, minute(30))
    assert await charger.orphans() == []


async def test_an_old_orphan_is_not_taken_for_the_stop_of_a_new_charge(acme: Tester) -> None:
    charger = await a_charger(acme, now=60)
    await charger.stop(30, meter_wh=8_500, transaction_id=None, token_uid="CARD")
    await charger.start(60, meter_wh=8_500, token_uid="CARD")
    assert (await charger.session()).status is SessionStatus.ACTIVE
    assert len(await charger.orphans()) == 1


async def test_a_stop_that_names_another_transaction_is_not_taken_for_that_of_a_later_start(acme: Tester) -> None:
    """Only what a station never got a number for has a stop that comes before its start."""
    charger = await a_charger(acme, now=30)
    await charger.stop(30, meter_wh=8_500, transaction_id="2147483647", token_uid="CARD")
    await charger.start(29, meter_wh=1_000, token_uid="CARD")
    assert (await charger.session()).status is SessionStatus.ACTIVE
    assert len(await charger.orphans()) == 1


async def test_a_stop_by_a_clock_that_was_ahead_is_not_taken_for_that_of_a_later_start(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await charger.stop(90, meter_wh=8_500, transaction_id=None, token_uid="CARD")
    await charger.start(0, meter_wh=8_500, token_uid="CARD")  # the clock was set right meanwhile
    assert (await charger.session()).status is SessionStatus.ACTIVE


async def test_the_true_stop_corrects_one_that_was_taken_for_it(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    await charger.stop(10, meter_wh=1_200, transaction_id=None)

    await charger.stop(30, meter_wh=8_500, transaction_id=number)

    session = await charger.session()
    assert (session.ended_at, session.energy_wh, session.status) == (minute(30), 7_500, SessionStatus.COMPLETED)
    (orphan,) = await charger.orphans()
    assert (orphan.at, orphan.meter_wh) == (minute(10), 1_200)


async def test_a_charge_that_nothing_is_heard_of_after_a_boot_is_interrupted_at_its_last_meter_value(
    acme: Tester,
) -> None:
    charger = await a_charger(acme, now=0)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    acme.clock.now = minute(10)
    await charger.meter(sample(10, 1_900, power_w=7_000), transaction_id=number)
    acme.clock.now = minute(20)

    await charger.grace_ends(await charger.boot())

    session = await charger.session()
    assert (session.status, session.ended_at, session.inferred) == (SessionStatus.INTERRUPTED, minute(10), True)
    assert (session.energy_wh, session.meter_stop_wh, session.power_w) == (900, 1_900, None)
    assert (await told(acme))[-1] == SessionStopped(
        session_id=session.id, station_id=charger.station_id, energy_wh=900, inferred=True
    )


async def test_a_grace_that_ends_twice_interrupts_once(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await charger.start(0)
    acme.clock.now = minute(20)
    booted = await charger.boot()
    await charger.grace_ends(booted)
    await charger.grace_ends(booted)
    assert [type(event) for event in await told(acme)].count(SessionStopped) == 1


async def interrupted(tester: Tester) -> tuple[Charger, str]:
    """A charge from minute 0, last heard of at minute 10, interrupted by a boot at minute 20."""
    charger = await a_charger(tester, now=0)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    tester.clock.now = minute(10)
    await charger.meter(sample(10, 1_900), transaction_id=number)
    tester.clock.now = minute(20)
    await charger.grace_ends(await charger.boot())
    tester.clock.now = minute(25)
    return charger, number


async def test_an_evse_does_not_go_on_to_show_a_charge_that_was_interrupted(acme: Tester) -> None:
    """OCPP 2.x says Occupied of the plug, before the boot and after it."""
    charger = await a_charger(acme, now=0)
    await charger.report(Stage.STARTED, 0, evse_number=1, state=ChargingState.CHARGING, seq=0)
    async with charger.telling() as work:
        where: dict[str, Any] = {"station_id": charger.station_id, "evse_number": 1}
        await stations.report_status(work, **where, connector_number=1, status=StationStatus.OCCUPIED, at=minute(0))
        await stations.report_charging_state(work, **where, state=StationStatus.CHARGING, at=minute(0))
    acme.clock.now = minute(20)

    await charger.grace_ends(await charger.boot())

    async with acme.work(read_only=True) as work:
        assert (await stations.by_id(work, charger.station_id)).status is StationStatus.OCCUPIED


async def test_a_stop_that_comes_after_the_interruption_completes_the_charge_with_its_true_values(acme: Tester) -> None:
    charger, number = await interrupted(acme)
    await charger.stop(15, meter_wh=2_400, transaction_id=number, reason="PowerLoss")
    session = await charger.session()
    assert (session.status, session.ended_at, session.inferred) == (SessionStatus.COMPLETED, minute(15), False)
    assert (session.energy_wh, session.stop_reason) == (1_400, "PowerLoss")
    assert (await told(acme))[-1] == SessionStopped(
        session_id=session.id, station_id=charger.station_id, energy_wh=1_400, inferred=False
    )


async def test_meter_values_kept_from_before_the_boot_do_not_revive_the_charge(acme: Tester) -> None:
    charger, number = await interrupted(acme)
    await charger.meter(sample(14, 2_300), transaction_id=number)
    session = await charger.session()
    assert (session.status, session.ended_at, session.energy_wh) == (SessionStatus.INTERRUPTED, minute(14), 1_300)
    assert [type(event) for event in await told(acme)].count(SessionStopped) == 1


async def test_meter_values_from_after_the_boot_revive_the_charge(acme: Tester) -> None:
    charger, number = await interrupted(acme)
    await charger.meter(sample(24, 2_700, power_w=7_000), transaction_id=number)
    session = await charger.session()
    assert (session.status, session.ended_at, session.inferred) == (SessionStatus.ACTIVE, None, False)
    assert (session.energy_wh, session.power_w, session.meter_stop_wh) == (1_700, 7_000, None)
    assert type((await told(acme))[-1]) is SessionResumed


async def test_a_connector_that_says_it_charges_after_the_boot_revives_the_charge(acme: Tester) -> None:
    charger, _ = await interrupted(acme)
    await charger.resume(22)
    assert (await charger.session()).status is SessionStatus.ACTIVE


async def test_a_charge_that_goes_on_over_a_boot_is_left_alone(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    number = (await charger.start(0)).session.transaction_id
    acme.clock.now = minute(20)
    booted = await charger.boot()
    acme.clock.now = minute(21)
    await charger.meter(sample(21, 1_900), transaction_id=number)
    await charger.start(21, evse=2)
    acme.clock.now = minute(25)
    await charger.grace_ends(booted)
    assert {session.status for session in await charger.sessions()} == {SessionStatus.ACTIVE}


async def test_a_station_whose_clock_is_ahead_is_interrupted_too(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    number = (await charger.start(30)).session.transaction_id
    await charger.meter(sample(40, 1_900), transaction_id=number)
    acme.clock.now = minute(20)
    await charger.grace_ends(await charger.boot())
    assert (await charger.session()).status is SessionStatus.INTERRUPTED


async def test_a_boot_interrupts_nothing_at_other_stations(acme: Tester) -> None:
    charger, other = await a_charger(acme, now=0), await a_charger(acme)
    await other.start(0)
    acme.clock.now = minute(20)
    await charger.grace_ends(await charger.boot())
    assert (await other.session()).status is SessionStatus.ACTIVE


async def test_a_card_deleted_during_the_charge_leaves_its_uid(acme: Tester) -> None:
    from domain import tokens

    token, charger = await a_token(acme, "CARD"), await a_charger(acme)
    await charger.start(token_uid="CARD")
    async with acme.work() as work:
        await tokens.delete(work, token_id=token.id)
    session = await charger.session()
    assert (session.token_id, session.token_uid) == (None, "CARD")

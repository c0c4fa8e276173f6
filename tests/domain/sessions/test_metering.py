"""What is heard of a charge while it goes on."""

import asyncio

import pytest

from domain.bus import Bus, Topic
from domain.sessions import METERED, OrphanKind, SessionMetered, SessionResumed, SessionStatus, SessionSuspended
from tests.domain.sessions.charger import a_charger, minute, sample, told
from tests.statements import assert_statements
from tests.tester import Tester

pytestmark = pytest.mark.anyio


async def test_meter_values_move_energy_power_and_charge_of_their_session(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    await charger.meter(sample(1, 1_100, power_w=7_000, soc_percent=40), transaction_id=number)
    await charger.meter(sample(2, 1_220, power_w=7_200), transaction_id=number)
    session = await charger.session()
    assert (session.energy_wh, session.power_w, session.soc_percent) == (220, 7_200, 40)


async def test_meter_values_that_come_late_do_not_turn_back_what_is_shown(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    await charger.meter(sample(5, 1_500, power_w=7_000), transaction_id=number)
    await charger.meter(sample(3, 1_300, power_w=3_000), transaction_id=number)
    session = await charger.session()
    assert (session.energy_wh, session.power_w, session.meter_suspect) == (500, 7_000, False)


async def test_a_meter_value_on_an_open_charge_is_one_read_and_one_write(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start(0)).session.transaction_id
    for minute_number in range(1, 4):
        with assert_statements(acme, 2):
            await charger.meter(
                sample(minute_number, 1_000 + minute_number * 100, power_w=7_000, soc_percent=40 + minute_number),
                sample(minute_number + 0.5, 1_050 + minute_number * 100),
                transaction_id=number,
            )


async def test_metering_writes_no_event_and_tells_those_who_watch_the_station(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start(0)).session.transaction_id
    before = await told(acme)
    topic = Topic(acme.tenant_id, METERED, str(charger.station_id))
    async with acme.workplace.port(Bus).listen(topic) as ear:  # type: ignore[type-abstract]
        await charger.meter(sample(1, 1_100), transaction_id=number)
        message = await asyncio.wait_for(anext(aiter(ear)), 10)
    session = await charger.session()
    assert SessionMetered.decode(message.payload) == SessionMetered(  # type: ignore[union-attr]
        session_id=session.id, station_id=charger.station_id
    )
    assert message.conflate == str(session.id)  # type: ignore[union-attr]
    assert await told(acme) == before


@pytest.mark.parametrize("unknown", [None, "2147483647"])  # a number that is never given
async def test_meter_values_without_a_known_transaction_are_of_the_charge_on_their_connector(
    acme: Tester, unknown: str | None
) -> None:
    charger = await a_charger(acme)
    await charger.start(0, evse=1, meter_wh=1_000)
    await charger.start(0, evse=2, meter_wh=1_000)
    await charger.meter(sample(5, 1_500), transaction_id=unknown, evse=2)
    one, two = sorted(await charger.sessions(), key=lambda session: session.evse_number or 0)
    assert (one.energy_wh, two.energy_wh) == (0, 500)


async def test_meter_values_between_charges_are_of_none(acme: Tester) -> None:
    charger = await a_charger(acme)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    await charger.stop(10, meter_wh=2_000, transaction_id=number)
    assert await charger.meter(sample(15, 2_000)) is None
    assert await charger.meter(sample(-5, 1_000)) is None
    during = await charger.meter(sample(5, 1_500))
    assert during is not None
    assert (during.energy_wh, during.status) == (1_000, SessionStatus.COMPLETED)
    assert await charger.orphans() == []


async def test_meter_values_outside_of_a_transaction_neither_revive_nor_touch_an_interrupted_charge(
    acme: Tester,
) -> None:
    charger = await a_charger(acme, now=0)
    await charger.start(0, meter_wh=1_000)
    acme.clock.now = minute(20)
    await charger.grace_ends(await charger.boot())
    acme.clock.now = minute(60)
    assert await charger.meter(sample(60, 1_000)) is None
    assert (await charger.session()).status is SessionStatus.INTERRUPTED


async def test_meter_values_of_a_transaction_that_nobody_knows_are_kept_once_with_the_latest(acme: Tester) -> None:
    charger = await a_charger(acme)
    for at, register_wh in ((1, 1_100), (3, 1_300), (2, 1_200)):
        assert await charger.meter(sample(at, register_wh), transaction_id="2147483647", evse=1) is None
    (orphan,) = await charger.orphans()
    assert (orphan.kind, orphan.transaction_id, orphan.evse_number) == (OrphanKind.METER, "2147483647", 1)
    assert (orphan.at, orphan.meter_wh) == (minute(3), 1_300)
    assert await charger.sessions() == []


async def test_a_charge_is_suspended_and_resumed_by_the_status_of_its_connector(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.start(0)
    seen = []
    for change, at in ((charger.suspend, 5), (charger.suspend, 6), (charger.resume, 7), (charger.resume, 8)):
        session = await change(at)
        assert session is not None
        seen.append(session.status)
    assert seen == [SessionStatus.SUSPENDED, SessionStatus.SUSPENDED, SessionStatus.ACTIVE, SessionStatus.ACTIVE]
    assert [type(event) for event in await told(acme)][1:] == [SessionSuspended, SessionResumed]


async def test_a_status_that_comes_late_does_not_turn_back_the_newer(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.start(0)
    await charger.resume(7)
    await charger.suspend(5)
    assert (await charger.session()).status is SessionStatus.ACTIVE


async def test_a_status_without_a_charge_or_after_it_is_no_concern_of_sessions(acme: Tester) -> None:
    charger = await a_charger(acme)
    assert await charger.suspend(0) is None
    number = (await charger.start(1)).session.transaction_id
    await charger.stop(5, meter_wh=1_500, transaction_id=number)
    assert await charger.suspend(6) is None
    assert (await charger.session()).status is SessionStatus.COMPLETED


async def test_meter_values_of_two_tenants_with_one_transaction_id_do_not_mix(acme: Tester, rival: Tester) -> None:
    charger, other = await a_charger(acme), await a_charger(rival)
    number = (await charger.start(0, meter_wh=1_000)).session.transaction_id
    assert await other.meter(sample(1, 9_000), transaction_id=number) is None
    assert (await charger.session()).energy_wh == 0

"""StartTransaction: whatever a station repeats, keeps for later or gets wrong, one charge is one session."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from domain import commands, sessions
from domain.actor import Permission
from domain.commands import CommandStatus, Outcome
from domain.errors import NotFound
from domain.sessions import AuthorizationStatus, SessionStarted, SessionStatus, SessionStopped
from tests.domain.sessions.charger import Charger, a_charger, minute, sample, told
from tests.factories import a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio

INT32_MAX = 2**31 - 1


async def test_a_start_makes_an_active_session_with_a_positive_int32_as_its_transaction(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    token = await a_token(acme, "CARD")

    started = await charger.start(0, meter_wh=1_000, evse=2)

    session = await charger.session()
    assert 1 <= int(started.session.transaction_id) <= INT32_MAX
    assert (session.id, session.status, session.started_at) == (started.session.id, SessionStatus.ACTIVE, minute(0))
    assert (session.evse_number, session.connector_number) == (2, 1)
    assert (session.token_id, session.token_uid) == (token.id, "CARD")
    assert (session.meter_start_wh, session.energy_wh, session.ended_at) == (1_000, 0, None)
    assert (session.offline, session.inferred, session.start_inferred) == (False, False, False)
    assert [type(event) for event in await told(acme)] == [SessionStarted]


async def test_a_repeated_start_gets_the_same_transaction(acme: Tester) -> None:
    charger = await a_charger(acme)
    first = await charger.start(token_uid="CARD")
    again = await charger.start(token_uid="card")
    assert again.session.transaction_id == first.session.transaction_id
    assert len(await charger.sessions()) == 1
    assert len(await told(acme)) == 1


@pytest.mark.parametrize("copies", [2, 6])
async def test_starts_repeated_at_the_same_time_on_two_sockets_are_one_session(acme: Tester, copies: int) -> None:
    charger = await a_charger(acme)
    started = await asyncio.gather(*(charger.start() for _ in range(copies)))
    assert len({s.session.transaction_id for s in started}) == 1
    assert len(await charger.sessions()) == 1


async def test_starts_that_differ_in_station_connector_token_time_or_register_are_different(acme: Tester) -> None:
    charger, other = await a_charger(acme), await a_charger(acme)
    started = [
        await charger.start(),
        await charger.start(evse=2),
        await charger.start(token_uid="OTHER"),
        await charger.start(1),
        await charger.start(meter_wh=1_001),
        await other.start(),
    ]
    assert len({s.session.transaction_id for s in started}) == len(started)


async def test_two_tenants_never_share_a_transaction_number(acme: Tester, rival: Tester) -> None:
    chargers = [await a_charger(tester) for tester in (acme, rival)]
    one, other = [await charger.start() for charger in chargers]
    assert one.session.transaction_id != other.session.transaction_id


async def test_a_start_on_a_station_of_another_tenant_finds_no_station(acme: Tester, rival: Tester) -> None:
    intruder = Charger(rival, (await a_charger(acme)).station_id)
    with pytest.raises(NotFound):
        await intruder.start()
    async with rival.work() as work:
        with pytest.raises(NotFound):
            await sessions.request_start(work, station_id=intruder.station_id, token_uid="CARD")


@pytest.mark.parametrize("token_uid", ["UNKNOWN", "", None])
async def test_a_charge_without_a_good_token_is_recorded_and_told_so(acme: Tester, token_uid: str | None) -> None:
    charger = await a_charger(acme)
    started = await charger.start(token_uid=token_uid)
    session = await charger.session()
    told = AuthorizationStatus.UNKNOWN if token_uid else AuthorizationStatus.INVALID
    assert started.authorization.status is told
    assert (session.status, session.token_id, session.token_uid) == (SessionStatus.ACTIVE, None, token_uid or None)


async def test_a_start_whose_time_had_to_be_made_up_is_repeated_until_it_was_stopped(acme: Tester) -> None:
    charger = await a_charger(acme)
    first = await charger.start(0, said_at="1970-01-01T00:00:13Z")
    again = await charger.start(1, said_at="1970-01-01T00:00:13Z")
    assert again.session.id == first.session.id
    await charger.stop(2, meter_wh=1_000, transaction_id=first.session.transaction_id)

    after_a_power_cut = await charger.start(5, said_at="1970-01-01T00:00:13Z")

    assert after_a_power_cut.session.id != first.session.id


async def test_a_start_repeated_after_its_stop_is_still_the_same(acme: Tester) -> None:
    charger = await a_charger(acme)
    first = await charger.start()
    await charger.stop(5, meter_wh=1_500, transaction_id=first.session.transaction_id)
    assert (await charger.start()).session.id == first.session.id
    assert (await charger.session()).status is SessionStatus.COMPLETED


async def test_a_start_that_comes_hours_late_keeps_its_time_and_is_marked_offline(acme: Tester) -> None:
    charger = await a_charger(acme, now=180)
    await charger.start(0)
    session = await charger.session()
    assert (session.started_at, session.received_at, session.offline) == (minute(0), minute(180), True)


async def test_a_new_start_on_a_connector_ends_the_charge_before_it_by_inference(acme: Tester) -> None:
    charger = await a_charger(acme)
    first = await charger.start(0, meter_wh=1_000)
    await charger.meter(sample(7, 1_700), transaction_id=first.session.transaction_id)

    await charger.start(20, meter_wh=1_800)

    old, new = await charger.sessions()
    assert (old.status, old.inferred, old.ended_at) == (SessionStatus.INTERRUPTED, True, minute(7))
    assert (old.energy_wh, old.meter_stop_wh) == (700, 1_700)
    assert (new.status, new.inferred) == (SessionStatus.ACTIVE, False)
    assert [e for e in await told(acme) if isinstance(e, SessionStopped)] == [
        SessionStopped(session_id=old.id, station_id=charger.station_id, energy_wh=700, inferred=True)
    ]


async def test_a_new_start_leaves_charges_on_other_connectors_and_stations_alone(acme: Tester) -> None:
    charger, other = await a_charger(acme), await a_charger(acme)
    await charger.start(0, evse=1)
    await other.start(0, evse=2)
    await charger.start(5, evse=2)
    assert {s.status for s in [*await charger.sessions(), *await other.sessions()]} == {SessionStatus.ACTIVE}


async def test_a_start_replayed_after_a_newer_one_does_not_end_the_newer(acme: Tester) -> None:
    charger = await a_charger(acme)
    newer = await charger.start(60, meter_wh=2_000)

    older = await charger.start(0, meter_wh=1_000)

    old, new = await charger.sessions()
    assert (old.id, new.id) == (older.session.id, newer.session.id)
    assert (old.status, new.status) == (SessionStatus.INTERRUPTED, SessionStatus.ACTIVE)
    await charger.stop(30, meter_wh=1_900, transaction_id=old.transaction_id)
    old, new = await charger.sessions()
    assert (old.status, old.energy_wh, old.inferred) == (SessionStatus.COMPLETED, 900, False)
    assert new.status is SessionStatus.ACTIVE


async def a_remote_start(tester: Tester, charger: Charger, *, evse: int | None = None) -> UUID:
    """Ordered, and accepted by the station."""
    async with tester.work() as work:
        command = await sessions.request_start(work, station_id=charger.station_id, token_uid="CARD", evse_number=evse)
    async with tester.work() as work:
        outcome = Outcome(status=CommandStatus.ACCEPTED, result=None, error=None)
        await commands.complete(work, command_id=command.id, outcome=outcome)
    return command.id


async def test_whoever_may_order_a_charge_need_not_be_equipment(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await a_token(acme, "CARD")
    narrow = replace(acme.actor, scopes=frozenset({Permission.VIEW, Permission.CONTROL}))
    async with acme.workplace.open_work(narrow) as work:
        command = await sessions.request_start(work, station_id=charger.station_id, token_uid="CARD")
    assert command.actor == narrow.name


async def test_a_charge_is_linked_to_the_remote_start_that_it_answers(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await a_token(acme, "CARD")
    command_id = await a_remote_start(acme, charger)

    started = await charger.start(0.5, token_uid="card")

    assert started.session.command_id == command_id
    async with acme.work(read_only=True) as work:
        assert [s.id for s in await sessions.by_command_ids(work, [command_id])] == [started.session.id]


async def test_two_remote_starts_with_one_card_are_told_apart(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await a_token(acme, "CARD")
    on_one, on_two = [await a_remote_start(acme, charger, evse=evse) for evse in (1, 2)]
    assert (await charger.start(0.1, evse=1)).session.command_id == on_one
    assert (await charger.start(0.2, evse=2)).session.command_id == on_two


async def test_a_remote_start_is_answered_by_one_charge_only(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await a_token(acme, "CARD")
    older, newer = [await a_remote_start(acme, charger) for _ in range(2)]
    answered = [(await charger.start(evse=evse)).session.command_id for evse in (1, 2, 3)]
    assert sorted(answered[:2], key=str) == sorted([older, newer], key=str)
    assert answered[2] is None


async def test_charges_with_another_card_or_much_later_or_from_before_answer_no_remote_start(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await a_token(acme, "CARD")
    await a_remote_start(acme, charger)
    assert (await charger.start(token_uid="OTHER")).session.command_id is None
    assert (await charger.start(-60, evse=2)).session.command_id is None
    acme.clock.forward(seconds=121)
    assert (await charger.start(2, evse=3)).session.command_id is None


async def test_a_charge_of_a_clock_that_was_ahead_does_not_interrupt_the_next_one(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    number = (await charger.start(120, meter_wh=1_000)).session.transaction_id
    await charger.stop(130, meter_wh=2_000, transaction_id=number)

    await charger.start(0, meter_wh=2_000)  # the clock was set right meanwhile

    assert [s.status for s in await charger.sessions()] == [SessionStatus.ACTIVE, SessionStatus.COMPLETED]

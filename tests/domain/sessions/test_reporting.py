"""TransactionEvent of OCPP 2.x: one session per transaction, whichever of its events come, in whatever order."""

import asyncio

import pytest

from domain import commands, sessions
from domain.commands import CommandStatus, Outcome
from domain.sessions import (
    AuthorizationStatus,
    ChargingState,
    Moment,
    SessionResumed,
    SessionStarted,
    SessionStatus,
    SessionStopped,
    SessionSuspended,
    Stage,
)
from tests.domain.sessions.charger import a_charger, minute, sample, told
from tests.factories import a_token
from tests.statements import assert_statements
from tests.tester import Tester

pytestmark = pytest.mark.anyio

STARTED, UPDATED, ENDED = Stage


async def test_a_transaction_from_plug_to_plug(acme: Tester) -> None:
    charger = await a_charger(acme)
    token = await a_token(acme, "CARD")
    connected, charging = ChargingState.EV_CONNECTED, ChargingState.CHARGING

    reported = await charger.report(STARTED, 0, seq=0, evse_number=1, connector_number=2, state=connected)
    assert (reported.session.status, reported.authorization) == (SessionStatus.PENDING, None)
    reported = await charger.report(UPDATED, 1, seq=1, token_uid="CARD")
    assert reported.authorization is not None
    assert reported.authorization.status is AuthorizationStatus.ACCEPTED
    begin = sample(1, 1_000, moment=Moment.BEGIN)
    assert (await charger.report(UPDATED, 2, seq=2, state=charging, samples=[begin])).state_changed
    assert not (await charger.report(UPDATED, 9, seq=3, state=charging, samples=[sample(9, 1_900)])).state_changed
    await charger.report(UPDATED, 10, seq=4, state=ChargingState.SUSPENDED_EV)
    await charger.report(UPDATED, 11, seq=5, state=charging)
    end = sample(20, 3_000, moment=Moment.END)
    await charger.report(ENDED, 20, seq=6, samples=[end], reason="EVDisconnected", state=ChargingState.IDLE)

    session = await charger.session()
    assert (session.status, session.started_at, session.ended_at) == (SessionStatus.COMPLETED, minute(0), minute(20))
    assert (session.evse_number, session.connector_number, session.transaction_id) == (1, 2, "TX-1")
    assert (session.token_id, session.token_uid) == (token.id, "CARD")
    assert (session.meter_start_wh, session.meter_stop_wh, session.energy_wh) == (1_000, 3_000, 2_000)
    assert (session.stop_reason, session.inferred, session.start_inferred) == ("EVDisconnected", False, False)
    assert [type(event) for event in await told(acme)] == [
        SessionStarted,
        SessionSuspended,
        SessionResumed,
        SessionStopped,
    ]


async def test_an_update_before_the_start_makes_the_session_and_the_start_completes_it(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.report(UPDATED, 5, evse_number=1, samples=[sample(5, 1_500)])
    session = await charger.session()
    assert (session.started_at, session.start_inferred) == (minute(5), True)

    await charger.report(STARTED, 0, evse_number=1, samples=[sample(0, 1_000, moment=Moment.BEGIN)])

    session = await charger.session()
    assert (session.started_at, session.start_inferred, session.energy_wh) == (minute(0), False, 500)
    assert [type(event) for event in await told(acme)] == [SessionStarted]


async def test_an_end_alone_makes_a_session_that_is_over(acme: Tester) -> None:
    charger = await a_charger(acme)
    both = [sample(0, 1_000, moment=Moment.BEGIN), sample(30, 4_000, moment=Moment.END)]
    await charger.report(ENDED, 30, evse_number=1, samples=both, offline=True)
    session = await charger.session()
    assert (session.status, session.started_at, session.ended_at) == (SessionStatus.COMPLETED, minute(0), minute(30))
    assert (session.energy_wh, session.start_inferred, session.offline) == (3_000, True, True)
    assert [type(event) for event in await told(acme)] == [SessionStarted, SessionStopped]


async def test_an_end_before_the_start_waits_for_nothing(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.report(ENDED, 30, seq=2, samples=[sample(30, 4_000, moment=Moment.END)])
    await charger.report(STARTED, 0, seq=0, evse_number=1, samples=[sample(0, 1_000, moment=Moment.BEGIN)])
    session = await charger.session()
    assert (session.status, session.energy_wh, session.start_inferred) == (SessionStatus.COMPLETED, 3_000, False)


@pytest.mark.parametrize("stage", Stage)
async def test_an_event_repeated_at_the_same_time_on_two_sockets_is_one_session(acme: Tester, stage: Stage) -> None:
    charger = await a_charger(acme)
    await asyncio.gather(*(charger.report(stage, 0, evse_number=1, samples=[sample(0, 1_000)]) for _ in range(4)))
    assert len(await charger.sessions()) == 1
    assert [type(event) for event in await told(acme)].count(SessionStarted) == 1


async def test_one_transaction_id_at_two_stations_is_two_sessions(acme: Tester, rival: Tester) -> None:
    chargers = [await a_charger(acme), await a_charger(acme), await a_charger(rival)]
    for charger in chargers:
        await charger.report(STARTED, 0, evse_number=1)
    assert len({(await charger.session()).id for charger in chargers}) == 3


async def test_the_card_that_stops_a_charge_does_not_become_its_own(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.report(ENDED, 30, token_uid="MASTER")
    await charger.report(STARTED, 0, evse_number=1, token_uid="CARD")
    assert (await charger.session()).token_uid == "CARD"


async def test_where_a_charge_is_need_be_said_only_once(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.report(UPDATED, 5)
    assert (await charger.session()).evse_number is None
    await charger.report(STARTED, 0, evse_number=2, connector_number=1)
    await charger.report(UPDATED, 6)
    session = await charger.session()
    assert (session.evse_number, session.connector_number) == (2, 1)


async def test_a_new_transaction_on_an_evse_ends_the_one_before_it_by_inference(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.report(STARTED, 0, evse_number=1, samples=[sample(0, 1_000)])
    await charger.report(STARTED, 0, evse_number=2, transaction_id="TX-2")
    await charger.report(UPDATED, 9, samples=[sample(9, 1_700)])

    await charger.report(STARTED, 20, evse_number=1, transaction_id="TX-3")

    by_id = {session.transaction_id: session for session in await charger.sessions()}
    first = by_id["TX-1"]
    assert (first.status, first.inferred, first.energy_wh) == (SessionStatus.INTERRUPTED, True, 700)
    assert first.ended_at == minute(9)
    assert {by_id["TX-2"].status, by_id["TX-3"].status} == {SessionStatus.ACTIVE}


async def test_an_update_of_a_known_transaction_is_one_read_and_one_write(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.report(STARTED, 0, evse_number=1, state=ChargingState.CHARGING)
    with assert_statements(acme, 2):
        await charger.report(
            UPDATED, 1, seq=1, evse_number=1, state=ChargingState.CHARGING, samples=[sample(1, 1_000, power_w=7_000)]
        )


async def test_a_charge_answers_the_remote_start_that_it_names(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await a_token(acme, "CARD")
    ordered = []
    for _ in range(2):
        async with acme.work() as work:
            command = await sessions.request_start(work, station_id=charger.station_id, token_uid="CARD", evse_number=1)
        async with acme.work() as work:
            accepted = Outcome(status=CommandStatus.ACCEPTED, result=None, error=None)
            ordered.append(await commands.complete(work, command_id=command.id, outcome=accepted))
    number = ordered[0].remote_start_number

    await charger.report(STARTED, 1, evse_number=1, token_uid="CARD")
    assert (await charger.session()).command_id is None
    await charger.report(UPDATED, 2, remote_start_number=number)

    assert (await charger.session()).command_id == ordered[0].id


async def test_an_unknown_card_does_not_undo_the_charge(acme: Tester) -> None:
    charger = await a_charger(acme)
    reported = await charger.report(STARTED, 0, evse_number=1, token_uid="UNKNOWN", state=ChargingState.CHARGING)
    assert reported.authorization is not None
    assert reported.authorization.status is AuthorizationStatus.UNKNOWN
    assert reported.session.status is SessionStatus.ACTIVE

"""What an operator orders of a charge."""

from uuid import uuid4

import pytest

from domain import commands, sessions, tokens
from domain.actor import Role
from domain.commands import CommandKind, CommandStatus
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.stations import Presence
from domain.tokens import TokenStatus
from tests.domain.sessions.charger import a_charger
from tests.factories import a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio


async def test_a_start_is_ordered_with_the_card_as_it_is_kept(acme: Tester) -> None:
    charger = await a_charger(acme)
    await a_token(acme, "Card")
    async with acme.work(role=Role.OPERATOR) as work:
        command = await sessions.request_start(work, station_id=charger.station_id, token_uid="CARD", evse_number=2)
    assert (command.kind, command.status, command.station_id) == (
        CommandKind.REMOTE_START,
        CommandStatus.QUEUED,
        charger.station_id,
    )
    assert {key: command.arguments[key] for key in ("token_uid", "token_type", "evse_number")} == {
        "token_uid": "Card",
        "token_type": "ISO14443",
        "evse_number": 2,
    }


async def test_a_start_is_not_ordered_where_it_cannot_succeed(acme: Tester, rival: Tester) -> None:
    charger, other = await a_charger(acme), await a_charger(rival)
    await a_token(acme, "CARD")
    await a_token(acme, "BLOCKED", status=TokenStatus.BLOCKED)
    await a_token(rival, "THEIRS")
    async with acme.work() as work:
        with pytest.raises(Conflict, match="token BLOCKED may not charge: BLOCKED"):
            await sessions.request_start(work, station_id=charger.station_id, token_uid="BLOCKED")
        with pytest.raises(NotFound, match="token THEIRS does not exist"):
            await sessions.request_start(work, station_id=charger.station_id, token_uid="THEIRS")
        with pytest.raises(Invalid, match="evseNumber begins at 1"):
            await sessions.request_start(work, station_id=charger.station_id, token_uid="CARD", evse_number=0)
        with pytest.raises(NotFound):
            await sessions.request_start(work, station_id=other.station_id, token_uid="CARD")


async def test_a_start_that_has_waited_is_not_sent_for_a_card_that_was_blocked_meanwhile(acme: Tester) -> None:
    charger, card = await a_charger(acme), await a_token(acme, "CARD")
    async with acme.work() as work:
        ordered = await sessions.request_start(work, station_id=charger.station_id, token_uid="CARD", queue_for_s=600)
    assert (await commands.deliver(acme.workplace, acme.actor, ordered)).status is CommandStatus.QUEUED

    async with acme.work() as work:
        await tokens.update(work, token_id=card.id, status=TokenStatus.BLOCKED)
    await acme.workplace.port(Presence).claim(acme.tenant_id, charger.station_id, "p/s", 600)  # type: ignore[type-abstract]
    await commands.deliver_waiting(acme.workplace, acme.acting_as(Role.SYSTEM), station_id=charger.station_id)

    async with acme.work(read_only=True) as work:
        ended = await commands.by_id(work, ordered.id)
    assert (ended.status, ended.error) == (CommandStatus.FAILED, "token CARD may no longer charge: BLOCKED")


async def test_a_stop_is_ordered_by_the_transaction_of_the_session(acme: Tester) -> None:
    charger = await a_charger(acme)
    session = (await charger.start()).session
    async with acme.work(role=Role.OPERATOR) as work:
        command = await sessions.request_stop(work, session_id=session.id)
    assert (command.kind, command.station_id) == (CommandKind.REMOTE_STOP, charger.station_id)
    assert command.arguments == {"transaction_id": session.transaction_id, "session_id": str(session.id)}


async def test_a_stop_is_not_ordered_of_a_charge_that_is_over_or_not_ones_own(acme: Tester, rival: Tester) -> None:
    charger, other = await a_charger(acme), await a_charger(rival)
    session, theirs = (await charger.start()).session, (await other.start()).session
    await charger.stop(5, meter_wh=1_000, transaction_id=session.transaction_id)
    async with acme.work() as work:
        with pytest.raises(Conflict, match="has ended already"):
            await sessions.request_stop(work, session_id=session.id)
        for session_id in (theirs.id, uuid4()):
            with pytest.raises(NotFound):
                await sessions.request_stop(work, session_id=session_id)


async def test_viewers_and_stations_order_nothing(acme: Tester) -> None:
    charger = await a_charger(acme)
    session = (await charger.start()).session
    for role in (Role.VIEWER, Role.STATION):
        async with acme.work(role=role) as work:
            with pytest.raises(Forbidden):
                await sessions.request_start(work, station_id=charger.station_id, token_uid="CARD")
            with pytest.raises(Forbidden):
                await sessions.request_stop(work, session_id=session.id)

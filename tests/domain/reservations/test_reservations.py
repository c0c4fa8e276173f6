"""A place that is kept for a card: asked for, answered, used, let go, or forgotten in time."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import permutations
from uuid import uuid4

import pytest

from domain import commands, reservations, stations, tokens
from domain.actor import Role
from domain.commands import Command, CommandStatus, Miss, Outcome, Unheard
from domain.errors import Conflict, Forbidden, Invalid, NotFound, TimedOut, Unavailable
from domain.page import PageRequest
from domain.reservations import LIVE, Reservation, ReservationStatus
from tests.domain.commands.test_life import answering, beside
from tests.factories import a_station, a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio

S = ReservationStatus


async def asked(
    tester: Tester,
    *,
    card: str = "CARD",
    hours: float = 1,
    evse_number: int | None = 1,
    queue_for_s: float | None = None,
) -> Command:
    station = await a_station(tester)
    await a_token(tester, card)
    async with tester.work() as work:
        return await reservations.request(
            work,
            station_id=station.id,
            token_uid=card.lower(),
            expires_at=work.now + timedelta(hours=hours),
            evse_number=evse_number,
            queue_for_s=queue_for_s,
        )


async def of(tester: Tester, command: Command) -> Reservation:
    async with tester.work(read_only=True) as work:
        (found,) = (await reservations.listed(work, PageRequest(), station_id=command.station_id)).rows
        return found


async def answered(tester: Tester, command: Command, status: CommandStatus, said: str | None = None) -> Reservation:
    """Nobody waits for it."""
    async with tester.work() as work:
        result = None if said is None else {"status": said}
        await commands.complete(work, command_id=command.id, outcome=Outcome(status, result, None))
    changed = commands.CommandChanged(command_id=command.id, station_id=command.station_id, status=status)
    async with tester.work() as work:
        await reservations.settle(work, changed)
    return await of(tester, command)


async def test_a_reservation_is_asked_for_with_a_number_that_no_other_has(acme: Tester, rival: Tester) -> None:
    ours, theirs = await asked(acme), await asked(rival)

    reservation = await of(acme, ours)

    assert (reservation.status, reservation.token_uid, reservation.evse_number) == (S.REQUESTED, "CARD", 1)
    assert ours.arguments["reservation_number"] == reservation.number > 0
    assert ours.arguments["reservation_number"] != theirs.arguments["reservation_number"]


@pytest.mark.parametrize(
    ("status", "said", "becomes"),
    [
        (CommandStatus.ACCEPTED, "Accepted", S.ACCEPTED),
        (CommandStatus.REJECTED, "Faulted", S.FAULTED),
        (CommandStatus.REJECTED, "Occupied", S.OCCUPIED),
        (CommandStatus.REJECTED, "Rejected", S.REJECTED),
        (CommandStatus.REJECTED, "Unavailable", S.UNAVAILABLE),
        (CommandStatus.REJECTED, "Whatever", S.REJECTED),
        (CommandStatus.FAILED, None, S.FAILED),
        (CommandStatus.CANCELLED, None, S.FAILED),
    ],
)
async def test_it_is_what_the_station_answers(
    acme: Tester, status: CommandStatus, said: str | None, becomes: ReservationStatus
) -> None:
    assert (await answered(acme, await asked(acme), status, said)).status is becomes


@pytest.mark.parametrize(
    ("answer", "becomes"),
    [
        (TimedOut("no answer"), S.REQUESTED),
        (Unavailable("the connection was lost"), S.REQUESTED),
        (Unheard("the station is not connected"), S.FAILED),
        (Outcome("FAILED", {"error_code": "InternalError"}, "it refused"), S.FAILED),
        (Outcome("FAILED", None, "OCPP 1.6 has no word for it", Miss.UNSAYABLE), S.FAILED),
    ],
)
async def test_one_that_was_sent_and_not_answered_may_be_kept_all_the_same(
    acme: Tester, answer: Outcome | Exception, becomes: ReservationStatus
) -> None:
    command = await asked(acme)

    await reservations.carry_out(beside(acme, answering(answer)), acme.actor, command)

    assert (await of(acme, command)).status is becomes


@pytest.mark.parametrize("calls_off", [True, False], ids=["called off", "too late"])
async def test_one_of_which_the_station_never_heard_is_over_with_its_order(acme: Tester, calls_off: bool) -> None:
    command = await asked(acme, queue_for_s=60)

    if calls_off:
        await commands.cancel(acme.workplace, acme.actor, command_id=command.id)
    else:
        acme.clock.forward(seconds=61)
        async with acme.work(role=Role.SYSTEM) as work:
            assert len(await commands.expire_overdue(work)) == 1
    await acme.relay()

    assert (await of(acme, command)).status is S.FAILED


async def test_what_speaks_against_one_that_has_waited(acme: Tester) -> None:
    command = await asked(acme, queue_for_s=7200)

    async def objection() -> str | None:
        async with acme.work(role=Role.SYSTEM) as work:
            return await reservations.object_to_request(work, command)

    assert await objection() is None
    token_id = (await of(acme, command)).token_id
    assert token_id is not None
    async with acme.work() as work:
        await tokens.update(work, token_id=token_id, status=tokens.TokenStatus.BLOCKED)
    assert await objection() == "token CARD may no longer charge: BLOCKED"
    async with acme.work() as work:
        await tokens.delete(work, token_id=token_id)
    assert await objection() == "token CARD is no more"
    acme.clock.forward(hours=1)
    assert await objection() == "the time of the reservation is over"


async def test_whoever_waits_sees_at_once_what_has_become_of_it(acme: Tester) -> None:
    command = await asked(acme)
    line = answering(Outcome("ACCEPTED", {"status": "Accepted"}, None))

    await reservations.carry_out(beside(acme, line), acme.actor, command)

    assert (await of(acme, command)).status is S.ACCEPTED
    assert line.heard[0]["arguments"]["token_uid"] == "CARD"


async def test_the_relay_tells_what_an_answer_means_that_nobody_waited_for(acme: Tester) -> None:
    command = await asked(acme)
    async with acme.work() as work:
        outcome = Outcome("ACCEPTED", {"status": "Accepted"}, None)
        await commands.complete(work, command_id=command.id, outcome=outcome)

    await acme.relay()

    assert (await of(acme, command)).status is S.ACCEPTED


async def test_a_cancelled_one_is_over_when_the_station_says_so(acme: Tester) -> None:
    reservation = await answered(acme, await asked(acme), CommandStatus.ACCEPTED, "Accepted")

    async with acme.work() as work:
        refused = await reservations.request_cancel(work, reservation_id=reservation.id)
    assert (await answered(acme, refused, CommandStatus.REJECTED, "Rejected")).status is S.ACCEPTED
    async with acme.work() as work:
        granted = await reservations.request_cancel(work, reservation_id=reservation.id)
    assert granted.arguments["reservation_number"] == reservation.number
    assert (await answered(acme, granted, CommandStatus.ACCEPTED, "Accepted")).status is S.CANCELLED

    with pytest.raises(Conflict):
        async with acme.work() as work:
            await reservations.request_cancel(work, reservation_id=reservation.id)


async def test_time_ends_those_that_are_kept_and_no_others(acme: Tester, rival: Tester) -> None:
    kept, refused = await asked(acme, card="A"), await asked(acme, card="B")
    later, theirs = await asked(acme, card="C", hours=3), await asked(rival)
    await answered(acme, kept, CommandStatus.ACCEPTED, "Accepted")
    await answered(acme, refused, CommandStatus.REJECTED, "Occupied")

    acme.clock.forward(hours=2)
    async with acme.work(role=Role.SYSTEM) as work:
        assert len(await reservations.expire(work)) == 1

    assert (await of(acme, kept)).status is S.EXPIRED
    assert (await of(acme, refused)).status is S.OCCUPIED
    assert (await of(acme, later)).status is S.REQUESTED
    assert (await of(rival, theirs)).status is S.REQUESTED


async def test_what_cannot_be_kept_is_refused_with_the_field_that_is_wrong(acme: Tester) -> None:
    station = await a_station(acme)
    await a_token(acme, "CARD")
    await a_token(acme, "BLOCKED", status=tokens.TokenStatus.BLOCKED)
    async with acme.work() as work:
        soon = work.now + timedelta(hours=1)
        wanted = {"station_id": station.id, "token_uid": "CARD", "expires_at": soon}
        for wrong, field in (
            ({"expires_at": work.now}, "expiresAt"),
            ({"evse_number": 0}, "evseNumber"),
            ({"evse_number": 1, "connector_type": "cCCS2"}, "connectorType"),
        ):
            with pytest.raises(Invalid) as refused:
                await reservations.request(work, **{**wanted, **wrong})  # type: ignore[arg-type]
            assert refused.value.details["field"] == field
        with pytest.raises(Conflict, match="may not charge: BLOCKED"):
            await reservations.request(work, station_id=station.id, token_uid="BLOCKED", expires_at=soon)
        with pytest.raises(NotFound):
            await reservations.request(work, station_id=station.id, token_uid="NOBODY", expires_at=soon)
        with pytest.raises(NotFound):
            await reservations.request(work, station_id=uuid4(), token_uid="CARD", expires_at=soon)
    async with acme.work(role=Role.VIEWER) as work:
        with pytest.raises(Forbidden):
            await reservations.request(work, station_id=station.id, token_uid="CARD", expires_at=soon)


async def test_a_reservation_goes_with_its_station_and_outlives_its_token(acme: Tester) -> None:
    command = await asked(acme)
    token_id = (await of(acme, command)).token_id
    assert token_id is not None
    async with acme.work() as work:
        await tokens.delete(work, token_id=token_id)
    kept = await of(acme, command)
    assert (kept.token_id, kept.token_uid) == (None, "CARD")
    async with acme.work() as work:
        await stations.delete(work, station_id=command.station_id)
    async with acme.work(read_only=True) as work:
        assert await reservations.by_ids(work, [kept.id]) == []


# --- whatever happens, in whatever order -------------------------------------------------------------------------

Happening = Callable[[Tester, Command], Awaitable[object]]


async def accept(tester: Tester, command: Command) -> None:
    await answered(tester, command, CommandStatus.ACCEPTED, "Accepted")


async def use(tester: Tester, command: Command) -> None:
    async with tester.work(role=Role.STATION) as work:
        number = command.arguments["reservation_number"]
        await reservations.use(work, station_id=command.station_id, number=number, session_id=uuid4())


async def remove(tester: Tester, command: Command) -> None:
    async with tester.work(role=Role.STATION) as work:
        number = command.arguments["reservation_number"]
        await reservations.report_status(work, station_id=command.station_id, number=number, status=S.REMOVED)


async def expire(tester: Tester, command: Command) -> None:
    async with tester.work() as work:
        work.now += timedelta(hours=2)
        await reservations.expire(work)


HAPPENINGS: list[Happening] = [accept, use, remove, expire]


@pytest.mark.parametrize(
    "order", list(permutations(HAPPENINGS)), ids=lambda order: " ".join(one.__name__ for one in order)
)
async def test_a_charge_has_the_last_word_and_what_is_over_is_not_kept_again(
    acme: Tester, order: tuple[Happening, ...]
) -> None:
    command = await asked(acme)
    seen = []
    for happen in order:
        await happen(acme, command)
        await happen(acme, command)
        seen.append((await of(acme, command)).status)

    over = [status for status in seen if status not in LIVE]
    assert seen[seen.index(over[0]) :] == over
    assert seen[order.index(use) :] == [S.USED] * (len(seen) - order.index(use))
    assert seen[-1] is S.USED


async def test_a_number_that_we_have_not_given_is_nothing_to_us(acme: Tester, rival: Tester) -> None:
    command = await asked(acme)
    theirs = await a_station(rival)
    async with rival.work(role=Role.STATION) as work:
        number = command.arguments["reservation_number"]
        assert await reservations.use(work, station_id=theirs.id, number=number, session_id=uuid4()) is None
        assert await reservations.report_status(work, station_id=theirs.id, number=99, status=S.EXPIRED) is None
    assert (await of(acme, command)).status is S.REQUESTED

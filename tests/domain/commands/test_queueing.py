"""Orders that wait for stations: kept, delivered one at a time, tried again where that is safe."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import commands, sessions, stations
from domain.actor import Role
from domain.commands import (
    Command,
    CommandKind,
    CommandRules,
    CommandStatus,
    Miss,
    Objections,
    Outcome,
    StationLink,
    Unheard,
)
from domain.commands.delivering import _asked
from domain.commands.queueing import missed
from domain.errors import Conflict, Forbidden, Invalid, LimitExceeded, TimedOut
from domain.stations import Presence, Registration, StationBooted
from domain.work import Workplace
from tests.domain.commands.test_life import ACCEPTED, REJECTED, Station, answering, followed, read
from tests.factories import a_station, a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio

HOUR_S = 3600.0
LOST = Outcome("FAILED", None, "the station's connection was lost", Miss.UNANSWERED)
NONE = Objections({})  # these orders say no more than their kind
RULES = CommandRules(deadline_s=10, queue_max=5, boot_grace_s=10, attempts_max=3, retry_s=8, retry_max_s=20)


def beside(tester: Tester, line: StationLink, objections: Objections = NONE) -> Workplace:
    """The same house with this line to its stations."""
    ports: dict[Any, Any] = {**tester.workplace._ports, StationLink: line, CommandRules: RULES, Objections: objections}
    workplace = Workplace(tester.workplace.engine, ports=ports, clock=tester.clock)
    workplace._publish = tester.workplace._publish  # type: ignore[method-assign]
    return workplace


async def come(tester: Tester, station: stations.Station, *, boots: bool = True, holder: str = "p/s") -> None:
    await tester.workplace.port(Presence).claim(tester.tenant_id, station.id, holder, 600)  # type: ignore[type-abstract]
    async with tester.work(role=Role.SYSTEM) as work:
        await stations.connected(work, station_ids=[station.id], ocpp_version="ocpp1.6")
    if boots:
        async with tester.work(role=Role.SYSTEM) as work:
            await stations.boot(work, station_id=station.id)


async def a_waiting(
    tester: Tester,
    station: stations.Station,
    kind: CommandKind = CommandKind.GET_CONFIGURATION,
    *,
    queue_for_s: float = HOUR_S,
    **arguments: Any,
) -> Command:
    async with beside(tester, answering(ACCEPTED)).open_work(tester.actor) as work:
        return await commands.request(
            work, station_id=station.id, kind=kind, arguments=arguments, queue_for_s=queue_for_s
        )


async def taken(tester: Tester, station: stations.Station, only: UUID | None = None) -> Command | None:
    async with beside(tester, answering(ACCEPTED)).open_work(tester.acting_as(Role.SYSTEM)) as work:
        return await commands.take(work, station_id=station.id, only=only)


async def delivered(tester: Tester, station: stations.Station, line: Station) -> list[str]:
    """What of that which waits goes out; the kinds, in their order."""
    before = len(line.heard)
    await commands.deliver_waiting(beside(tester, line), tester.acting_as(Role.SYSTEM), station_id=station.id)
    return [order["kind"] for order in line.heard[before:]]


async def swept(tester: Tester, line: StationLink | None = None) -> None:
    async with beside(tester, line or answering(ACCEPTED)).open_work(tester.acting_as(Role.SYSTEM)) as work:
        await commands.expire_overdue(work)
        await commands.retake_lost(work)
        await commands.wake_waiting(work)


async def woken_by_boot(tester: Tester, station: stations.Station, line: Station) -> bool:
    booted = StationBooted(station_id=station.id, boot_reason=None, booted_at=tester.clock())
    async with beside(tester, line).open_work(tester.acting_as(Role.SYSTEM)) as work:
        await commands.wake(work, booted)
    return line.woken == [station.id]


def reason(miss: Any) -> str | None:
    return miss.error if isinstance(miss, Outcome) else str(miss)


async def test_an_order_for_a_station_that_is_not_there_waits(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    command = await a_waiting(acme, station)

    kept = await commands.deliver(beside(acme, line), acme.actor, command)

    assert (kept.status, kept.attempts, kept.sent_at, kept.error) == (CommandStatus.QUEUED, 0, None, None)
    assert kept.expires_at == kept.deadline_at == kept.created_at + timedelta(seconds=HOUR_S)
    assert line.heard == []


async def test_it_goes_out_at_once_where_the_station_is_there(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    await come(acme, station)

    done = await commands.deliver(beside(acme, line), acme.actor, await a_waiting(acme, station))

    assert (done.status, done.attempts, len(line.heard)) == (CommandStatus.ACCEPTED, 1, 1)


async def test_it_goes_out_when_the_station_has_booted(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    assert not await woken_by_boot(acme, station, line), "nothing waits"
    command = await a_waiting(acme, station)
    await come(acme, station)

    async with followed(acme, command) as told:
        assert await woken_by_boot(acme, station, line)
        assert await delivered(acme, station, line) == ["GET_CONFIGURATION"]

    assert told == ["SENT", "ACCEPTED"]
    assert await delivered(acme, station, line) == []


async def test_a_station_that_does_not_boot_is_given_a_while(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    await a_waiting(acme, station)
    acme.clock.forward(seconds=0)
    await come(acme, station, boots=False)

    assert await delivered(acme, station, line) == []
    acme.clock.forward(seconds=RULES.boot_grace_s)
    await swept(acme, line)

    assert line.woken == [station.id]
    assert await delivered(acme, station, line) == ["GET_CONFIGURATION"]


async def test_an_order_that_may_not_go_out_any_more_ends_and_the_next_one_goes(acme: Tester) -> None:
    async def object_to(_work: Any, command: Command) -> str | None:
        return "the card is blocked" if command.arguments["token_uid"] == "BLOCKED" else None

    station, line = await a_station(acme), answering(ACCEPTED)
    objections = Objections({CommandKind.REMOTE_START: object_to})
    blocked = await a_waiting(acme, station, CommandKind.REMOTE_START, token_uid="BLOCKED")
    good = await a_waiting(acme, station, CommandKind.REMOTE_START, token_uid="GOOD")
    await come(acme, station)

    async with followed(acme, blocked) as told:
        await commands.deliver_waiting(
            beside(acme, line, objections), acme.acting_as(Role.SYSTEM), station_id=station.id
        )

    assert [order["command_id"] for order in line.heard] == [good.id]
    ended = await read(acme, blocked)
    assert (ended.status, ended.attempts, ended.error) == (CommandStatus.FAILED, 0, "the card is blocked")
    assert told == ["FAILED"]


async def test_where_the_station_may_have_heard_it_before_nobody_says_that_it_has_not(acme: Tester) -> None:
    async def object_to(_work: Any, _command: Command) -> str | None:
        return "the card is blocked"

    station = await a_station(acme)
    await come(acme, station)
    command = await a_waiting(acme, station, CommandKind.RESERVE_NOW)
    assert (await commands.deliver(beside(acme, answering(LOST)), acme.actor, command)).attempts == 1
    acme.clock.forward(seconds=RULES.retry_max_s)

    objecting = beside(acme, answering(ACCEPTED), Objections({CommandKind.RESERVE_NOW: object_to}))
    async with objecting.open_work(acme.acting_as(Role.SYSTEM)) as work:
        assert await commands.take(work, station_id=station.id) is None

    ended = await read(acme, command)
    assert (ended.status, ended.attempts) == (CommandStatus.TIMEOUT, 1)
    assert ended.error is not None
    assert ended.error.endswith("it is not sent again, for the card is blocked")


async def test_stopping_goes_first_diagnosing_last_and_equals_by_age(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    kinds = ("RESET", "GET_CONFIGURATION", "REMOTE_START", "REMOTE_STOP", "UNLOCK_CONNECTOR")
    for kind in kinds:
        await a_waiting(acme, station, CommandKind(kind))
    await come(acme, station)

    assert await delivered(acme, station, line) == [
        "REMOTE_STOP",
        "REMOTE_START",
        "UNLOCK_CONNECTOR",
        "RESET",
        "GET_CONFIGURATION",
    ]


async def test_one_at_a_time_is_on_its_way_whoever_takes(acme: Tester) -> None:
    station = await a_station(acme)
    first, second = await a_waiting(acme, station), await a_waiting(acme, station)
    await come(acme, station)

    taking = await asyncio.gather(*(taken(acme, station) for _ in range(4)))

    assert [one.id for one in taking if one is not None] == [first.id]
    assert await taken(acme, station, only=second.id) is None


async def test_an_order_does_not_overtake_those_before_it(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    await a_waiting(acme, station)
    second = await a_waiting(acme, station)
    await come(acme, station)

    kept = await commands.deliver(beside(acme, line), acme.actor, second)

    assert (kept.status, line.heard) == (CommandStatus.QUEUED, [])
    assert line.woken == [station.id], "somebody begins with the first"


async def test_how_many_wait_and_how_long_is_bounded(acme: Tester) -> None:
    station = await a_station(acme)
    for wrong in (0, -1, RULES.queue_for_max_s + 1):
        with pytest.raises(Invalid, match="1 to 604800 s"):
            await a_waiting(acme, station, queue_for_s=wrong)
    for _ in range(RULES.queue_max):
        await a_waiting(acme, station)
    with pytest.raises(LimitExceeded, match="5 orders wait"):
        await a_waiting(acme, station)

    await come(acme, station)
    await delivered(acme, station, answering(REJECTED))
    await a_waiting(acme, station)


async def test_an_order_that_waited_for_too_long_never_goes_out(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    command = await a_waiting(acme, station, queue_for_s=60)
    acme.clock.forward(seconds=60)
    await come(acme, station)

    assert await delivered(acme, station, line) == []
    async with followed(acme, command) as told:
        await swept(acme)
        await swept(acme)

    over = await read(acme, command)
    assert told == ["TIMEOUT"]
    assert (over.status, over.attempts) == (CommandStatus.TIMEOUT, 0)
    assert over.error == "the station was not there in time: it never was delivered"


@pytest.mark.parametrize("miss", [LOST, TimedOut("the station did not answer within 10 s")])
async def test_what_may_be_said_twice_is_tried_again_after_a_while(acme: Tester, miss: Any) -> None:
    station = await a_station(acme)
    command = await a_waiting(acme, station, CommandKind.CHANGE_AVAILABILITY)
    acme.clock.forward(seconds=1)
    await come(acme, station)
    line = answering(miss)

    pauses_s = []
    for attempt in (1, 2):
        assert len(await delivered(acme, station, line)) == 1
        waiting = await read(acme, command)
        assert (waiting.status, waiting.attempts, waiting.error) == (CommandStatus.QUEUED, attempt, reason(miss))
        assert waiting.next_attempt_at is not None
        pauses_s.append((waiting.next_attempt_at - acme.clock()).total_seconds())
        assert await delivered(acme, station, line) == [], "not before its time"
        acme.clock.forward(seconds=pauses_s[-1])
    assert len(await delivered(acme, station, line)) == 1

    assert [6 <= pauses_s[0] <= 10, 12 <= pauses_s[1] <= 20] == [True, True]
    over = await read(acme, command)
    assert (over.status, over.attempts) == (CommandStatus.TIMEOUT, 3)
    assert over.error == "it was sent 3 times, and the station did not answer"


@pytest.mark.parametrize("kind", ["REMOTE_START", "RESET", "UNLOCK_CONNECTOR"])
async def test_what_may_not_be_said_twice_ends_where_nobody_knows_what_became_of_it(acme: Tester, kind: str) -> None:
    station = await a_station(acme)
    command = await a_waiting(acme, station, CommandKind(kind))
    await come(acme, station)
    line = answering(LOST)

    assert await delivered(acme, station, line) == [kind]
    assert await delivered(acme, station, line) == []

    over = await read(acme, command)
    assert (over.status, over.attempts) == (CommandStatus.TIMEOUT, 1)
    assert over.error == "the station's connection was lost; the station may have done it, so it is not sent again"


async def test_what_never_was_on_the_wire_waits_whatever_it_is(acme: Tester) -> None:
    station = await a_station(acme)
    reset = await a_waiting(acme, station, CommandKind.RESET)
    await a_waiting(acme, station, CommandKind.GET_CONFIGURATION)
    await come(acme, station)

    assert await delivered(acme, station, answering(Unheard("the station is not connected"))) == ["RESET"]

    waiting = await read(acme, reset)
    assert (waiting.status, waiting.attempts, waiting.next_attempt_at) == (CommandStatus.QUEUED, 0, None)
    assert await delivered(acme, station, answering(ACCEPTED)) == ["RESET", "GET_CONFIGURATION"]


@pytest.mark.parametrize(
    ("kind", "status"), [("GET_CONFIGURATION", CommandStatus.QUEUED), ("RESET", CommandStatus.TIMEOUT)]
)
async def test_what_was_on_its_way_when_the_server_died_is_looked_after(
    acme: Tester, kind: str, status: CommandStatus
) -> None:
    station = await a_station(acme)
    command = await a_waiting(acme, station, CommandKind(kind))
    acme.clock.forward(seconds=0)
    await come(acme, station)
    lost = await taken(acme, station)
    assert lost is not None

    acme.clock.forward(seconds=RULES.deadline_s)
    await swept(acme)
    assert (await read(acme, command)).status is CommandStatus.SENT, "its caller may be writing down the end"
    acme.clock.forward(seconds=10)
    await swept(acme)

    looked_after = await read(acme, command)
    assert looked_after.status is status
    acme.clock.forward(seconds=1)
    async with beside(acme, answering(ACCEPTED)).open_work(acme.actor) as work:
        late = await missed(work, command_id=command.id, attempt=lost.attempts, outcome=LOST)
    assert late == looked_after, "who comes back late changes nothing"


@pytest.mark.parametrize(
    ("kind", "status"), [("GET_CONFIGURATION", CommandStatus.QUEUED), ("RESET", CommandStatus.TIMEOUT)]
)
async def test_it_is_looked_after_before_its_deadline_where_the_station_has_come_back(
    acme: Tester, kind: str, status: CommandStatus
) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    command = await a_waiting(acme, station, CommandKind(kind))
    acme.clock.forward(seconds=0)
    await come(acme, station)
    assert await taken(acme, station) is not None

    acme.clock.forward(seconds=1)
    await come(acme, station, holder="q/s")
    await swept(acme, line)
    assert (await read(acme, command)).status is CommandStatus.SENT, "whoever lost it may be writing down the end"
    acme.clock.forward(seconds=5)
    await swept(acme, line)

    assert (await read(acme, command)).status is status
    assert line.woken == ([station.id] if status is CommandStatus.QUEUED else [])


async def test_it_is_left_alone_where_its_connection_is_still_there(acme: Tester) -> None:
    station = await a_station(acme)
    command = await a_waiting(acme, station)
    acme.clock.forward(seconds=0)
    await come(acme, station)
    assert await taken(acme, station) is not None

    acme.clock.forward(seconds=1)
    await come(acme, station)  # said twice, as after a loss of Redis
    acme.clock.forward(seconds=5)
    await swept(acme)

    assert (await read(acme, command)).status is CommandStatus.SENT


async def test_a_caller_who_was_asleep_does_not_send_what_is_over(acme: Tester) -> None:
    station = await a_station(acme)
    line = answering(ACCEPTED)
    await come(acme, station)
    command = await a_waiting(acme, station)
    first = await taken(acme, station)
    assert first is not None
    workplace = beside(acme, line)
    workplace.clock = lambda: acme.clock() + timedelta(hours=2)

    outcome = await _asked(workplace, acme.actor, first)

    assert (outcome.miss, line.heard, command.id) == (Miss.UNHEARD, [], first.id)


async def test_a_station_that_is_not_accepted_hears_what_it_may(acme: Tester) -> None:
    station, line = await a_station(acme, registration=Registration.PENDING), answering(ACCEPTED)
    for kind in (CommandKind.REMOTE_START, CommandKind.UNLOCK_CONNECTOR, CommandKind.GET_CONFIGURATION):
        await a_waiting(acme, station, kind)
    await come(acme, station)

    assert await delivered(acme, station, line) == ["GET_CONFIGURATION"]
    await a_waiting(acme, station, CommandKind.TRIGGER_MESSAGE)
    async with acme.work() as work:
        await stations.update(work, station_id=station.id, registration=Registration.REJECTED)
    assert await delivered(acme, station, line) == []
    async with acme.work() as work:
        await stations.update(work, station_id=station.id, registration=Registration.ACCEPTED)
    assert await delivered(acme, station, line) == ["REMOTE_START", "UNLOCK_CONNECTOR", "TRIGGER_MESSAGE"]


async def test_an_order_that_waits_can_be_called_off(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    command = await a_waiting(acme, station)
    await come(acme, station)

    async with followed(acme, command) as told:
        for _ in range(2):
            over = await commands.cancel(acme.workplace, acme.actor, command_id=command.id)

    assert told == ["CANCELLED"]
    assert (over.status, over.error) == (CommandStatus.CANCELLED, "it was called off")
    assert over.completed_at is not None
    assert await delivered(acme, station, line) == []


async def test_an_order_on_its_way_can_be_called_off_until_it_is_on_the_wire(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    workplace = beside(acme, line)
    command = await a_waiting(acme, station)
    await come(acme, station)
    assert await taken(acme, station)

    with pytest.raises(Conflict, match="on its way"):
        await commands.cancel(workplace, acme.actor, command_id=command.id)
    line.recallable.add(command.id)
    over = await commands.cancel(workplace, acme.actor, command_id=command.id)

    assert over.status is CommandStatus.CANCELLED
    assert await delivered(acme, station, line) == []


async def test_what_has_ended_cannot_be_called_off(acme: Tester) -> None:
    station = await a_station(acme)
    command = await a_waiting(acme, station)
    await come(acme, station)
    await delivered(acme, station, answering(REJECTED))

    with pytest.raises(Conflict, match="has ended already: REJECTED"):
        await commands.cancel(acme.workplace, acme.actor, command_id=command.id)
    with pytest.raises(Forbidden):
        await commands.cancel(acme.workplace, acme.acting_as(Role.VIEWER), command_id=command.id)


async def test_an_order_that_was_called_off_before_it_was_sent_is_not_sent(acme: Tester) -> None:
    """One that does not wait, in the moment between the writing down and the sending."""
    station, line = await a_station(acme), answering(ACCEPTED)
    async with acme.work() as work:
        command = await commands.request(work, station_id=station.id, kind=CommandKind.RESET)
    await commands.cancel(acme.workplace, acme.actor, command_id=command.id)

    over = await commands.deliver(beside(acme, line), acme.actor, command)

    assert (over.status, line.heard) == (CommandStatus.CANCELLED, [])


async def test_a_password_that_waited_in_vain_is_kept_nowhere(acme: Tester) -> None:
    station = await a_station(acme)
    secret: dict[str, Any] = {"key": "AuthorizationKey", "value": "top-secret"}
    late = await a_waiting(acme, station, CommandKind.CHANGE_CONFIGURATION, queue_for_s=5, **secret)
    off = await a_waiting(acme, station, CommandKind.CHANGE_CONFIGURATION, **secret)
    await commands.cancel(acme.workplace, acme.actor, command_id=off.id)
    acme.clock.forward(seconds=6)
    await swept(acme)

    for over in (await read(acme, late), await read(acme, off)):
        assert (over.completed_at is not None, over.arguments["value"]) == (True, "********")


async def test_a_remote_start_that_waited_for_hours_leads_to_its_session(acme: Tester) -> None:
    station, token = await a_station(acme), await a_token(acme)
    async with acme.work() as work:
        command = await sessions.request_start(
            work, station_id=station.id, token_uid=token.uid, evse_number=1, queue_for_s=7 * HOUR_S
        )
    acme.clock.forward(hours=6)
    await come(acme, station)
    assert await delivered(acme, station, answering(ACCEPTED)) == ["REMOTE_START"]

    async with acme.work(role=Role.SYSTEM) as work:
        started = await sessions.start(
            work,
            station_id=station.id,
            evse_number=1,
            connector_number=1,
            token_uid=token.uid,
            at=acme.clock(),
            meter_wh=0,
        )

    assert started.session.command_id == command.id


async def test_orders_of_others_are_nobodys(acme: Tester, rival: Tester) -> None:
    station = await a_station(acme)
    command = await a_waiting(acme, station)
    await come(acme, station)

    assert await taken(rival, station) is None
    async with rival.work(read_only=True) as work:
        assert await commands.by_ids(work, [command.id, uuid4()]) == []

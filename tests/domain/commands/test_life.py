"""A command's life: ordered, sent, and ended once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from domain import commands, stations
from domain.actor import Role
from domain.commands import (
    Command,
    CommandChanged,
    CommandKind,
    CommandRules,
    CommandStatus,
    Outcome,
    StationLink,
    delivering,
)
from domain.errors import Forbidden, Invalid, NotFound, TimedOut, Unavailable
from domain.work import Workplace
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

ACCEPTED = Outcome(status="ACCEPTED", result={"status": "Accepted"}, error=None)
REJECTED = Outcome(status="REJECTED", result={"status": "Rejected"}, error="the station answered Rejected")


class Station(StationLink):
    """What stands at the other end: `answers` is called with what was ordered."""

    def __init__(self, answers: Callable[[dict[str, Any]], Awaitable[Outcome]]) -> None:
        self.answers = answers
        self.heard: list[dict[str, Any]] = []
        self.hung_up_on: list[UUID] = []
        self.woken: list[UUID] = []
        self.recallable: set[UUID] = set()

    async def deliver(
        self,
        *,
        tenant_id: UUID,
        station_id: UUID,
        command_id: UUID,
        kind: str,
        arguments: dict[str, Any],
        timeout_s: float,
        send_within_s: float | None = None,
    ) -> Outcome:
        order = {"kind": kind, "arguments": arguments, "timeout_s": timeout_s, "command_id": command_id}
        self.heard.append(order)
        return await self.answers(order)

    async def recall(self, *, tenant_id: UUID, station_id: UUID, command_id: UUID) -> bool:
        return command_id in self.recallable

    async def wake(self, *, tenant_id: UUID, station_id: UUID) -> None:
        self.woken.append(station_id)

    async def hang_up(self, *, tenant_id: UUID, station_id: UUID) -> None:
        self.hung_up_on.append(station_id)


def beside(tester: Tester, station: Station) -> Workplace:
    """The same house with this station, which has ten seconds to answer."""
    ports: dict[Any, Any] = {**tester.workplace._ports, StationLink: station}
    ports[CommandRules] = CommandRules(deadline_s=10)
    return Workplace(tester.workplace.engine, ports=ports, clock=tester.clock)


def answering(outcome: Outcome | Exception) -> Station:
    async def answer(_order: dict[str, Any]) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Station(answer)


async def a_command(
    tester: Tester, kind: CommandKind = CommandKind.RESET, *, deadline_s: float | None = 10, **arguments: Any
) -> Command:
    station = await a_station(tester)
    async with tester.work() as work:
        return await commands.request(
            work, station_id=station.id, kind=kind, arguments=arguments, deadline_s=deadline_s
        )


async def read(tester: Tester, command: Command) -> Command:
    async with tester.work(read_only=True) as work:
        return await commands.by_id(work, command.id)


@asynccontextmanager
async def followed(tester: Tester, command: Command) -> AsyncIterator[list[str]]:
    """The states that are told of it, once the outbox would tell them."""
    told: list[str] = []
    publish = tester.workplace._publish

    async def hear(work: Any) -> None:
        told.extend(
            envelope.event.status
            for envelope in work.emitted
            if isinstance(envelope.event, CommandChanged) and envelope.event.command_id == command.id
        )
        await publish(work)

    tester.workplace._publish = hear  # type: ignore[method-assign]
    try:
        yield told
    finally:
        tester.workplace._publish = publish  # type: ignore[method-assign]


async def test_an_order_is_written_down_before_it_is_sent(acme: Tester) -> None:
    station = await a_station(acme)
    async with acme.work(role=Role.OPERATOR) as work:
        command = await commands.request(
            work, station_id=station.id, kind=CommandKind.RESET, arguments={"type": "SOFT"}
        )

    kept = await read(acme, command)
    assert (kept.status, kept.arguments, kept.actor) == (CommandStatus.QUEUED, {"type": "SOFT"}, acme.slug)
    assert kept.deadline_at - kept.created_at == timedelta(seconds=30)
    assert (kept.sent_at, kept.completed_at) == (None, None)
    assert [envelope.event for envelope in work.emitted] == [
        CommandChanged(command_id=command.id, station_id=station.id, status="QUEUED")
    ]


async def test_who_may_order(acme: Tester, rival: Tester) -> None:
    station = await a_station(acme)
    for role in (Role.VIEWER, Role.STATION):
        async with acme.work(role=role) as work:
            with pytest.raises(Forbidden):
                await commands.request(work, station_id=station.id, kind=CommandKind.RESET)
    async with rival.work() as work:
        with pytest.raises(NotFound):
            await commands.request(work, station_id=station.id, kind=CommandKind.RESET)


async def test_remote_starts_have_numbers_of_their_own(acme: Tester) -> None:
    numbers = [
        (await a_command(acme, CommandKind.REMOTE_START, token_uid="A")).arguments["remote_start_number"]
        for _ in range(3)
    ]
    reset = await a_command(acme)

    assert len(set(numbers)) == 3
    assert all(0 < number < 2**31 for number in numbers)
    assert reset.remote_start_number is None


@pytest.mark.parametrize("outcome", [ACCEPTED, REJECTED])
async def test_the_stations_answer_is_the_end_of_a_command(acme: Tester, outcome: Outcome) -> None:
    command = await a_command(acme, type="SOFT")
    station = answering(outcome)

    done = await commands.deliver(beside(acme, station), acme.actor, command)

    assert (done.status, done.result, done.error) == (outcome.status, outcome.result, outcome.error)
    assert done.sent_at is not None
    assert done.completed_at is not None
    (heard,) = station.heard
    assert (heard["kind"], heard["arguments"], heard["command_id"]) == ("RESET", {"type": "SOFT"}, command.id)
    assert 0 < heard["timeout_s"] <= 10


@pytest.mark.parametrize(
    ("error", "status"),
    [(TimedOut("too slow"), CommandStatus.TIMEOUT), (Unavailable("not there"), CommandStatus.FAILED)],
)
async def test_a_station_that_does_not_answer_ends_a_command_too(
    acme: Tester, error: Exception, status: CommandStatus
) -> None:
    done = await commands.deliver(beside(acme, answering(error)), acme.actor, await a_command(acme))

    assert (done.status, done.error, done.result) == (status, str(error), None)


async def test_no_transaction_is_open_while_a_station_thinks(acme: Tester) -> None:
    """Works do not nest, so that one may be opened here proves it."""
    command = await a_command(acme)

    async def look(_order: dict[str, Any]) -> Outcome:
        assert (await read(acme, command)).status is CommandStatus.SENT
        return ACCEPTED

    assert (await commands.deliver(beside(acme, Station(look)), acme.actor, command)).status == "ACCEPTED"


async def test_a_caller_who_goes_away_does_not_end_a_command(acme: Tester) -> None:
    command = await a_command(acme)
    ordered, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(_order: dict[str, Any]) -> Outcome:
        ordered.set()
        await may_answer.wait()
        return ACCEPTED

    caller = asyncio.create_task(commands.deliver(beside(acme, Station(slowly)), acme.actor, command))
    async with asyncio.timeout(20):
        await ordered.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        may_answer.set()
        while (await read(acme, command)).status is CommandStatus.SENT:
            pass

    assert (await read(acme, command)).status is CommandStatus.ACCEPTED


async def test_a_connector_without_its_evse_is_not_ordered_about(acme: Tester) -> None:
    """It would be taken for the whole station."""
    with pytest.raises(Invalid):
        await a_command(acme, CommandKind.CHANGE_AVAILABILITY, operational_status="INOPERATIVE", connector_number=1)


async def test_a_command_that_waited_for_too_long_is_not_given_more_time(acme: Tester) -> None:
    command = await a_command(acme, deadline_s=5)
    acme.clock.forward(seconds=6)
    station = answering(TimedOut("too late"))

    done = await commands.deliver(beside(acme, station), acme.actor, command)

    assert done.status is CommandStatus.TIMEOUT
    assert station.heard[0]["timeout_s"] == 0


async def test_a_command_ends_once(acme: Tester) -> None:
    command = await a_command(acme)

    async with followed(acme, command) as told, asyncio.TaskGroup() as group:
        for outcome in (ACCEPTED, REJECTED, ACCEPTED):
            group.create_task(_completed(acme, command, outcome))
    first = await read(acme, command)
    await _completed(acme, command, Outcome(status="FAILED", result=None, error="too late"))

    assert told == [first.status]
    assert first.status in (CommandStatus.ACCEPTED, CommandStatus.REJECTED)
    assert await read(acme, command) == first


async def _completed(tester: Tester, command: Command, outcome: Outcome) -> Command:
    async with tester.work() as work:
        return await commands.complete(work, command_id=command.id, outcome=outcome)


async def test_commands_that_nobody_waits_for_any_more_time_out(acme: Tester) -> None:
    overdue, due = await a_command(acme, deadline_s=10), await a_command(acme, deadline_s=60)
    done = await _completed(acme, await a_command(acme, deadline_s=10), ACCEPTED)

    acme.clock.forward(seconds=12)
    async with acme.work(role=Role.SYSTEM) as work:
        assert await commands.expire_overdue(work) == []  # its caller may be writing down the end
    acme.clock.forward(seconds=10)
    async with followed(acme, overdue) as told:
        await asyncio.gather(_sweep(acme), _sweep(acme))

    assert told == ["TIMEOUT"]
    expired = await read(acme, overdue)
    assert (expired.status, expired.completed_at) == (CommandStatus.TIMEOUT, acme.clock.now)
    assert (await read(acme, due)).status is CommandStatus.QUEUED
    assert (await read(acme, done)).status is CommandStatus.ACCEPTED
    assert (await _completed(acme, overdue, ACCEPTED)).status is CommandStatus.TIMEOUT


async def _sweep(tester: Tester) -> None:
    async with tester.work(role=Role.SYSTEM) as work:
        await commands.expire_overdue(work)


async def test_unfinished_commands_are_known_oldest_first(acme: Tester, rival: Tester) -> None:
    first, second = await a_command(acme), await a_command(acme)
    await _completed(acme, await a_command(acme), REJECTED)
    await a_command(rival)

    async with acme.work(read_only=True) as work:
        assert [command.id for command in await commands.unfinished(work)] == [first.id, second.id]


@pytest.mark.parametrize("key", ["AuthorizationKey", "authorizationkey", "SecurityCtrlr.BasicAuthPassword"])
async def test_a_password_goes_to_the_station_and_is_kept_nowhere(acme: Tester, key: str) -> None:
    line = answering(ACCEPTED)
    command = await a_command(acme, CommandKind.CHANGE_CONFIGURATION, key=key, value="top-secret")
    told = Outcome("ACCEPTED", {"configuration": {key: {"value": "top-secret"}}, "unknown": []}, None)
    updates = "subscription ($id: ID) { commandUpdates(commandId: $id) { arguments } }"
    async with acme.subscribe(updates, {"id": str(command.id)}) as items:
        shown = await anext(items)

    done = await commands.deliver(beside(acme, line), acme.actor, command)
    asked = await a_command(acme, CommandKind.GET_CONFIGURATION)
    await _completed(acme, asked, told)

    assert [order["arguments"]["value"] for order in line.heard] == ["top-secret"]
    async with acme.work(read_only=True) as work:
        kept = [await stations.by_id(work, one.station_id) for one in (command, asked)]
    assert "top-secret" not in str([done, await read(acme, command), await read(acme, asked), *kept, shown])


async def test_what_a_station_takes_of_its_settings_is_remembered(acme: Tester) -> None:
    command = await a_command(acme, CommandKind.CHANGE_CONFIGURATION, key="HeartbeatInterval", value="90")
    await _completed(acme, command, ACCEPTED)
    refused = await a_command(acme, CommandKind.CHANGE_CONFIGURATION, key="Nonsense", value="1")
    await _completed(acme, refused, REJECTED)

    async with acme.work() as work:
        assert (await stations.by_id(work, command.station_id)).configuration == {"HeartbeatInterval": "90"}
        assert (await stations.by_id(work, refused.station_id)).configuration == {}


async def test_what_a_station_tells_of_its_settings_is_remembered_beside_the_rest(acme: Tester) -> None:
    first = await a_command(acme, CommandKind.GET_CONFIGURATION)
    told = {"A": {"value": "1", "readonly": True}, "B": {"value": None, "readonly": False}}
    await _completed(acme, first, Outcome("ACCEPTED", {"configuration": told, "unknown": ["C"]}, None))
    async with acme.work() as work:
        second = await commands.request(work, station_id=first.station_id, kind=CommandKind.GET_CONFIGURATION)
    await _completed(acme, second, Outcome("ACCEPTED", {"configuration": {"A": {"value": "2"}}}, None))

    async with acme.work() as work:
        assert (await stations.by_id(work, first.station_id)).configuration == {"A": "2", "B": None}


async def test_a_command_to_a_station_that_was_deleted_meanwhile_is_gone_with_it(acme: Tester) -> None:
    command = await a_command(acme)

    async def vanish(_order: dict[str, Any]) -> Outcome:
        async with acme.work() as work:
            await stations.delete(work, station_id=command.station_id)
        return ACCEPTED

    with pytest.raises(NotFound):
        await commands.deliver(beside(acme, Station(vanish)), acme.actor, command)


async def test_a_station_that_was_deleted_is_hung_up_on(acme: Tester) -> None:
    station, line = await a_station(acme), answering(ACCEPTED)
    async with beside(acme, line).open_work(acme.acting_as(Role.SYSTEM)) as work:
        await commands.hang_up(work, stations.StationDeleted(station_id=station.id, identity=station.identity))

    assert line.hung_up_on == [station.id]


async def test_a_remote_start_is_recognized_by_its_number_or_by_who_wanted_to_charge(acme: Tester) -> None:
    command = await a_command(acme, CommandKind.REMOTE_START, token_uid="Card", evse_number=1)
    await _completed(acme, command, ACCEPTED)

    async def match(**given: Any) -> UUID | None:
        async with acme.work() as work:
            wanted = {"station_id": command.station_id, "token_uid": "Card", "evse_number": 1, "at": work.now, **given}
            return await commands.matching_remote_start(work, **wanted)

    assert await match() == command.id
    assert await match(token_uid=" cARD ") == command.id
    assert await match(token_uid=None, remote_start_number=command.remote_start_number) == command.id
    assert await match(evse_number=2) is None
    assert await match(token_uid="Other") is None
    assert await match(station_id=uuid7()) is None
    assert await match(remote_start_number=0) is None
    assert await match(excluding=[command.id]) is None
    assert await match(at=command.created_at + timedelta(minutes=3)) is None


async def test_a_remote_start_that_was_refused_leads_to_no_charge(acme: Tester) -> None:
    command = await a_command(acme, CommandKind.REMOTE_START, token_uid="Card")
    await _completed(acme, command, REJECTED)

    async with acme.work() as work:
        found = await commands.matching_remote_start(
            work, station_id=command.station_id, token_uid="Card", evse_number=1, at=work.now
        )
    assert found is None


async def test_an_answer_is_written_down_though_the_database_was_away_for_a_moment(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "_WRITTEN_AGAIN_AFTER_S", (0.01, 0.01))
    command = await a_command(acme)
    away = iter([True, True, False])
    workplace = beside(acme, answering(ACCEPTED))
    complete = commands.complete

    async def or_not(*given: Any, **more: Any) -> Command:
        if next(away):
            raise Unavailable("the database is not reachable")
        return await complete(*given, **more)

    monkeypatch.setattr(delivering, "complete", or_not)

    assert (await commands.deliver(workplace, acme.actor, command)).status is CommandStatus.ACCEPTED

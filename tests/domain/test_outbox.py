"""The outbox is for hands: the job of an event that anything follows from exists if and only if its change does."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from domain import commands, outbox, reactions
from domain.bus import Message, Topic
from domain.commands import CommandKind
from domain.events import Envelope, Event
from domain.stations import StationBooted, StationRegistered
from domain.work import Work, Workplace
from tests.domain.sessions.charger import a_charger
from tests.factories import a_station
from tests.tester import Tester
from voltgraph.relay import backlog

pytestmark = pytest.mark.anyio


class Seen:
    """A reaction that writes down what it saw, and fails as often as it is told to."""

    def __init__(self, tester: Tester) -> None:
        self._tenant_id = tester.tenant_id
        self.identities: list[str] = []
        self.failures = 0

    async def __call__(self, work: Work, event: Any) -> None:
        if work.tenant_id != self._tenant_id:
            return  # of an earlier test
        self.identities.append(event.identity)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not today")


@pytest.fixture
def seen(acme: Tester, monkeypatch: pytest.MonkeyPatch) -> Seen:
    watcher = Seen(acme)

    async def see(work: Work, event: Any) -> None:
        await watcher(work, event)

    monkeypatch.setitem(reactions.REACTIONS, StationRegistered, [see])
    monkeypatch.setattr(reactions, "name_of", lambda reaction: f"tests.{reaction.__name__}")
    monkeypatch.setattr("voltgraph.relay.name_of", lambda reaction: f"tests.{reaction.__name__}")
    return watcher


async def jobs_of(tester: Tester, event: type[Event] | None = None) -> int:
    async with tester.workplace.engine.connect() as connection:
        query = text(
            "select count(*) from pgqueuer where headers ->> 'tenant' = :tenant and status <> 'failed' "
            "and (cast(:type as text) is null or headers ->> 'type' = :type)"
        )
        wanted = {"tenant": str(tester.tenant_id), "type": event and event.__name__}
        return int(await connection.scalar(query, wanted) or 0)


async def test_an_event_runs_its_reactions_once(acme: Tester, seen: Seen) -> None:
    await a_station(acme, "CP-1")

    await acme.relay()
    await acme.relay()

    assert seen.identities == ["CP-1"]
    assert await jobs_of(acme) == 0


async def test_a_rolled_back_change_leaves_no_job(acme: Tester, seen: Seen) -> None:
    with pytest.raises(RuntimeError):
        async with acme.work() as work:
            work.emit(StationRegistered(station_id=acme.tenant_id, identity="ghost"))
            await work.session.flush()
            raise RuntimeError

    assert await jobs_of(acme) == 0
    await acme.relay()
    assert seen.identities == []


async def test_an_event_that_nothing_follows_from_is_told_and_leaves_no_job(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothings: list[dict[type[Event], list[Any]]] = [{}, {StationRegistered: []}]
    for nothing in nothings:
        monkeypatch.setattr(reactions, "REACTIONS", nothing)
        async with acme.house.bus.listen(Topic(acme.tenant_id, "station")) as ear:
            await a_station(acme)
            async with asyncio.timeout(20):
                news = await anext(aiter(ear))
        assert isinstance(news, Message)
        assert isinstance(Envelope.decode(news.payload).event, StationRegistered)
    assert await jobs_of(acme) == 0


async def test_a_boot_leaves_a_job_where_a_charge_goes_on_or_an_order_waits(acme: Tester, rival: Tester) -> None:
    quiet, ordered, charging = [await a_charger(acme, now=0) for _ in range(3)]
    elsewhere = await a_charger(rival)
    await elsewhere.start(0)
    await charging.start(0)
    async with acme.work() as work:
        await commands.request(
            work, station_id=ordered.station_id, kind=CommandKind.GET_CONFIGURATION, arguments={}, queue_for_s=3600
        )

    booted = []
    for charger in (quiet, charging, ordered):
        await charger.boot()
        booted.append(await jobs_of(acme, StationBooted))

    assert booted == [0, 1, 2]


async def test_what_nobody_is_asked_about_leaves_a_job(acme: Tester) -> None:
    """A workplace that does not know the table of reactions loses nothing."""
    workplace = Workplace(acme.workplace.engine, ports=acme.workplace._ports, clock=acme.clock)
    async with workplace.open_work(acme.actor) as work:
        work.emit(StationRegistered(station_id=acme.tenant_id, identity="CP-1"))

    assert await jobs_of(acme) == 1


async def test_a_job_given_out_twice_reacts_once(acme: Tester, seen: Seen) -> None:
    """At-least-once delivery: the same job row comes again after its reaction has committed."""
    await a_station(acme, "CP-1")
    async with acme.workplace.engine.begin() as connection:
        row = (
            await connection.execute(
                text("select payload, headers from pgqueuer where headers ->> 'tenant' = :t"),
                {"t": str(acme.tenant_id)},
            )
        ).one()
    await acme.relay()
    async with acme.workplace.engine.begin() as connection:
        await connection.execute(
            text(
                "insert into pgqueuer (priority, entrypoint, payload, status, headers, created, updated, heartbeat, "
                "execute_after) values (0, :relay, :payload, 'queued', cast(:headers as jsonb), "
                "now(), now(), now(), now())"
            ),
            {"relay": outbox.RELAY, "payload": row.payload, "headers": '{"tenant": "again"}'},
        )

    await acme.relay()

    assert seen.identities == ["CP-1"]


async def test_a_failing_reaction_is_tried_again_and_what_it_wrote_is_undone(acme: Tester, seen: Seen) -> None:
    seen.failures = 1
    await a_station(acme, "CP-1")

    await acme.relay()
    assert seen.identities == ["CP-1"]
    async with acme.workplace.engine.begin() as connection:
        await connection.execute(
            text("update pgqueuer set execute_after = now() where attempts > 0 and headers ->> 'tenant' = :tenant"),
            {"tenant": str(acme.tenant_id)},
        )
    await acme.relay()

    assert seen.identities == ["CP-1", "CP-1"]
    assert await jobs_of(acme) == 0


async def test_the_backlog_tells_what_waits_and_for_how_long(acme: Tester, seen: Seen) -> None:
    await acme.relay()
    await a_station(acme, "CP-1")

    waiting = await backlog(acme.workplace.engine)

    assert waiting.jobs >= 1
    assert waiting.lag_s > 0

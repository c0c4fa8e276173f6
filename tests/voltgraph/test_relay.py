"""The relay loses no job: not when it is killed or stopped, nor when the database hangs up on it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import asyncpg
import orjson
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from starlette.requests import Request

from domain import outbox, reactions
from domain.actor import Actor
from domain.errors import Unavailable
from domain.reactions import Apart, Later
from domain.sessions import SessionStatus
from domain.stations import StationRegistered
from domain.work import Work, Workplace
from tests.domain.commands.test_queueing import a_waiting
from tests.domain.sessions.charger import a_charger, minute
from tests.factories import a_station
from tests.journeys.servers import command
from tests.tester import Tester
from voltgraph import relay as relays
from voltgraph.database import plain_url
from voltgraph.health import detailed
from voltgraph.metrics import metrics, unfinished_commands
from voltgraph.relay import Relay
from voltgraph.settings import Settings

pytestmark = pytest.mark.anyio

GUARD_S = 60.0

Behavior = Callable[[Work, Any], Awaitable[None]]


class Reaction:
    """What follows from a station's registration in this test, and whose it was to do."""

    def __init__(self, tester: Tester) -> None:
        self._tenant_id = tester.tenant_id
        self.seen: list[str] = []
        self.by: list[Workplace] = []
        self.behave: Behavior | None = None

    async def __call__(self, work: Work, event: Any) -> None:
        if work.tenant_id != self._tenant_id:
            return  # of another test
        self.seen.append(event.identity)
        self.by.append(work.workplace)
        if self.behave is not None:
            await self.behave(work, event)


@pytest.fixture
def reaction(acme: Tester, monkeypatch: pytest.MonkeyPatch) -> Reaction:
    reaction = Reaction(acme)

    async def react(work: Work, event: Any) -> None:
        await reaction(work, event)

    monkeypatch.setitem(reactions.REACTIONS, StationRegistered, [react])
    for module in (reactions, relays):
        monkeypatch.setattr(module, "name_of", lambda reaction: f"tests.{reaction.__name__}")
    return reaction


def a_relay(tester: Tester, settings: Settings, **given: Any) -> Relay:
    """One of another process, as far as PgQueuer and the reactions can tell."""
    assert settings.database_url
    there = Workplace(tester.workplace.engine, ports=tester.workplace._ports, clock=tester.clock)
    return Relay(there, settings.database_url, **given)


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not await holds():  # noqa: ASYNC110 -- PgQueuer tells nobody
            await asyncio.sleep(0.02)


async def jobs(tester: Tester) -> list[Any]:
    async with tester.workplace.engine.connect() as connection:
        query = text("select * from pgqueuer where headers ->> 'tenant' = :tenant order by id")
        return list((await connection.execute(query, {"tenant": str(tester.tenant_id)})).all())


async def beat(tester: Tester) -> datetime:
    """When the only reaction's relay last gave a sign of life."""
    (heartbeat,) = [job.heartbeat for job in await jobs(tester) if job.entrypoint == relays.REACTION]
    return cast("datetime", heartbeat)


async def no_jobs(tester: Tester) -> bool:
    return not await jobs(tester)


async def alter_jobs(tester: Tester, change: str) -> None:
    async with tester.workplace.engine.begin() as connection:
        await connection.execute(
            text(f"update pgqueuer set {change} where headers ->> 'tenant' = :tenant"),
            {"tenant": str(tester.tenant_id)},
        )


# --- alone and together ----------------------------------------------------------------------------------------------


@pytest.fixture
def common_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that servers and relays of other processes work on."""
    monkeypatch.setattr(outbox, "RELAY", "relay")


def _text_of(log: Path) -> str:
    return log.read_text()


def _catches(pid: int, number: signal.Signals) -> bool:
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@asynccontextmanager
async def running_relay(settings: Settings, log: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`voltgraph relay`."""
    environment = {
        "VOLTGRAPH_DATABASE_URL": settings.database_url or "",
        "VOLTGRAPH_REDIS_URL": settings.redis_url or "",
        "VOLTGRAPH_DATA_DIR": str(settings.data_dir),
    }
    with log.open("wb") as file:
        process = command("relay", environment=environment, stdout=file, stderr=file)
    try:

        async def hears() -> bool:
            """Where the database is shared, others may have done everything before this one can be told to end."""
            assert process.poll() is None, _text_of(log)
            return _catches(process.pid, signal.SIGTERM)

        await until(hears)
        yield process
    finally:
        process.terminate()
        assert await asyncio.to_thread(process.wait, GUARD_S) == 0, _text_of(log)


async def test_a_relay_alone_does_the_work(
    acme: Tester, settings: Settings, common_queue: None, tmp_path: Path
) -> None:
    charger = await a_charger(acme, now=0)
    await charger.start(0)
    acme.clock.now = minute(10)
    await charger.boot()
    async with running_relay(settings, tmp_path / "log") as process:

        async def fanned_out() -> bool:
            assert process.poll() is None, _text_of(tmp_path / "log")
            return [job.entrypoint for job in await jobs(acme)] == ["reaction"]

        await until(fanned_out)
        (job,) = await jobs(acme)
        assert job.execute_after - job.created == timedelta(minutes=5)
        assert (await charger.session()).status is SessionStatus.ACTIVE
        await alter_jobs(acme, "execute_after = now()")
        await until(lambda: no_jobs(acme))

    assert (await charger.session()).status is SessionStatus.INTERRUPTED


async def test_two_relays_share_the_work(acme: Tester, settings: Settings, reaction: Reaction) -> None:
    """The first waits for the second, which has no choice but to help: nobody takes on all of them."""
    ours, theirs = a_relay(acme, settings), a_relay(acme, settings)
    both_at_work = asyncio.Event()

    async def wait_for_the_other(_work: Work, _event: Any) -> None:
        if len(set(reaction.by)) == 2:
            both_at_work.set()
        await both_at_work.wait()

    reaction.behave = wait_for_the_other
    identities = [f"CP-{number}" for number in range(relays._AT_ONCE + 30)]
    async with acme.work() as work:
        for identity in identities:
            work.emit(StationRegistered(station_id=acme.tenant_id, identity=identity))

    async with ours.running(), theirs.running():
        await until(lambda: no_jobs(acme))

    assert sorted(reaction.seen) == sorted(identities)
    assert set(reaction.by) == {ours.workplace, theirs.workplace}


async def test_what_is_for_later_runs_after_its_delay(
    acme: Tester, settings: Settings, reaction: Reaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    (react,) = reactions.REACTIONS[StationRegistered]
    assert not isinstance(react, Later | Apart)
    delay = timedelta(seconds=2)
    monkeypatch.setitem(reactions.REACTIONS, StationRegistered, [Later(react, delay)])
    loop = asyncio.get_running_loop()
    async with a_relay(acme, settings).running():
        begun_s = loop.time()
        await a_station(acme, "CP-1")
        await until(lambda: no_jobs(acme))
        waited_s = loop.time() - begun_s

    assert reaction.seen == ["CP-1"]
    assert waited_s >= delay.total_seconds()


# --- ended -----------------------------------------------------------------------------------------------------------

STUCK = """
import asyncio
import os, os, sys
from domain import outbox, reactions
from domain.stations import StationRegistered
from voltgraph import relay
from voltgraph.processes import die_with_parent
from voltgraph.settings import Settings
from voltgraph.wiring import House

async def react(work, event):
    print(event.identity, flush=True)
    await asyncio.Event().wait()

async def main():
    async with House.built(Settings()) as house, house.relay.running():
        await asyncio.Event().wait()

die_with_parent(os.getppid())
outbox.RELAY, relay.REACTION = sys.argv[1:]
reactions.REACTIONS[StationRegistered] = [react]
reactions.name_of = relay.name_of = lambda reaction: f"tests.{reaction.__name__}"
asyncio.run(main())
"""


@pytest.fixture
def stuck(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    """A relay whose reactions never end; it says which it has begun."""
    told = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "DATA_DIR": settings.data_dir}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOLTGRAPH_")}
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, outbox.RELAY, relays.REACTION],
        env={**inherited, **{f"VOLTGRAPH_{name}": str(value) for name, value in told.items()}},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def says(process: "subprocess.Popen[str]", line: str) -> None:
    """Among whatever else it logs, of jobs that other tests have left."""
    assert process.stdout
    assert any(said == line for said in process.stdout)


async def test_the_job_of_a_killed_relay_is_another_ones(
    acme: Tester, settings: Settings, reaction: Reaction, stuck: "subprocess.Popen[str]"
) -> None:
    await a_station(acme, "CP-1")
    await asyncio.wait_for(asyncio.to_thread(says, stuck, "CP-1\n"), GUARD_S)
    stuck.kill()

    async with a_relay(acme, settings, heartbeat_s=1).running():
        await until(lambda: no_jobs(acme))

    assert reaction.seen == ["CP-1"]


async def test_a_relay_that_lives_keeps_its_job_however_long_it_takes(
    acme: Tester, settings: Settings, reaction: Reaction
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def take_long(_work: Work, _event: Any) -> None:
        begun.set()
        await may_end.wait()

    reaction.behave = take_long
    ours, theirs = a_relay(acme, settings, heartbeat_s=1), a_relay(acme, settings, heartbeat_s=1)
    async with ours.running(), theirs.running():
        await a_station(acme, "CP-1")
        await asyncio.wait_for(begun.wait(), GUARD_S)
        before = await beat(acme)

        async def has_beaten_past_its_end() -> bool:
            return await beat(acme) - before > timedelta(seconds=2)

        await until(has_beaten_past_its_end)
        may_end.set()
        await until(lambda: no_jobs(acme))

    assert reaction.seen == ["CP-1"]


async def test_what_a_relay_cannot_finish_before_it_stops_is_done_later(
    acme: Tester, settings: Settings, reaction: Reaction
) -> None:
    begun = asyncio.Event()

    async def never_end(_work: Work, _event: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    reaction.behave = never_end
    async with a_relay(acme, settings, grace_s=0.1).running():
        await a_station(acme, "CP-1")
        await asyncio.wait_for(begun.wait(), GUARD_S)
    assert [(job.entrypoint, job.status) for job in await jobs(acme)] == [(relays.REACTION, "queued")]

    reaction.behave = None
    async with a_relay(acme, settings).running():
        await until(lambda: no_jobs(acme))

    assert reaction.seen == ["CP-1", "CP-1"]


async def test_a_relay_that_stops_lets_its_reactions_finish(
    acme: Tester, settings: Settings, reaction: Reaction
) -> None:
    begun, stopping = asyncio.Event(), asyncio.Event()

    async def end_late(_work: Work, _event: Any) -> None:
        begun.set()
        await stopping.wait()

    reaction.behave = end_late
    async with a_relay(acme, settings).running():
        await a_station(acme, "CP-1")
        await asyncio.wait_for(begun.wait(), GUARD_S)
        asyncio.get_running_loop().call_later(0.2, stopping.set)

    assert await no_jobs(acme)
    assert reaction.seen == ["CP-1"]


# --- without its database --------------------------------------------------------------------------------------------


async def hang_up_on_relays(tester: Tester) -> int:
    """As an administrator, or a restart of PostgreSQL, would; how many connections there were."""
    async with tester.workplace.engine.connect() as connection:
        query = text("select pg_terminate_backend(pid) from pg_stat_activity where application_name = :name")
        return len((await connection.execute(query, {"name": f"voltgraph relay {os.getpid()}"})).all())


async def test_a_relay_whose_connections_were_cut_goes_on(acme: Tester, settings: Settings, reaction: Reaction) -> None:
    async with a_relay(acme, settings).running():
        for number in range(3):
            await a_station(acme, f"CP-{number}")
            await until(lambda: no_jobs(acme))
            assert await hang_up_on_relays(acme) > 0

    assert reaction.seen == ["CP-0", "CP-1", "CP-2"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_reaction_that_was_under_way_when_the_connections_were_cut_is_done_once(
    fails: bool, acme: Tester, settings: Settings, reaction: Reaction
) -> None:
    """If it has failed, it is tried again: PgQueuer, which cannot write that down just then, would give it up."""
    begun, cut = asyncio.Event(), asyncio.Event()

    async def wait_for_the_cut(_work: Work, _event: Any) -> None:
        begun.set()
        await cut.wait()
        if fails and len(reaction.seen) == 1:
            raise RuntimeError("not without my database")

    reaction.behave = wait_for_the_cut
    async with a_relay(acme, settings, heartbeat_s=1).running():
        await a_station(acme, "CP-1")
        await asyncio.wait_for(begun.wait(), GUARD_S)
        assert await hang_up_on_relays(acme) > 0
        cut.set()
        await until(lambda: no_jobs(acme))

    assert reaction.seen == ["CP-1"] * (1 + fails)


async def test_a_job_that_cannot_be_put_back_is_not_held(
    acme: Tester, settings: Settings, reaction: Reaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgqueuer.queries.Queries.retry_job", _refused)

    async def fail_once(_work: Work, _event: Any) -> None:
        if len(reaction.seen) == 1:
            raise RuntimeError("not now")

    reaction.behave = fail_once
    await a_station(acme, "CP-1")
    async with a_relay(acme, settings, heartbeat_s=1).running():
        await until(lambda: no_jobs(acme))

    assert reaction.seen == ["CP-1", "CP-1"]


async def _refused(*_: object) -> None:
    raise ConnectionRefusedError("nobody is there")


async def test_a_relay_that_finds_no_database_waits_for_it_and_stops_when_told(acme: Tester, tmp_path: Path) -> None:
    relay = Relay(acme.workplace, f"postgresql+asyncpg://somebody@/some?host={tmp_path}", grace_s=GUARD_S)
    loop = asyncio.get_running_loop()
    async with relay.running():
        await asyncio.sleep(1)
        assert not relay.up
        begun_s = loop.time()
    assert loop.time() - begun_s < GUARD_S / 2


# --- held ------------------------------------------------------------------------------------------------------------


def asked(tester: Tester, path: str) -> Request:
    state = SimpleNamespace(state=SimpleNamespace(house=tester.house))
    return Request({"type": "http", "method": "GET", "path": path, "headers": [], "app": state})


async def held(tester: Tester) -> tuple[int, int]:
    """As health and metrics show it."""
    health = orjson.loads(cast("bytes", (await detailed(asked(tester, "/health/detailed"))).body))
    await metrics(asked(tester, "/metrics"))
    return health["parts"]["relay"]["held"], int(REGISTRY.get_sample_value("voltgraph_relay_held_jobs") or 0)


async def test_a_reaction_that_keeps_failing_is_held_seen_and_can_be_put_back(
    acme: Tester, settings: Settings, reaction: Reaction, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_work: Work, _event: Any) -> None:
        raise RuntimeError("not today, nor tomorrow")

    reaction.behave = fail
    before, _ = await held(acme)
    await a_station(acme, "CP-1")
    await acme.relay()
    await alter_jobs(acme, f"attempts = {relays._ATTEMPTS}, execute_after = now()")
    await acme.relay()

    (job,) = await jobs(acme)
    assert (job.entrypoint, job.status) == (relays.REACTION, "failed")
    assert await held(acme) == (before + 1, before + 1)
    assert "not today, nor tomorrow" in caplog.text
    tries = len(reaction.seen)
    await acme.relay()
    assert len(reaction.seen) == tries

    reaction.behave = None
    pgq = Path(sys.executable).with_name("pgq")
    environment = {**os.environ, "PGDSN": acme.house.relay._url}
    requeue = partial(subprocess.run, [pgq, "requeue", str(job.id)], env=environment, check=True, capture_output=True)
    await asyncio.to_thread(requeue)
    await acme.relay()

    assert len(reaction.seen) == tries + 1
    assert await no_jobs(acme)
    assert await held(acme) == (before, before)


async def test_metrics_are_told_without_a_database_too(acme: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(_engine: object) -> None:
        raise Unavailable("the database is not reachable")

    monkeypatch.setattr("voltgraph.metrics.backlog", gone)
    monkeypatch.setattr("voltgraph.metrics.unfinished_commands", gone)
    answer = await metrics(asked(acme, "/metrics"))

    assert answer.status_code == 200
    assert b"voltgraph_relay_lag_seconds NaN" in bytes(answer.body)
    assert b'voltgraph_commands{status="queued"} NaN' in bytes(answer.body)


async def test_metrics_count_the_orders_of_all_tenants_that_have_not_ended(
    acme: Tester, rival: Tester, settings: Settings
) -> None:
    for tester in (acme, rival):
        await a_waiting(tester, await a_station(tester))

    assert (await unfinished_commands(acme.workplace.engine))["QUEUED"] >= 2
    assert settings.database_owner_url is not None
    owner = await asyncpg.connect(plain_url(settings.database_owner_url))
    try:  # in one look, for others of this database have orders too
        counted, there = await owner.fetchrow(
            "select (select array_agg((status, orders) order by status) from commands_unfinished())::text, "
            "(select array_agg((status, n) order by status) from "
            "(select status, count(*) as n from command where completed_at is null group by status) as s)::text"
        )
    finally:
        await owner.close()
    assert counted == there


# --- sweeps ----------------------------------------------------------------------------------------------------------


async def test_one_relay_of_the_cluster_sweeps_at_a_time(
    acme: Tester, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = a_relay(acme, settings), a_relay(acme, settings)
    swept: list[Workplace] = []
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def look_after(work: Work) -> None:
        if work.tenant_id == acme.tenant_id:
            swept.append(work.workplace)
            begun.set()
            await may_end.wait()

    monkeypatch.setattr(relays, "SWEEPS", [look_after])
    sweeping = asyncio.create_task(ours.sweep())
    await asyncio.wait_for(begun.wait(), GUARD_S)
    await asyncio.wait_for(theirs.sweep(), GUARD_S)
    assert swept == [ours.workplace]
    may_end.set()
    await sweeping

    await theirs.sweep()

    assert swept == [ours.workplace, theirs.workplace]


async def test_one_tenants_trouble_does_not_end_the_sweep(
    acme: Tester, rival: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = []

    async def stumble(work: Work) -> None:
        if work.tenant_id == acme.tenant_id:
            raise RuntimeError("a fault of ours")

    async def be_without_redis(_work: Work) -> None:
        raise Unavailable("Redis is not reachable")

    async def look_after(work: Work) -> None:
        swept.append(work.tenant_id)

    monkeypatch.setattr(relays, "SWEEPS", [stumble, be_without_redis, look_after])
    await acme.house.relay.sweep()

    assert {acme.tenant_id, rival.tenant_id} <= set(swept)


async def test_errands_are_run_by_one_relay_for_every_tenant_without_a_work(
    acme: Tester, rival: Tester, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = a_relay(acme, settings), a_relay(acme, settings)
    run: list[UUID] = []

    async def stumble(_workplace: Workplace, whose: Actor) -> None:
        if whose.tenant_id == acme.tenant_id:
            raise RuntimeError("a fault of ours")

    async def errand(workplace: Workplace, whose: Actor) -> None:
        if whose.tenant_id not in (acme.tenant_id, rival.tenant_id):
            return  # of other tests, by the thousand
        async with workplace.open_work(whose, read_only=True):
            run.append(whose.tenant_id)
        if whose.tenant_id == acme.tenant_id:
            await theirs.run_errands()  # it is not their turn

    monkeypatch.setattr(relays, "ERRANDS", [stumble, errand])
    await ours.run_errands()

    assert [run.count(tester.tenant_id) for tester in (acme, rival)] == [1, 1]


async def test_what_is_old_is_thrown_away(acme: Tester, reaction: Reaction, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines about jobs after a day, those with a failure and what reactions were done after a week."""
    monkeypatch.setattr(relays, "SWEEPS", [])
    ages = {"new": timedelta(), "days": timedelta(days=2), "week": timedelta(days=8)}
    async with acme.workplace.engine.begin() as connection:
        for name, age in ages.items():
            for traceback in (None, "{}"):
                await connection.execute(
                    text(
                        "insert into pgqueuer_log (created, job_id, status, priority, entrypoint, traceback) "
                        "values (now() - cast(:age as interval), 0, 'successful', 0, :of, cast(:traceback as jsonb))"
                    ),
                    {"age": age, "of": f"{acme.slug} {name}", "traceback": traceback},
                )
            await connection.execute(
                text(
                    "insert into pgqueuer_statistics (created, count, priority, status, entrypoint) "
                    "values (now() - cast(:age as interval), 1, 0, 'successful', :of)"
                ),
                {"age": age, "of": f"{acme.slug} {name}"},
            )
    for name, age in ages.items():
        acme.clock.now = None
        acme.clock.forward(seconds=-age.total_seconds())
        await a_station(acme, name)
        await acme.relay()
    acme.clock.now = None

    await acme.house.relay.sweep()

    async with acme.workplace.engine.connect() as connection:
        logged = await connection.execute(
            text("select entrypoint, traceback is null from pgqueuer_log where entrypoint like :of order by 1, 2"),
            {"of": f"{acme.slug} %"},
        )
        assert [(of.split()[1], fine) for of, fine in logged] == [("days", False), ("new", False), ("new", True)]
        counted = await connection.scalars(
            text("select entrypoint from pgqueuer_statistics where entrypoint like :of order by 1"),
            {"of": f"{acme.slug} %"},
        )
        assert [of.split()[1] for of in counted] == ["days", "new"]
    async with acme.work(read_only=True) as work:
        done = await (await work.session.connection()).scalar(text("select count(*) from reaction_done"))
    assert (len(reaction.seen), done) == (3, 2)

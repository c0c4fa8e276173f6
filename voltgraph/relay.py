"""The relay: turns events in the outbox into reactions, and runs them.

It runs in every `serve` worker and alone as `voltgraph relay`. PgQueuer deals the jobs out; two relays never run one
job at once, and a job whose relay died is picked up by another after its heartbeat has gone stale.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import asyncpg
import structlog
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.ports import RepositoryPort
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain import actor, outbox
from domain.events import Envelope
from domain.reactions import SWEEPS, by_name, name_of, reactions_to
from domain.work import Work, Workplace
from voltgraph.database import plain_url

log = structlog.get_logger()

REACTION = "reaction"
_BATCH = 100  # jobs per look into the queue
SWEEP_EVERY_S = 15.0
_SWEEP_LOCK = 0x73776570
_SLOT = "\n"  # between a reaction's name and the envelope in a job's payload


class Relay:
    """`async with Relay(...)` runs until left; `drain` runs what is due and returns, for tests."""

    def __init__(self, workplace: Workplace, database_url: str, *, sweep_every_s: float = SWEEP_EVERY_S) -> None:
        self.workplace = workplace
        self._sweep_every_s = sweep_every_s
        self._url = plain_url(database_url)
        self._manager: QueueManager | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._run_forever()), asyncio.create_task(self._sweep_forever())]
        try:
            yield
        finally:
            if self._manager is not None:
                self._manager.shutdown.set()
            tasks[1].cancel()
            done, late = await asyncio.wait(tasks, timeout=10)
            for task in late:
                task.cancel()
            await asyncio.gather(*done, *late, return_exceptions=True)

    async def drain(self) -> None:
        """Run every job that is due, and what follows from it; what is for later stays."""
        async with asyncpg.create_pool(self._url, min_size=2, max_size=4) as pool:
            manager = await self._manage(pool)
            running = asyncio.create_task(manager.run(batch_size=_BATCH))
            while not running.done() and (await backlog(self.workplace.engine)).jobs:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # PgQueuer tells nobody that it has nothing left
            manager.shutdown.set()
            await running

    async def _run_forever(self) -> None:
        """A lost database ends the manager, not the relay."""
        delay_s = 0.5
        while self._manager is None or not self._manager.shutdown.is_set():
            try:
                async with asyncpg.create_pool(self._url, min_size=2, max_size=6) as pool:
                    self._manager = await self._manage(pool)
                    delay_s = 0.5
                    await self._manager.run(batch_size=_BATCH, shutdown_on_listener_failure=True)
            except Exception as error:
                log.warning("relay interrupted", reason=repr(error), again_in_s=delay_s)
                self._manager = None
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 30.0)

    async def _manage(self, pool: asyncpg.Pool) -> QueueManager:
        driver = AsyncpgPoolDriver(pool)
        manager = QueueManager(Queries(driver))
        # PgQueuer probes its listener as it starts, and may do so before it listens: it would wait in vain and give up
        await driver.add_listener(manager.channel, lambda _: None)
        retrying = partial(DatabaseRetryEntrypointExecutor, max_attempts=12, max_delay=timedelta(minutes=10))

        def executor(parameters: EntrypointExecutorParameters) -> DatabaseRetryEntrypointExecutor:
            return retrying(parameters=parameters)

        @manager.entrypoint(outbox.RELAY, on_failure="hold", executor_factory=executor)
        async def fan_out(job: Job) -> None:
            await self._fan_out(manager.queries, job)

        @manager.entrypoint(REACTION, on_failure="hold", executor_factory=executor)
        async def react(job: Job) -> None:
            await self._react(job)

        return manager

    async def _fan_out(self, queries: RepositoryPort, job: Job) -> None:
        """One job per reaction; repeating it adds none."""
        envelope = Envelope.decode(job.payload or b"")
        following = reactions_to(type(envelope.event))
        if not following:
            return
        names = [name_of(later.reaction) for later in following]
        await queries.enqueue(
            [REACTION] * len(names),
            [f"{name}{_SLOT}".encode() + (job.payload or b"") for name in names],
            [0] * len(names),
            [later.delay or None for later in following],
            [f"{envelope.id}:{name}" for name in names],
            [{"tenant": str(envelope.tenant_id), "reaction": name} for name in names],
            on_conflict="skip",
        )

    async def _react(self, job: Job) -> None:
        name, _, payload = (job.payload or b"").partition(_SLOT.encode())
        reaction, envelope = by_name(name.decode()), Envelope.decode(payload)
        async with self.workplace.open_work(actor.system(envelope.tenant_id, "relay")) as work:
            if await _first_time(work, envelope, name.decode()):
                await reaction(work, envelope.event)

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_every_s)
            try:
                await self.sweep()
            except Exception as error:
                log.warning("sweep interrupted", reason=repr(error))

    async def sweep(self) -> None:
        """Look after every tenant once; a cluster's relays take turns."""
        async with self.workplace.engine.connect() as connection:
            if not await connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": _SWEEP_LOCK}):
                return
            await connection.commit()
            try:
                for tenant_id in await actor.tenant_ids(self.workplace.engine):
                    for look_after in SWEEPS:
                        async with self.workplace.open_work(actor.system(tenant_id, "sweep")) as work:
                            await look_after(work)
            finally:
                await connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _SWEEP_LOCK})
                await connection.commit()


async def _first_time(work: Work, envelope: Envelope, name: str) -> bool:
    """Written in the reaction's own transaction: done once, or not at all."""
    connection = await work.session.connection()
    done = await connection.execute(
        text(
            "insert into reaction_done (id, created_at, event_id, reaction) "
            "values (gen_random_uuid(), :now, :event_id, :reaction) on conflict do nothing returning id"
        ),
        {"now": work.now, "event_id": envelope.id, "reaction": name},
    )
    return done.first() is not None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is due and not done yet, how long the oldest of it has been due, and what kept failing."""

    jobs: int
    lag_s: float
    held: int


async def backlog(engine: AsyncEngine) -> Backlog:
    query = text(
        """
        select count(*) filter (where status in ('queued', 'picked') and execute_after <= now()) as jobs,
               coalesce(extract(epoch from now() - min(execute_after)
                   filter (where status in ('queued', 'picked') and execute_after <= now())), 0) as lag_s,
               count(*) filter (where status = 'failed') as held
        from pgqueuer
        """
    )
    async with engine.connect() as connection:
        row = (await connection.execute(query)).one()
    return Backlog(jobs=row.jobs, lag_s=round(float(row.lag_s), 3), held=row.held)

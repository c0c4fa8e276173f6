"""The relay: turns events in the outbox into reactions, and runs them.

It runs in every `serve` worker and alone as `voltgraph relay`. PgQueuer deals the jobs out; two relays never run one
job at once, and a job whose relay died is picked up by another after its heartbeat has gone stale.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import monotonic
from uuid import UUID

import asyncpg
import structlog
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.models import Context, Job, TracebackRecord
from pgqueuer.ports import RepositoryPort
from pgqueuer.ports.driver import NotifyCallback
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain import actor, outbox, points, station_log
from domain.errors import Unavailable
from domain.events import Envelope
from domain.reactions import ERRANDS, SWEEPS, Apart, Errand, Sweep, by_name, name_of, reactions_to
from domain.work import Work, Workplace
from voltgraph.database import plain_url

log = structlog.get_logger()

REACTION = "reaction"
SWEEP_EVERY_S = 15.0
SWEEP_LOCK = 0x73776570
HEARTBEAT_S = 30.0  # a job without a sign of life for so long is given to another relay
GRACE_S = 10.0  # for what runs when the relay stops

_BATCH = 10  # jobs per look into the queue
_AT_ONCE = 100  # jobs that one process takes on
_REACTIONS_AT_ONCE = 20  # of them, those that hold one of the connections that they share with everybody else
_LOOK_S = 5.0  # between looks when nobody calls
_ATTEMPTS = 12  # over some 40 minutes; then a job is held
_BACK_OFF_MAX = timedelta(minutes=10)
_REACTION_S = 120.0
_COMMAND_S = 30.0
_CONNECT_S = 5.0
_AGAIN_MIN_S, _AGAIN_MAX_S = 0.5, 5.0  # after the database was lost
_PRUNE_EVERY_S = 3600.0
_KEEP = timedelta(days=7)  # longer than the cluster may stand still with a job half done
_LOST = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)  # TimeoutError is an OSError
_SLOT = "\n"  # between a reaction's name and the envelope in a job's payload

# PgQueuer writes three lines for every job and throws none away.
_PRUNE_LOG = text(
    "delete from pgqueuer_log where created < now() - interval '1 day' "
    "and (traceback is null or created < now() - cast(:keep as interval))"
)
_PRUNE_STATISTICS = text("delete from pgqueuer_statistics where created < now() - cast(:keep as interval)")
_PRUNE_DONE = text("delete from reaction_done where created_at < :before")


class Relay:
    """Runs while `running()` is entered; `drain` runs what is due and returns, for tests."""

    def __init__(
        self,
        workplace: Workplace,
        database_url: str,
        *,
        sweep_every_s: float = SWEEP_EVERY_S,
        heartbeat_s: float = HEARTBEAT_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self.workplace = workplace
        self._url = plain_url(database_url)
        self._sweep_every_s = sweep_every_s
        self._heartbeat = timedelta(seconds=heartbeat_s)
        self._grace_s = grace_s
        self._reacting = asyncio.Semaphore(_REACTIONS_AT_ONCE)
        self._stopping = asyncio.Event()
        self._manager: QueueManager | None = None
        self._prune_after_s = monotonic()

    @property
    def up(self) -> bool:
        """Whether it takes jobs just now."""
        return self._manager is not None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._stopping.clear()
        tasks = [
            asyncio.create_task(forever)
            for forever in (
                self._run_forever(),
                self._sweep_forever(),
                self._errands_forever(),
                self._forget_forever(),
            )
        ]
        try:
            yield
        finally:
            self._stopping.set()
            if self._manager is not None:
                self._manager.shutdown.set()
            _, late = await asyncio.wait(tasks, timeout=self._grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Run every job that is due, and what follows from it; what is for later stays."""
        async with self._managed() as manager:
            running = asyncio.create_task(self._run(manager))
            while not running.done() and (await backlog(self.workplace.engine)).jobs:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # PgQueuer tells nobody that it has nothing left
            manager.shutdown.set()
            await running

    # --- jobs ----------------------------------------------------------------------------------------------------

    async def _run_forever(self) -> None:
        """A lost database ends the manager, not the relay."""
        again_s = _AGAIN_MIN_S
        while not self._stopping.is_set():
            try:
                async with self._managed() as manager:
                    self._manager = manager
                    if not self._stopping.is_set():
                        again_s = _AGAIN_MIN_S
                        await self._run(manager)
            except Exception as error:
                log.warning("relay interrupted", reason=str(error) or type(error).__name__, again_in_s=again_s)
            finally:
                self._manager = None
            await self._stopped_within(again_s)
            again_s = min(again_s * 2, _AGAIN_MAX_S)

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._stopping.wait(), seconds)
        return False

    async def _run(self, manager: QueueManager) -> None:
        await manager.run(
            dequeue_timeout=timedelta(seconds=_LOOK_S),
            batch_size=_BATCH,
            max_concurrent_tasks=_AT_ONCE,
            shutdown_on_listener_failure=True,
            heartbeat_timeout=self._heartbeat,
            log_aggregation_interval=timedelta(),  # nobody reads those statistics
        )

    @asynccontextmanager
    async def _managed(self) -> AsyncIterator[QueueManager]:
        """A manager with connections of its own, which go when it does, whatever becomes of it."""
        async with _pool(self._url) as pool:
            driver = _Driver(pool)
            manager = QueueManager(_Queries(driver))
            driver.on_lost = manager.shutdown.set
            # PgQueuer probes its listener as it starts, and may do so before it listens: it would wait in vain
            await driver.add_listener(manager.channel, lambda _: None)
            executor = partial(_Executor, max_attempts=_ATTEMPTS, max_delay=_BACK_OFF_MAX)

            @manager.entrypoint(outbox.RELAY, on_failure="hold", executor_factory=executor)
            async def fan_out(job: Job) -> None:
                await self._fan_out(manager.queries, job)

            @manager.entrypoint(REACTION, on_failure="hold", executor_factory=executor)
            async def react(job: Job) -> None:
                await self._react(job)

            yield manager

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
        following, envelope = by_name(name.decode()), Envelope.decode(payload)
        whose = actor.system(envelope.tenant_id, "relay")
        async with self._reacting, asyncio.timeout(_REACTION_S):
            if isinstance(following, Apart):
                await following.reaction(self.workplace, whose, envelope.event)
                return
            async with self.workplace.open_work(whose) as work:
                if await _first_time(work, envelope, name.decode()):
                    await following.reaction(work, envelope.event)

    # --- sweeps --------------------------------------------------------------------------------------------------

    async def _sweep_forever(self) -> None:
        while not await self._stopped_within(self._sweep_every_s):
            try:
                await self.sweep()
            except Exception as error:
                log.warning("sweep interrupted", reason=str(error) or type(error).__name__)

    async def sweep(self) -> None:
        """Look after every tenant once, and now and then throw away what is old; a cluster's relays take turns."""
        async with self._turn(SWEEP_LOCK) as is_ours:
            if not is_ours:
                return
            tenant_ids = await actor.tenant_ids(self.workplace.engine)
            for look_after in SWEEPS:
                await self._for_each(tenant_ids, look_after)
            if monotonic() >= self._prune_after_s:
                await self._prune(tenant_ids)
                self._prune_after_s = monotonic() + _PRUNE_EVERY_S

    @asynccontextmanager
    async def _turn(self, key: int) -> AsyncIterator[bool]:
        """Whether no other relay of the cluster does this; none does until this is left."""
        async with self.workplace.engine.connect() as connection:
            is_ours = bool(await connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": key}))
            await connection.commit()
            try:
                yield is_ours
            finally:
                if is_ours:
                    await connection.execute(text("select pg_advisory_unlock(:key)"), {"key": key})
                    await connection.commit()

    async def _for_each(self, tenant_ids: Sequence[UUID], look_after: Sweep) -> None:
        """One tenant's trouble is no other's; what is unavailable is so for all of them."""
        for tenant_id in tenant_ids:
            try:
                async with self.workplace.open_work(actor.system(tenant_id, "sweep")) as work:
                    await look_after(work)
            except Unavailable as error:
                log.warning("sweep interrupted", sweep=look_after.__name__, reason=error.message)
                return
            except Exception:
                log.exception("sweep failed", sweep=look_after.__name__, tenant=str(tenant_id))

    # --- errands -------------------------------------------------------------------------------------------------

    async def _errands_forever(self) -> None:
        while not await self._stopped_within(self._sweep_every_s):
            try:
                await self.run_errands()
            except Exception as error:
                log.warning("errands interrupted", reason=str(error) or type(error).__name__)

    async def run_errands(self) -> None:
        """For every tenant once; beside the sweeps, for equipment may take its time."""
        async with self._turn(SWEEP_LOCK + 1) as is_ours:
            if not is_ours:
                return
            for tenant_id in await actor.tenant_ids(self.workplace.engine):
                for errand in ERRANDS:
                    await self._run_errand(errand, actor.system(tenant_id, "errand"))

    async def _run_errand(self, errand: Errand, whose: actor.Actor) -> None:
        try:
            await errand(self.workplace, whose)
        except Exception:
            log.exception("errand failed", errand=errand.__module__, tenant=str(whose.tenant_id))

    # --- forgetting ----------------------------------------------------------------------------------------------

    async def _forget_forever(self) -> None:
        while not await self._stopped_within(_PRUNE_EVERY_S):
            try:
                await self.forget()
            except Exception as error:
                log.warning("readings not forgotten", reason=str(error) or type(error).__name__)

    async def forget(self) -> None:
        """What tenants keep no longer; beside the sweeps, for a year of readings takes its time."""
        async with self._turn(SWEEP_LOCK + 2) as is_ours:
            if is_ours:
                await points.forget_old(self.workplace, await actor.tenant_ids(self.workplace.engine))

    async def _prune(self, tenant_ids: Sequence[UUID]) -> None:
        async with self.workplace.engine.begin() as connection:
            await connection.execute(_PRUNE_LOG, {"keep": _KEEP})
            await connection.execute(_PRUNE_STATISTICS, {"keep": _KEEP})
        await self._for_each(tenant_ids, _forget_done)
        await station_log.forget_old(self.workplace)


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


async def _forget_done(work: Work) -> None:
    await (await work.session.connection()).execute(_PRUNE_DONE, {"before": work.now - _KEEP})


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is due and not done yet, how long the oldest of it has been due, and what kept failing."""

    jobs: float
    lag_s: float
    held: float


async def backlog(engine: AsyncEngine) -> Backlog:
    query = text(
        """
        select count(*) filter (where status in ('queued', 'picked') and execute_after <= now()) as jobs,
               coalesce(extract(epoch from now() - min(execute_after)
                   filter (where status in ('queued', 'picked') and execute_after <= now())), 0) as lag_s,
               count(*) filter (where status = 'failed') as held
        from pgqueuer where entrypoint in (:relay, :reaction)
        """
    )
    async with engine.connect() as connection:
        row = (await connection.execute(query, {"relay": outbox.RELAY, "reaction": REACTION})).one()
    return Backlog(jobs=row.jobs, lag_s=round(float(row.lag_s), 3), held=row.held)


# --- PgQueuer, where it would lose a job or the line -----------------------------------------------------------------


@asynccontextmanager
async def _pool(url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connects when it is needed; closed in any case, also with connections that nobody gives back any more."""
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=5,
        timeout=_CONNECT_S,
        command_timeout=_COMMAND_S,
        server_settings={"application_name": f"voltgraph relay {os.getpid()}"},
    )
    await pool
    try:
        yield pool
    finally:
        with suppress(*_LOST):
            await asyncio.wait_for(pool.close(), _CONNECT_S)


class _Driver(AsyncpgPoolDriver):
    """Says at once that the connection that listens is gone: PgQueuer would notice half a minute later."""

    on_lost: Callable[[], None]

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        await super().add_listener(channel, callback)
        if self._listener_connection is not None:
            self._listener_connection.add_termination_listener(self._lost)

    def _lost(self, _connection: object) -> None:
        self.on_lost()

    async def __aexit__(self, *_: object) -> None:
        with suppress(*_LOST):
            await super().__aexit__()


class _Queries(Queries):
    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        """PgQueuer would hold a job that it cannot put back. Left alone, it is taken up when its heartbeat is stale."""
        try:
            await super().retry_job(job, delay, traceback_record)
        except _LOST as error:
            log.warning("job not put back", **_labels(job), reason=str(error) or type(error).__name__)


class _Executor(DatabaseRetryEntrypointExecutor):
    async def execute(self, job: Job, context: Context) -> None:
        try:
            await super().execute(job, context)
        except asyncio.CancelledError:
            # the relay stops; PgQueuer would count the job as called off, and delete it
            raise RetryRequested(delay=timedelta(), reason="the relay stopped") from None
        except RetryRequested as again:
            log.warning("job failed", **_labels(job), attempt=job.attempts + 1, reason=again.reason)
            raise


def _labels(job: Job) -> dict[str, object]:
    headers = job.headers or {}
    return {"job": job.id, "tenant": headers.get("tenant"), "of": headers.get("reaction") or headers.get("type")}

"""From port to adapter: the one place that knows everyone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self
from uuid import UUID

from redis.asyncio import Redis
from uuid_utils.compat import uuid7

from domain import points
from domain.actor import system
from domain.bus import Bus
from domain.commands import (
    CommandKind,
    CommandStatus,
    Miss,
    Objections,
    Outcome,
    StationLink,
    finish_deliveries,
    start_delivering,
)
from domain.credentials import SecretKey
from domain.imports import ReadingsFiles
from domain.meters import MetersAdopt
from domain.points import Adoption, HistoryStore, Latest, NoSpool, Spool
from domain.reactions import OBJECTIONS, leads_on
from domain.sessions import NobodyElse, PatientAuthority, RoamingAuthority
from domain.station_log import Recorder, StationLogRules
from domain.stations import Presence, Vendors
from domain.work import Workplace
from gateways.files import CsvFiles
from gateways.graphql import Purse
from gateways.ocpp import (
    Attempts,
    Attendance,
    Carrier,
    Endpoint,
    HouseGate,
    Limits,
    OcppVersion,
    Pings,
    Reminder,
    Sockets,
    own_interval,
    v16,
    v21,
    v201,
)
from gateways.redis import (
    ClusterLink,
    Holder,
    Keeping,
    Order,
    RedisAnswers,
    RedisBudget,
    RedisBus,
    RedisLatest,
    RedisPresence,
    RedisRefusals,
    Router,
    connect,
)
from gateways.spool import DiskSpool
from gateways.timescale import TimescaleStore
from voltgraph.auth import Doorkeeper
from voltgraph.database import create_engine, plain_url
from voltgraph.relay import SWEEP_EVERY_S, Relay
from voltgraph.rules import rules
from voltgraph.settings import Settings, make_data_dir


class ServerKey(SecretKey):
    """The key for hashing machine secrets, read once."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def key(self) -> bytes:
        return self._key


_PACKAGES: tuple[OcppVersion, ...] = (v16, v201, v21)
OCPP = {package.VERSION: package for package in _PACKAGES}


@dataclass(frozen=True, slots=True)
class Desk(Holder):
    """What is asked of this process for the stations whose sockets it holds."""

    workplace: Workplace
    sockets: Sockets
    attendance: Attendance
    carrier: Carrier = field(default_factory=Carrier)

    async def carry_out(self, order: Order) -> Outcome:
        socket = self.sockets.get(order.tenant_id, order.station_id)
        if socket is None:
            return Outcome(CommandStatus.FAILED, None, "the station is not connected", Miss.UNHEARD)
        return await self.carrier.carry_out(
            socket,
            OCPP[socket.version],
            command_id=order.command_id,
            kind=CommandKind(order.kind),
            arguments=order.arguments,
            timeout_s=order.timeout_s,
            send_within_s=order.send_within_s,
        )

    async def recall(self, command_id: UUID) -> bool:
        return self.carrier.recall(command_id)

    async def deliver_waiting(self, tenant_id: UUID, station_id: UUID) -> None:
        """Behind the answer to the station's boot."""
        socket = self.sockets.get(tenant_id, station_id)
        if socket is not None:
            await socket.caught_up()
            start_delivering(self.workplace, system(tenant_id, "commands"), station_id=station_id)

    async def evict(self, tenant_id: UUID, station_id: UUID, holder: str) -> None:
        await self.attendance.evicted(tenant_id, station_id, holder)

    async def hang_up(self, tenant_id: UUID, station_id: UUID) -> None:
        await self.sockets.close(tenant_id, station_id)


@dataclass(frozen=True, slots=True)
class House:
    """What one process of the cluster is made of."""

    process_id: str
    settings: Settings
    workplace: Workplace
    bus: RedisBus
    redis: Redis
    store: TimescaleStore
    spool: DiskSpool | None
    link: ClusterLink
    relay: Relay
    stations: Endpoint
    attendance: Attendance
    door: Doorkeeper
    purse: Purse | None
    station_log: Recorder | None

    @classmethod
    @asynccontextmanager
    async def built(
        cls, settings: Settings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> AsyncIterator[Self]:
        """Started in order of need, stopped in reverse."""
        if settings.database_url is None or settings.redis_url is None:
            raise ValueError("settings without servers: see voltgraph.servers")
        process_id = uuid7().hex
        keeping = Keeping(length=settings.stream_length, quiet_s=settings.stream_quiet_s)
        engine = create_engine(settings.database_url)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(engine.dispose)
            bus = await stack.enter_async_context(RedisBus(settings.redis_url, keeping=keeping))
            redis = await stack.enter_async_context(connect(settings.redis_url))
            presence, latest = RedisPresence(redis), RedisLatest(redis)
            router = await stack.enter_async_context(Router(settings.redis_url))
            store = await stack.enter_async_context(TimescaleStore(plain_url(settings.database_url)))
            spool = await stack.enter_async_context(_spool(settings)) if settings.spool_mb else None
            link = ClusterLink(presence, router, process_id)
            workplace = Workplace(
                engine,
                clock=clock,
                leads_on=leads_on,
                ports={
                    Bus: bus,
                    Presence: presence,
                    Latest: latest,
                    HistoryStore: store,
                    Adoption: MetersAdopt(),
                    ReadingsFiles: CsvFiles(),
                    Spool: spool or NoSpool(),
                    StationLink: link,
                    SecretKey: ServerKey(settings.hmac_key()),
                    Vendors: Vendors(),  # no vendor's plug-in is there yet
                    Objections: Objections(OBJECTIONS),
                    RoamingAuthority: PatientAuthority(
                        NobodyElse(), deadline_s=settings.roaming_deadline_s, memory_s=settings.roaming_memory_s
                    ),
                    **rules(settings),
                },
            )
            answers = await stack.enter_async_context(
                RedisAnswers(settings.redis_url, age_s=settings.station_answers_s)
            )
            pings = Pings(
                interval_s=settings.station_ping_s, refusals=RedisRefusals(redis), own=partial(own_interval, workplace)
            )
            recorder = Recorder(workplace, workplace.port(StationLogRules)) if settings.station_log_days else None
            sockets = Sockets()
            attendance = Attendance(
                workplace, sockets, process_id=process_id, evict=link.evict, lease_s=settings.station_lease_s
            )
            endpoint = Endpoint(
                gate=HouseGate(workplace, attempts=Attempts(settings.station_password_attempts)),
                lifecycle=attendance,
                workplace=workplace,
                packages=[pings.after_boots(package) for package in OCPP.values()],
                sockets=sockets,
                answers=answers,
                limits=_limits(settings),
                recorder=recorder,
                accompany=Reminder(workplace, OCPP).accompany,
            )
            relay = Relay(
                workplace, settings.database_url, sweep_every_s=min(SWEEP_EVERY_S, settings.station_lease_s / 4)
            )
            door = Doorkeeper(workplace, bus)
            await stack.enter_async_context(_running(points.heed_changes(workplace), "points change"))
            await stack.enter_async_context(_running(points.replay(workplace), "spool replay"))
            yield cls(
                process_id,
                settings,
                workplace,
                bus,
                redis,
                store,
                spool,
                link,
                relay,
                endpoint,
                attendance,
                door,
                _purse(settings, redis),
                recorder,
            )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Takes orders for its sockets, keeps their leases, runs the outbox, remembers callers, rolls up readings."""
        await self.link.serve(Desk(self.workplace, self.stations.sockets, self.attendance))
        logging = nullcontext() if self.station_log is None else self.station_log.running()
        async with logging, self.attendance.kept(), self.relay.running(), self.door.kept(), self.store.rolling():
            yield

    async def drain(self) -> None:
        """Answers what was received, then closes every station's socket: what is acknowledged is kept."""
        await self.stations.sockets.shutdown(self.settings.station_close_code, over_s=2.0)
        await finish_deliveries(2.0)


def _spool(settings: Settings) -> DiskSpool:
    return DiskSpool(make_data_dir(settings.data_dir) / "spool", limit_bytes=settings.spool_mb * 2**20)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _purse(settings: Settings, redis: Redis) -> Purse | None:
    """What callers may spend on GraphQL, all processes together; a rate of 0 is no budget."""
    if settings.graphql_budget_per_s == 0:
        return None
    return Purse(RedisBudget(redis), per_s=settings.graphql_budget_per_s, burst=settings.graphql_budget_burst)


def _limits(settings: Settings) -> Limits:
    return Limits(
        messages_per_s=settings.station_messages_per_s or None,
        handshakes_at_once=settings.station_handshakes,
        handshakes_waiting=settings.station_handshakes_waiting,
        heartbeat_interval_s=max(Limits().heartbeat_interval_s, settings.heartbeat_interval_s),
    )

"""From port to adapter: the one place that knows everyone."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from uuid_utils.compat import uuid7

from domain.bus import Bus
from domain.commands import CommandRules, StationLink
from domain.credentials import SecretKey
from domain.points import HistoryStore, Latest
from domain.stations import Presence, StationRules, UnknownPolicy
from domain.work import Workplace
from gateways.ocpp import LocalLink, Sockets
from gateways.redis import ClusterLink, RedisBus, RedisLatest, RedisPresence, Router
from gateways.timescale import TimescaleStore
from voltgraph.database import create_engine, plain_url
from voltgraph.relay import Relay
from voltgraph.settings import Settings


class ServerKey(SecretKey):
    """The key for hashing machine secrets, read once."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def key(self) -> bytes:
        return self._key


@dataclass(frozen=True, slots=True)
class House:
    """What one process of the cluster is made of."""

    process_id: str
    settings: Settings
    workplace: Workplace
    bus: RedisBus
    presence: RedisPresence
    router: Router
    store: TimescaleStore
    sockets: Sockets
    relay: Relay

    @classmethod
    @asynccontextmanager
    async def built(
        cls, settings: Settings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> AsyncIterator[Self]:
        """Started in order of need, stopped in reverse."""
        assert settings.database_url and settings.redis_url, "settings without servers: start the embedded ones first"
        process_id = uuid7().hex
        engine = create_engine(settings.database_url)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(engine.dispose)
            bus = await stack.enter_async_context(RedisBus(settings.redis_url))
            presence = await stack.enter_async_context(RedisPresence(settings.redis_url))
            latest = await stack.enter_async_context(RedisLatest(settings.redis_url))
            router = await stack.enter_async_context(Router(settings.redis_url, process_id))
            store = await stack.enter_async_context(TimescaleStore(plain_url(settings.database_url)))
            sockets = Sockets()
            workplace = Workplace(
                engine,
                clock=clock,
                ports={
                    Bus: bus,
                    Presence: presence,
                    Latest: latest,
                    HistoryStore: store,
                    StationLink: ClusterLink(presence, router, LocalLink(sockets)),
                    SecretKey: ServerKey(settings.hmac_key()),
                    StationRules: StationRules(
                        unknown=UnknownPolicy(settings.station_policy),
                        heartbeat_interval_s=settings.heartbeat_interval_s,
                    ),
                    CommandRules: CommandRules(deadline_s=settings.command_deadline_s),
                },
            )
            yield cls(
                process_id=process_id,
                settings=settings,
                workplace=workplace,
                bus=bus,
                presence=presence,
                router=router,
                store=store,
                sockets=sockets,
                relay=Relay(workplace, settings.database_url),
            )

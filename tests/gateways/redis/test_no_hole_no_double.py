"""Whatever is cut, killed or slow: whoever goes on from the last id it heard is told each fact once, or looks again."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import RedisError

from domain.bus import Gap, Message, Overflowed, Topic
from domain.errors import Unavailable
from gateways.redis import Keeping, RedisBus, connect
from tests.gateways.redis.conftest import QUICK, Valkey, until

pytestmark = pytest.mark.anyio

KEYS = ("a", "b", "c")
GUARD_S = 30.0

Look = tuple[str, int]  # it looked when so many facts had been told


@dataclass
class Told:
    """What publishers have told, by number. Of some nobody knows, since Redis was away before it answered."""

    keys: list[str] = field(default_factory=list)
    doubtful: set[int] = field(default_factory=set)


@dataclass
class Client:
    """Goes on from the last id it heard whenever its subscription ends, as a good one does."""

    tenant_id: UUID
    keys: tuple[str, ...] | None
    limit: int
    pause_s: float
    told: Told
    log: list[Look | int] = field(default_factory=list)
    last: str | None = None
    is_done: bool = False

    async def run(self, bus: RedisBus) -> None:
        kind = Topic(self.tenant_id, "station")
        topics = [kind] if self.keys is None else [Topic(self.tenant_id, "station", key) for key in self.keys]
        while not self.is_done:
            with suppress(Unavailable, Overflowed):
                async with bus.listen(*topics, limit=self.limit, after=self.last) as ear:
                    if self.last is None:
                        self.look()
                    async for item in ear:
                        self.hear(item)
                        await asyncio.sleep(self.pause_s)
                        if self.is_done:
                            return
                return  # the bus has stopped
            await asyncio.sleep(0.01)

    def hear(self, item: Message | Gap) -> None:
        if isinstance(item, Gap):
            self.look()
        elif item.payload == b"end":
            self.is_done = True
        else:
            self.last = item.id
            self.log.append(int(item.payload))

    def look(self) -> None:
        self.log.append(("look", len(self.told.keys)))

    def check(self) -> None:
        """Each fact once and in order; those that are missing had happened before it looked."""
        last, seen_until = -1, 0
        for entry in [*self.log, len(self.told.keys)]:
            if isinstance(entry, tuple):
                seen_until = max(seen_until, entry[1])
                continue
            assert entry > last, f"{entry} after {last}"
            missing = [number for number in range(last + 1, entry) if self.misses(number) and number >= seen_until]
            assert not missing, f"{missing} between {last} and {entry} in {self.log}"
            last = entry

    def misses(self, number: int) -> bool:
        return number not in self.told.doubtful and (self.keys is None or self.told.keys[number] in self.keys)


@dataclass
class World:
    """A server, a bus that publishes, one that is listened on, and its listeners."""

    valkey: Valkey
    tenant_id: UUID = field(default_factory=uuid4)
    told: Told = field(default_factory=Told)
    clients: list[Client] = field(default_factory=list)
    running: list["asyncio.Task[None]"] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @asynccontextmanager
    async def living(self) -> AsyncIterator["World"]:
        async with RedisBus(self.valkey.url, patience=QUICK, keeping=self.keeping) as self.speaker:
            self.talking = asyncio.create_task(self.talk())
            try:
                self.bus = await self.stack.enter_async_context(self.new_bus())
                yield self
            finally:
                self.talking.cancel()
                await self.stop_process()

    keeping = Keeping(length=400)

    def new_bus(self) -> RedisBus:
        return RedisBus(self.valkey.url, patience=QUICK, linger_s=0.01, keeping=self.keeping)

    async def listen(self, keys: tuple[str, ...] | None, limit: int, pause_s: float) -> None:
        client = Client(self.tenant_id, keys, limit, pause_s, self.told)
        self.clients.append(client)
        self.running.append(asyncio.create_task(client.run(self.bus)))

    async def talk(self) -> None:
        """All the time, so that whatever happens happens in the midst of it."""
        for number in count():
            await self.tell(KEYS[number * 7 % 11 % 3], 1 + number % 3)
            await asyncio.sleep(0.001)

    async def tell(self, key: str, many: int) -> None:
        begin = len(self.told.keys)
        messages = [
            Message(Topic(self.tenant_id, "station", key), str(number).encode())
            for number in range(begin, begin + many)
        ]
        self.told.keys += [key] * many
        try:
            await self.speaker.publish(messages)
        except Unavailable:
            self.told.doubtful.update(range(begin, begin + many))

    async def cut(self, kind: str) -> None:
        with suppress(RedisError, OSError):
            async with connect(self.valkey.url) as redis:
                await redis.client_kill_filter(_type=kind, skipme=True)

    async def stop_process(self) -> None:
        for running in self.running:
            running.cancel()
        await asyncio.wait(self.running)
        await self.stack.aclose()

    async def restart_process(self) -> None:
        await self.stop_process()
        await until(self.is_there)  # a process does not begin without Redis
        self.bus = await self.stack.enter_async_context(self.new_bus())
        self.running = [asyncio.create_task(client.run(self.bus)) for client in self.clients]

    async def is_there(self) -> bool:
        try:
            async with connect(self.valkey.url) as redis:
                return bool(await redis.ping())
        except (OSError, RedisError):
            return False

    async def restart_server(self, pause_s: float) -> None:
        self.valkey.kill()
        await asyncio.sleep(pause_s)
        self.valkey.start()

    async def rest(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)

    async def end(self) -> None:
        await self.rest(0.05)
        self.talking.cancel()
        await asyncio.wait([self.talking])
        await until(lambda: self.bus.up and not self.speaker._untold)
        await asyncio.sleep(0.05)
        while not all(client.is_done for client in self.clients):
            with suppress(Unavailable):
                await self.speaker.publish([Message(Topic(self.tenant_id, "station", key), b"end") for key in KEYS])
            await asyncio.sleep(0.05)


pauses = st.sampled_from([0.0, 0.005, 0.02, 0.1])
steps = st.one_of(
    st.tuples(st.just("tell"), st.sampled_from(KEYS), st.sampled_from([1, 5, 30])),
    st.tuples(
        st.just("listen"),
        st.sampled_from([None, ("a",), ("a", "b"), KEYS]),
        st.sampled_from([3, 20, 256]),
        st.sampled_from([0.0, 0.0, 0.003]),
    ),
    st.tuples(st.just("cut"), st.sampled_from(["pubsub", "pubsub", "normal"])),
    st.tuples(st.just("rest"), pauses),
)
restarts = st.one_of(
    st.tuples(st.just("restart_process")),
    st.tuples(st.just("restart_server"), pauses),
)
FIRST: Any = ("listen", None, 256, 0.0)


@pytest.fixture(params=[False, True], ids=["forgetful", "remembering"])
def server(request: pytest.FixtureRequest) -> Iterator[Valkey]:
    folder = Path(tempfile.mkdtemp(prefix="vg"))
    valkey = Valkey(folder, remembers=request.param)
    valkey.start()
    yield valkey
    valkey.kill()
    shutil.rmtree(folder)


@given(script=st.lists(st.one_of(steps, steps, steps, restarts), max_size=25))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_each_fact_is_told_once_or_the_listener_looks_again(server: Valkey, script: list[Any]) -> None:
    async with asyncio.timeout(GUARD_S), World(server).living() as world:
        for name, *arguments in [FIRST, *script]:
            await getattr(world, name)(*arguments)
        await world.end()
    for client in world.clients:
        client.check()

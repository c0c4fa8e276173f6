"""Messages as they come from the wire, through schema and handler, and back to what goes onto it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast
from uuid import UUID, uuid4

from domain import points, sessions
from domain.actor import Actor, Role
from domain.errors import Unavailable
from domain.page import PageRequest
from domain.sessions import Session, SignedValue
from domain.stations import Registration
from domain.work import Workplace
from gateways.ocpp import Call, Version, v16, v21, v201
from gateways.ocpp.deviations import DeviationLog
from gateways.ocpp.link import Line
from gateways.ocpp.plugs import Plugs
from gateways.ocpp.schemas import SENDS, Kind, form
from gateways.ocpp.standing import Standing
from tests.factories import a_station
from tests.tester import Tester

PACKAGES = {Version.V16: v16, Version.V201: v201, Version.V21: v21}


@dataclass
class CalledBack:
    """The station's side of calls of ours: what it was asked, and what it answers. Unasked, it is not there."""

    answer: Callable[[Any], Any] | None = None
    asked: list[Any] = field(default_factory=list)
    heartbeat_interval_s: float = 0.0
    open: bool = True
    standing: Standing = field(default_factory=lambda: Standing(Registration.ACCEPTED))
    spare_turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def call(self, request: Any, **_: Any) -> Any:
        self.asked.append(request)
        if self.answer is None:
            raise Unavailable("the station is gone")
        return self.answer(request)


@dataclass
class Speaker:
    """A station that speaks one version."""

    tester: Tester
    version: Version
    station_id: UUID
    identity: str
    deviations: DeviationLog = field(default_factory=DeviationLog)
    line: CalledBack = field(default_factory=CalledBack)
    workplace: Workplace | None = None  # in place of the tester's
    plugs: Plugs = field(default_factory=Plugs)

    async def say(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Answers the payload of the answer, which keeps to the schema."""
        reading = form(self.version, action, Kind.REQUEST).read(payload)
        call = Call(
            identity=self.identity,
            tenant_id=self.tester.tenant_id,
            station_id=self.station_id,
            actor=Actor(tenant_id=self.tester.tenant_id, role=Role.STATION, name=self.identity, id=self.station_id),
            workplace=self.workplace or self.tester.workplace,
            version=self.version,
            action=action,
            message_id=str(uuid4()),
            received_at=self.tester.clock(),
            raw=payload,
            socket=cast("Line", self.line),
            plugs=self.plugs,
            tolerate=partial(
                self.deviations.note,
                tenant_id=self.tester.tenant_id,
                station_id=self.station_id,
                identity=self.identity,
                version=self.version,
                action=action,
            ),
        )
        answer = await PACKAGES[self.version].HANDLERS[action](call, reading.message)
        if (self.version, action) in SENDS:
            return {}
        response = form(self.version, action, Kind.RESPONSE)
        written = response.write(answer)
        response.check(written)
        for follower in call.followers:
            await follower
        return written

    async def sessions(self) -> list[Session]:
        """The last started first."""
        async with self.tester.work(read_only=True) as work:
            return list((await sessions.listed(work, PageRequest(), station_id=self.station_id)).rows)

    async def session(self) -> Session:
        (session,) = await self.sessions()
        return session

    async def signed_values(self) -> list[SignedValue]:
        """Of the only session."""
        session = await self.session()
        async with self.tester.work(read_only=True) as work:
            return list(await sessions.signed_values_of(work, [session.id]))

    async def history(self, address: str) -> list[float]:
        """Every number of one point."""
        ago = datetime(2020, 1, 1, tzinfo=UTC)
        async with self.tester.work(read_only=True) as work:
            point = await points.by_address(work, f"station/{self.identity}/{address}")
        store = self.tester.workplace.port(points.HistoryStore)  # type: ignore[type-abstract]
        (track,) = await store.raw([point.series], start=ago, end=datetime(2030, 1, 1, tzinfo=UTC), limit=1_000)
        return track.values

    async def orphans(self) -> int:
        async with self.tester.work(read_only=True) as work:
            return len((await sessions.orphans(work, PageRequest())).rows)

    async def latest(self) -> dict[str, float | str | None]:
        """The latest value of each point of the station, by the end of its address."""
        prefix = f"station/{self.identity}/"
        async with self.tester.work(read_only=True) as work:
            found = (await points.listed(work, PageRequest(), prefix=prefix)).rows
            values = await points.latest_of(work, [point.id for point in found])
        assert all(point.owner_id == self.station_id for point in found)
        return {
            point.address.removeprefix(prefix): values[point.id].text
            if values[point.id].value is None
            else values[point.id].value
            for point in found
        }


async def a_speaker(tester: Tester, version: Version, *, now: datetime) -> Speaker:
    tester.clock.now = now
    station = await a_station(tester)
    return Speaker(tester, version, station.id, station.identity)

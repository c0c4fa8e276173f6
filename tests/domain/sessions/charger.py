"""A station as the domain hears it: every call is one message in a Work of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from domain import outbox, sessions, stations
from domain.actor import Role
from domain.events import Envelope
from domain.page import PageRequest
from domain.sessions import Reported, Sample, Session, SessionEvent, SessionOrphan, Stage, Started
from domain.stations import StationBooted
from domain.work import Work
from tests.factories import a_station
from tests.tester import Tester

CARD = "CARD"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def sample(at: float, register_wh: float | None = None, **more: Any) -> Sample:
    return Sample(at=minute(at), register_wh=register_wh, **more)


@dataclass
class Charger:
    tester: Tester
    station_id: UUID

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[Work]:
        async with self.tester.work(role=Role.STATION) as work:
            yield work

    async def start(
        self,
        at: float = 0,
        *,
        meter_wh: float | None = 1_000,
        token_uid: str | None = CARD,
        evse: int = 1,
        **more: Any,
    ) -> Started:
        async with self.telling() as work:
            return await sessions.start(
                work,
                station_id=self.station_id,
                evse_number=evse,
                connector_number=1,
                token_uid=token_uid,
                at=minute(at),
                meter_wh=meter_wh,
                **more,
            )

    async def meter(self, *samples: Sample, transaction_id: str | None = None, evse: int | None = 1) -> Session | None:
        async with self.telling() as work:
            return await sessions.meter(
                work, station_id=self.station_id, transaction_id=transaction_id, evse_number=evse, samples=samples
            )

    async def stop(
        self, at: float, *, meter_wh: float | None, transaction_id: str | None = None, **more: Any
    ) -> Session | None:
        async with self.telling() as work:
            return await sessions.stop(
                work,
                station_id=self.station_id,
                transaction_id=transaction_id,
                at=minute(at),
                meter_wh=meter_wh,
                **more,
            )

    async def report(self, stage: Stage, at: float, *, transaction_id: str = "TX-1", **more: Any) -> Reported:
        async with self.telling() as work:
            return await sessions.report(
                work, station_id=self.station_id, transaction_id=transaction_id, stage=stage, at=minute(at), **more
            )

    async def suspend(self, at: float, *, evse: int = 1) -> Session | None:
        async with self.telling() as work:
            return await sessions.suspend(work, station_id=self.station_id, evse_number=evse, at=minute(at))

    async def resume(self, at: float, *, evse: int = 1) -> Session | None:
        async with self.telling() as work:
            return await sessions.resume(work, station_id=self.station_id, evse_number=evse, at=minute(at))

    async def boot(self) -> StationBooted:
        async with self.telling() as work:
            station = await stations.boot(work, station_id=self.station_id)
        assert station.booted_at is not None
        return StationBooted(station_id=self.station_id, boot_reason=None, booted_at=station.booted_at)

    async def grace_ends(self, booted: StationBooted) -> None:
        async with self.tester.work(role=Role.SYSTEM) as work:
            await sessions.interrupt_unheard(work, booted)

    async def sessions(self) -> Sequence[Session]:
        """Oldest first."""
        async with self.tester.work(read_only=True) as work:
            query = select(Session).where(Session.station_id == self.station_id)
            return (await work.session.exec(query.order_by(col(Session.started_at), col(Session.id)))).all()

    async def session(self) -> Session:
        """The only one."""
        (session,) = await self.sessions()
        return session

    async def orphans(self) -> Sequence[SessionOrphan]:
        async with self.tester.work(read_only=True) as work:
            return (await sessions.orphans(work, PageRequest())).rows


async def a_charger(tester: Tester, *, now: float | None = None) -> Charger:
    """`now` sets the house's clock, in minutes."""
    if now is not None:
        tester.clock.now = minute(now)
    return Charger(tester, (await a_station(tester)).id)


async def told(tester: Tester) -> list[SessionEvent]:
    """The events of sessions in the outbox, oldest first."""
    async with tester.workplace.engine.connect() as connection:
        query = text(
            "select payload from pgqueuer where entrypoint = :relay and headers ->> 'tenant' = :tenant order by id"
        )
        payloads = (await connection.scalars(query, {"relay": outbox.RELAY, "tenant": str(tester.tenant_id)})).all()
    events = [Envelope.decode(payload).event for payload in payloads]
    return [event for event in events if isinstance(event, SessionEvent)]

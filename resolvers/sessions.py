from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import strawberry

from domain import commands, sessions, stations, tokens
from domain.bus import Message, Topic
from domain.events import Envelope, Event
from domain.page import FIRST_DEFAULT, Page, PageRequest
from domain.sessions import OrphanKind, Session, SessionOrphan, SessionStatus, SignedValue
from domain.work import Work
from resolvers.arguments import QueueFor, optional_id, row_id
from resolvers.context import Context, Info
from resolvers.live import live
from resolvers.pages import every_page, in_parts

RUNNING = (SessionStatus.PENDING, SessionStatus.ACTIVE, SessionStatus.SUSPENDED)

strawberry.enum(
    SessionStatus,
    description="PENDING: plugged in or authorized, no energy yet. INTERRUPTED: ended without a word from the station. "
    "INVALID: a record that cannot be a charge.",
)


@strawberry.input(description="Which charges; all that is given must hold.")
class SessionFilter:
    station_id: strawberry.ID | None = None
    station_identity: str | None = None
    token_uid: str | None = strawberry.field(default=None, description="In any case.")
    status: list[SessionStatus] | None = strawberry.field(default=None, description="One of these.")
    from_: datetime | None = strawberry.field(default=None, name="from", description="Started then or later.")
    to: datetime | None = strawberry.field(default=None, description="Started before.")


strawberry.enum(
    OrphanKind,
    description="STOP: the end of a charge, METER: the latest value of a transaction, that nobody knows.",
)


@strawberry.input(description="Which of what belongs to no charge; all that is given must hold.")
class SessionOrphanFilter:
    station_id: strawberry.ID | None = None
    kind: OrphanKind | None = None
    transaction_id: str | None = strawberry.field(default=None, description="As the station named it.")
    token_uid: str | None = strawberry.field(default=None, description="In any case.")


@strawberry.input(description="Who charges where.")
class StartSessionInput:
    station_id: strawberry.ID
    token_uid: str
    evse_number: int | None = strawberry.field(default=None, description="Null: the station chooses.")


@strawberry.enum(description="What has happened to a charge; SNAPSHOT is how it was when one began to listen.")
class SessionUpdateKind(StrEnum):
    SNAPSHOT = "SNAPSHOT"
    STARTED = "STARTED"
    METERED = "METERED"
    SUSPENDED = "SUSPENDED"
    RESUMED = "RESUMED"
    STOPPED = "STOPPED"


KINDS: dict[type[Event], SessionUpdateKind] = {
    sessions.SessionStarted: SessionUpdateKind.STARTED,
    sessions.SessionSuspended: SessionUpdateKind.SUSPENDED,
    sessions.SessionResumed: SessionUpdateKind.RESUMED,
    sessions.SessionStopped: SessionUpdateKind.STOPPED,
}


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """News of a charge, and the charge as it is now."""

    kind: SessionUpdateKind
    session: Session
    event_id: str | None = None

    @property
    def latest_of(self) -> str | None:
        """What a newer one makes worthless."""
        return str(self.session.id) if self.kind is SessionUpdateKind.METERED else None


async def listed(
    info: Info, filter: SessionFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[Session]:
    wanted = filter or SessionFilter()
    async with info.context.read() as work:
        return await sessions.listed(
            work,
            PageRequest(first, after),
            station_id=optional_id(wanted.station_id, "filter.stationId"),
            station_identity=wanted.station_identity,
            token_uid=wanted.token_uid,
            status=wanted.status,
            started_from=wanted.from_,
            started_to=wanted.to,
        )


async def by_id(info: Info, id: strawberry.ID) -> Session:
    async with info.context.read() as work:
        return await sessions.by_id(work, row_id(id))


async def orphans(
    info: Info, filter: SessionOrphanFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[SessionOrphan]:
    wanted = filter or SessionOrphanFilter()
    async with info.context.read() as work:
        return await sessions.orphans(
            work,
            PageRequest(first, after),
            station_id=optional_id(wanted.station_id, "filter.stationId"),
            kind=wanted.kind,
            transaction_id=wanted.transaction_id,
            token_uid=wanted.token_uid,
        )


async def assign_orphan(info: Info, orphan_id: strawberry.ID, session_id: strawberry.ID) -> SessionOrphan:
    async with info.context.write() as work:
        return await sessions.assign_orphan(
            work, orphan_id=row_id(orphan_id, "orphanId"), session_id=row_id(session_id, "sessionId")
        )


async def dismiss_orphan(info: Info, orphan_id: strawberry.ID) -> SessionOrphan:
    async with info.context.write() as work:
        return await sessions.dismiss_orphan(work, orphan_id=row_id(orphan_id, "orphanId"))


async def start(info: Info, input: StartSessionInput, queue_for_s: QueueFor = None) -> commands.Command:
    """Answers when the station has, or at the deadline; at once where the order has to wait."""
    async with info.context.write() as work:
        command = await sessions.request_start(
            work,
            station_id=row_id(input.station_id, "input.stationId"),
            token_uid=input.token_uid,
            evse_number=input.evse_number,
            queue_for_s=queue_for_s,
        )
    return await commands.deliver(info.context.workplace, info.context.caller, command)


async def stop(info: Info, session_id: strawberry.ID, queue_for_s: QueueFor = None) -> commands.Command:
    """Answers when the station has, or at the deadline; at once where the order has to wait."""
    async with info.context.write() as work:
        command = await sessions.request_stop(work, session_id=row_id(session_id, "sessionId"), queue_for_s=queue_for_s)
    return await commands.deliver(info.context.workplace, info.context.caller, command)


def signed_values(root: Session, info: Info) -> Awaitable[list[SignedValue]]:
    return info.context.loaders.signed_values.load(root.id)


def cost(root: Session, info: Info) -> None:
    """There are no tariffs yet."""


def orphan_session(root: SessionOrphan, info: Info) -> Awaitable[Session | None] | None:
    return None if root.session_id is None else info.context.loaders.session.load(root.session_id)


def station(root: Session | SessionOrphan, info: Info) -> Awaitable[stations.Station | None]:
    return info.context.loaders.station.load(root.station_id)


def token(root: Session, info: Info) -> Awaitable[tokens.Token | None] | None:
    return None if root.token_id is None else info.context.loaders.token.load(root.token_id)


async def updates(
    info: Info,
    session_id: strawberry.ID | None = None,
    station_id: strawberry.ID | None = None,
    after: strawberry.ID | None = None,
) -> AsyncGenerator[SessionUpdate, None]:
    watch = SessionWatch(info.context, optional_id(session_id, "sessionId"), optional_id(station_id, "stationId"))
    return live(info.context, await watch.topics(), watch, after=after)


class SessionWatch:
    """One subscription to a charge, to those of a station, or to all; where both are named, both must hold."""

    def __init__(self, context: Context, session_id: UUID | None, station_id: UUID | None) -> None:
        self._context = context
        self._session_id = session_id
        self._station_id = station_id
        self._running: set[UUID] = set()

    async def topics(self) -> list[Topic]:
        """News is told by station. Raises `NotFound` for a session or a station that does not exist."""
        station_id = self._station_id
        async with self._context.read() as work:
            if station_id is not None:
                await stations.by_id(work, station_id)
            if self._session_id is not None:
                station_id = (await sessions.by_id(work, self._session_id)).station_id
        key = None if station_id is None else str(station_id)
        tenant_id = self._context.caller.tenant_id
        return [Topic(tenant_id, sessions.SessionEvent.kind, key), Topic(tenant_id, sessions.METERED, key)]

    async def look(self) -> AsyncGenerator[SessionUpdate, None]:
        """The charge that was asked for; else those that go on, and those that have ended unseen."""
        if self._session_id is not None:
            for update in self._shown(SessionUpdateKind.SNAPSHOT, await self._read([self._session_id])):
                yield update
            return
        unseen = set(self._running)
        async for rows in every_page(self._context, self._going_on):
            unseen -= {session.id for session in rows}
            for update in self._shown(SessionUpdateKind.SNAPSHOT, rows):
                yield update
        for ids in in_parts(sorted(unseen)):
            for update in self._shown(SessionUpdateKind.SNAPSHOT, await self._read(ids)):
                yield update

    async def resume(self, since: datetime | None) -> Sequence[SessionUpdate]:
        """Of those that go on, the ones that were heard of since: meter values are no facts."""
        async with aclosing(self.look()) as looked:
            going_on = [update.session async for update in looked if update.session.ended_at is None]
        metered = [session for session in going_on if since is not None and session.updated_at > since]
        return [SessionUpdate(SessionUpdateKind.METERED, session) for session in metered]

    async def translate(self, news: Message) -> Sequence[SessionUpdate]:
        """The charge is read at delivery: of conflated news only the last is delivered, and it tells no values."""
        if news.topic.kind == sessions.METERED:
            kind, session_id = SessionUpdateKind.METERED, sessions.SessionMetered.decode(news.payload).session_id
        else:
            event = Envelope.decode(news.payload).event
            if not isinstance(event, sessions.SessionEvent):
                return ()
            kind, session_id = KINDS[type(event)], event.session_id
        if self._session_id not in (None, session_id):
            return ()
        return self._shown(kind, await self._read([session_id]), news.id)

    async def _going_on(self, work: Work, request: PageRequest) -> Page[Session]:
        return await sessions.listed(work, request, station_id=self._station_id, status=RUNNING)

    async def _read(self, ids: Sequence[UUID]) -> Sequence[Session]:
        """Without those that are gone."""
        async with self._context.read() as work:
            return await sessions.by_ids(work, ids)

    def _shown(
        self, kind: SessionUpdateKind, found: Iterable[Session], event_id: str | None = None
    ) -> list[SessionUpdate]:
        shown = [session for session in found if self._station_id in (None, session.station_id)]
        for session in shown:
            if session.ended_at is None:
                self._running.add(session.id)
            else:
                self._running.discard(session.id)
        return [SessionUpdate(kind, session, event_id) for session in shown]

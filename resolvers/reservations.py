from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from domain import commands, reservations, sessions, stations, tokens
from domain.bus import Message, Topic
from domain.events import Envelope
from domain.page import FIRST_DEFAULT, Page, PageRequest
from domain.reservations import Reservation, ReservationStatus
from domain.work import Work
from resolvers.arguments import QueueFor, optional_id, row_id
from resolvers.context import Context, Info
from resolvers.live import live
from resolvers.pages import every_page, in_parts

strawberry.enum(
    ReservationStatus,
    description="REQUESTED: the station has not answered, and may keep the place or not. FAULTED, OCCUPIED, REJECTED, "
    "UNAVAILABLE: it has refused. FAILED: it has not heard of it, or answered with an error. REMOVED: it took it back. "
    "USED: a charge began.",
)


@strawberry.input(description="Which reservations; all that is given must hold.")
class ReservationFilter:
    station_id: strawberry.ID | None = None
    token_uid: str | None = strawberry.field(default=None, description="In any case.")
    status: list[ReservationStatus] | None = strawberry.field(default=None, description="One of these.")


@strawberry.input(description="Who comes where, and until when the place is kept.")
class CreateReservationInput:
    station_id: strawberry.ID
    token_uid: str
    expires_at: datetime
    evse_number: int | None = strawberry.field(default=None, description="Null: any that the station has free.")
    connector_type: str | None = strawberry.field(
        default=None, description="OCPP 2.x, where no EVSE is named: a word of the standard such as cCCS2 or sType2."
    )


async def listed(
    info: Info, filter: ReservationFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[Reservation]:
    wanted = filter or ReservationFilter()
    async with info.context.read() as work:
        return await reservations.listed(
            work,
            PageRequest(first, after),
            station_id=optional_id(wanted.station_id, "filter.stationId"),
            token_uid=wanted.token_uid,
            status=wanted.status,
        )


async def by_id(info: Info, id: strawberry.ID) -> Reservation:
    async with info.context.read() as work:
        return await reservations.by_id(work, row_id(id))


async def create(info: Info, input: CreateReservationInput, queue_for_s: QueueFor = None) -> commands.Command:
    """Answers when the station has, or at the deadline; at once where the order has to wait."""
    async with info.context.write() as work:
        command = await reservations.request(
            work,
            station_id=row_id(input.station_id, "input.stationId"),
            token_uid=input.token_uid,
            expires_at=input.expires_at,
            evse_number=input.evse_number,
            connector_type=input.connector_type,
            queue_for_s=queue_for_s,
        )
    return await reservations.carry_out(info.context.workplace, info.context.caller, command)


async def cancel(info: Info, reservation_id: strawberry.ID, queue_for_s: QueueFor = None) -> commands.Command:
    """Answers when the station has, or at the deadline; at once where the order has to wait."""
    async with info.context.write() as work:
        command = await reservations.request_cancel(
            work, reservation_id=row_id(reservation_id, "reservationId"), queue_for_s=queue_for_s
        )
    return await reservations.carry_out(info.context.workplace, info.context.caller, command)


def station(root: Reservation, info: Info) -> Awaitable[stations.Station | None]:
    return info.context.loaders.station.load(root.station_id)


def token(root: Reservation, info: Info) -> Awaitable[tokens.Token | None] | None:
    return None if root.token_id is None else info.context.loaders.token.load(root.token_id)


def session(root: Reservation, info: Info) -> Awaitable[sessions.Session | None] | None:
    return None if root.session_id is None else info.context.loaders.session.load(root.session_id)


class ReservationUpdate:
    """A reservation as it is at delivery, and what event told of it."""

    def __init__(self, reservation: Reservation, event_id: str | None = None) -> None:
        self.reservation = reservation
        self.event_id = event_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reservation, name)


def event_id(root: Reservation | ReservationUpdate) -> str | None:
    return root.event_id if isinstance(root, ReservationUpdate) else None


async def updates(
    info: Info, station_id: strawberry.ID | None = None, after: strawberry.ID | None = None
) -> AsyncGenerator[ReservationUpdate, None]:
    watch = ReservationWatch(info.context, optional_id(station_id, "stationId"))
    return live(info.context, await watch.topics(), watch, after=after)


class ReservationWatch:
    """One subscription to the reservations of a station, or of all."""

    def __init__(self, context: Context, station_id: UUID | None) -> None:
        self._context = context
        self._station_id = station_id
        self._kept: set[UUID] = set()

    async def topics(self) -> list[Topic]:
        """Raises `NotFound` for a station that does not exist."""
        async with self._context.read() as work:
            if self._station_id is not None:
                await stations.by_id(work, self._station_id)
        key = None if self._station_id is None else str(self._station_id)
        return [Topic(self._context.caller.tenant_id, reservations.ReservationChanged.kind, key)]

    async def look(self) -> AsyncGenerator[ReservationUpdate, None]:
        """Those that are kept, and those that have come to an end unseen."""
        unseen = set(self._kept)
        async for rows in every_page(self._context, self._live):
            unseen -= {reservation.id for reservation in rows}
            for reservation in rows:
                yield self._seen(reservation)
        for ids in in_parts(sorted(unseen)):
            for reservation in await self._read(ids):
                yield self._seen(reservation)

    async def resume(self, _since: datetime | None) -> Sequence[ReservationUpdate]:
        """All that it shows is facts."""
        async with aclosing(self.look()) as looked:
            async for _ in looked:
                pass
        return ()

    async def translate(self, news: Message) -> Sequence[ReservationUpdate]:
        """The reservation is read at delivery; with its station it may be gone."""
        event = Envelope.decode(news.payload).event
        if not isinstance(event, reservations.ReservationChanged):
            return ()
        return [self._seen(reservation, news.id) for reservation in await self._read([event.reservation_id])]

    async def _live(self, work: Work, request: PageRequest) -> Page[Reservation]:
        return await reservations.listed(work, request, station_id=self._station_id, status=reservations.LIVE)

    async def _read(self, ids: Sequence[UUID]) -> Sequence[Reservation]:
        async with self._context.read() as work:
            return await reservations.by_ids(work, ids)

    def _seen(self, reservation: Reservation, event_id: str | None = None) -> ReservationUpdate:
        if reservation.status in reservations.LIVE:
            self._kept.add(reservation.id)
        else:
            self._kept.discard(reservation.id)
        return ReservationUpdate(reservation, event_id)

from collections.abc import AsyncGenerator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from strawberry import Maybe
from strawberry.scalars import JSON

from domain import commands, locations, stations
from domain.bus import Message, Topic
from domain.errors import Invalid, NotFound
from domain.events import Envelope
from domain.page import FIRST_DEFAULT, Page, PageRequest
from domain.stations import Mutability, Registration, ReportBase, StationStatus
from domain.work import Work
from resolvers.arguments import changes, optional_id, row_id, row_ids
from resolvers.context import Context, Info
from resolvers.live import live
from resolvers.pages import every_page, in_parts

TOPICS_MAX = 500  # above this, one listens to the whole tenant and picks

strawberry.enum(StationStatus, description="What a plug, an EVSE or a station is doing (OCPP).")
strawberry.enum(Mutability, description="Whether a variable can be read or set.")
strawberry.enum(
    ReportBase,
    description="FULL: everything. CONFIGURATION: what can be set. SUMMARY: what is wrong. CUSTOM: what was named.",
)
strawberry.enum(Registration, description="Whether a station may work: how its BootNotification is answered.")


@strawberry.input(description="Which stations; all that is given must hold.")
class StationFilter:
    status: list[StationStatus] | None = strawberry.field(default=None, description="One of these.")
    online: bool | None = strawberry.field(default=None, description="Whether a socket is live now.")
    location_id: strawberry.ID | None = None
    text: str | None = strawberry.field(
        default=None, description="Part of identity, name, vendor, model or serial number, in any case."
    )


@strawberry.input(description="A station that may connect.")
class RegisterStationInput:
    identity: str = strawberry.field(description="The last segment of the address it connects to.")
    name: str | None = None
    location_id: strawberry.ID | None = None
    password: str | None = strawberry.field(
        default=None, description="What it must show (HTTP Basic), 8 to 64 bytes; null: nothing."
    )
    registration: Registration = strawberry.field(
        default=Registration.ACCEPTED, description="How its BootNotification is answered."
    )


@strawberry.input(description="What changes of a station; what is absent stays, null clears.")
class UpdateStationInput:
    name: Maybe[str | None]
    location_id: Maybe[strawberry.ID | None]
    password: Maybe[str | None]
    registration: Maybe[Registration | None]
    ping_interval_s: Maybe[int | None]


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What a plug (or, without numbers, the station itself) is doing since `at`."""

    station: stations.Station
    evse_number: int | None
    connector_number: int | None
    status: StationStatus
    at: datetime
    event_id: str | None = None


async def listed(
    info: Info, filter: StationFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[stations.Station]:
    wanted = filter or StationFilter()
    async with info.context.read() as work:
        return await stations.listed(
            work,
            PageRequest(first, after),
            status=wanted.status,
            online=wanted.online,
            location_id=optional_id(wanted.location_id, "filter.locationId"),
            text=wanted.text,
        )


async def by_id(info: Info, id: strawberry.ID) -> stations.Station:
    async with info.context.read() as work:
        return await stations.by_id(work, row_id(id))


async def by_identity(info: Info, identity: str) -> stations.Station:
    async with info.context.read() as work:
        return await stations.by_identity(work, identity)


async def register(info: Info, input: RegisterStationInput) -> stations.Station:
    async with info.context.write() as work:
        return await stations.register(
            work,
            identity=input.identity,
            name=input.name,
            location_id=optional_id(input.location_id, "input.locationId"),
            password=input.password,
            registration=input.registration,
        )


async def update(info: Info, id: strawberry.ID, input: UpdateStationInput) -> stations.Station:
    changed = changes(input, never_null=("registration",))
    if "location_id" in changed:
        changed["location_id"] = optional_id(changed["location_id"], "input.locationId")
    async with info.context.write() as work:
        return await stations.update(work, station_id=row_id(id), **changed)


async def configure(info: Info, station_id: strawberry.ID, config: JSON) -> stations.Station:
    if not isinstance(config, dict):
        raise Invalid("config must be an object of keys and values", field="config")
    context = info.context
    return await commands.configure(
        context.workplace, context.caller, station_id=row_id(station_id, "stationId"), wanted=config
    )


async def delete(info: Info, id: strawberry.ID) -> stations.Station:
    async with info.context.write() as work:
        return await stations.delete(work, station_id=row_id(id))


def location(root: stations.Station, info: Info) -> Awaitable[locations.Location | None] | None:
    return None if root.location_id is None else info.context.loaders.location.load(root.location_id)


def evses(root: stations.Station, info: Info) -> Awaitable[list[stations.Evse]]:
    return info.context.loaders.evses.load(root.id)


def connectors(root: stations.Evse, info: Info) -> Awaitable[list[stations.Connector]]:
    return info.context.loaders.connectors.load(root.id)


async def variables(
    root: stations.Station,
    info: Info,
    component: str | None = None,
    first: int = FIRST_DEFAULT,
    after: str | None = None,
) -> Page[stations.StationVariable]:
    async with info.context.read() as work:
        return await stations.variables_of(work, PageRequest(first, after), station_id=root.id, component=component)


def online(root: stations.Station, info: Info) -> Awaitable[bool]:
    return info.context.loaders.online.load(root.id)


async def last_seen_at(root: stations.Station, info: Info) -> datetime | None:
    """The cluster's memory is newer than the row, which is written now and then."""
    seen_at = await info.context.loaders.seen_at.load(root.id)
    return max(filter(None, (seen_at, root.last_seen_at)), default=None)


async def status_updates(
    info: Info, station_ids: list[strawberry.ID] | None = None, after: strawberry.ID | None = None
) -> AsyncGenerator[StatusUpdate, None]:
    watch = StatusWatch(info.context, None if station_ids is None else row_ids(station_ids, "stationIds"))
    return live(info.context, await watch.topics(), watch, after=after)


class StatusWatch:
    """One subscription to what stations are doing: some of them, or all."""

    def __init__(self, context: Context, station_ids: Sequence[UUID] | None) -> None:
        self._context = context
        self._tenant_id = context.caller.tenant_id
        self._wanted = None if station_ids is None else frozenset(station_ids)

    async def topics(self) -> list[Topic]:
        """Where news is told of them; raises `NotFound` where one does not exist."""
        for ids in in_parts(sorted(self._wanted or ())):
            await self._all_exist(ids)
        async with self._context.read():  # whoever may not look is told so at once
            pass
        kind = stations.StationEvent.kind
        if self._wanted is None or len(self._wanted) > TOPICS_MAX:
            return [Topic(self._tenant_id, kind)]
        return [Topic(self._tenant_id, kind, str(station_id)) for station_id in self._wanted]

    async def look(self) -> AsyncGenerator[StatusUpdate, None]:
        """Every station and every plug as they are now."""
        if self._wanted is not None:
            for ids in in_parts(sorted(self._wanted)):
                for update in await self._all_of(ids):
                    yield update
            return
        async for rows in every_page(self._context, stations.listed):
            for update in await self._all_of([station.id for station in rows]):
                yield update

    async def resume(self, _since: datetime | None) -> Sequence[StatusUpdate]:
        """All that it shows is facts."""
        return ()

    async def _all_exist(self, station_ids: Sequence[UUID]) -> None:
        async with self._context.read() as work:
            found = {station.id for station in await stations.by_ids(work, station_ids)}
        missing = next((station_id for station_id in station_ids if station_id not in found), None)
        if missing is not None:
            raise NotFound(f"Station {missing} does not exist", id=str(missing))

    async def _all_of(self, station_ids: Sequence[UUID]) -> list[StatusUpdate]:
        async with self._context.read() as work:
            return await _snapshot(work, station_ids)

    async def translate(self, news: Message) -> Sequence[StatusUpdate]:
        """The station is read at delivery; one that is gone by then is nobody's news."""
        told = Envelope.decode(news.payload)
        event = told.event
        if not isinstance(event, stations.StationEvent) or isinstance(event, stations.StationDeleted):
            return ()
        if self._wanted is not None and event.station_id not in self._wanted:
            return ()
        async with self._context.read() as work:
            try:
                station = await stations.by_id(work, event.station_id)
            except NotFound:
                return ()
        if isinstance(event, stations.StationStatusChanged):
            status = StationStatus(event.status)
            where = event.evse_number, event.connector_number
            return (StatusUpdate(station, *where, status, event.status_at, news.id),)
        return (StatusUpdate(station, None, None, station.status, told.at, news.id),)


async def _snapshot(work: Work, station_ids: Sequence[UUID]) -> list[StatusUpdate]:
    evse_number = {evse.id: evse.number for evse in await stations.evses_of(work, station_ids)}
    plugs: dict[UUID, list[Any]] = {}
    for connector in await stations.connectors_of(work, list(evse_number)):
        plugs.setdefault(connector.station_id, []).append(connector)
    found = {station.id: station for station in await stations.by_ids(work, station_ids)}
    return [
        update
        for station_id in station_ids
        if (station := found.get(station_id)) is not None
        for update in _as_they_are(station, plugs.get(station.id, []))
    ]


def _as_they_are(station: stations.Station, plugs: Sequence[stations.Connector]) -> list[StatusUpdate]:
    whole = StatusUpdate(station, None, None, station.status, station.status_at or station.created_at)
    parts = [
        StatusUpdate(station, plug.evse_number, plug.number, plug.status, plug.status_at or plug.created_at)
        for plug in plugs
    ]
    return [whole, *parts]

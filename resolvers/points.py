from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

import strawberry
from strawberry import Maybe

from domain import points, stations, virtual_points
from domain.bus import Message, Topic
from domain.errors import Resync
from domain.page import FIRST_DEFAULT, Page, PageRequest
from domain.points import (
    OwnerKind,
    PointKind,
    PointUpdate,
    Quality,
    Reading,
    SeriesAggregation,
    SeriesDataType,
    Source,
    ValueType,
)
from resolvers.arguments import changes, optional_id, row_id
from resolvers.context import Context, Info
from resolvers.live import live
from resolvers.pages import every_page, in_parts

METRICS_MAX = 1_000  # of a station, which has some dozens

strawberry.enum(PointKind, description="Measured, signaled, switched, set (IEC 60870).")
strawberry.enum(
    ValueType,
    description="What readings are. ENUM: numbers with names. What comes otherwise is converted where nothing is lost "
    "by it, or waits in `quarantinedReadings`.",
)
strawberry.enum(OwnerKind, description="What a point belongs to.")
strawberry.enum(
    SeriesAggregation,
    description="What a reading says of the time since the one before: its value at an instant, or a figure of it all.",
)
strawberry.enum(SeriesDataType, description="Where values come from: the world, or somebody's mind.")
strawberry.enum(
    Source,
    name="ReadingSource",
    description="How a reading comes. DEVICE: from its device, now; RESENT: from it, later; IMPORTED: from a file; "
    "ENTERED: by a person. Whatever is not from a device now is kept in history and is no news.",
)
strawberry.enum(Quality, description="How far the device itself believes in its value.")


@strawberry.input(description="Which points; all that is given must hold.")
class PointFilter:
    prefix: str | None = strawberry.field(default=None, description="How the address begins.")
    owner: strawberry.ID | None = strawberry.field(default=None, description="The station or meter that it belongs to.")
    kind: PointKind | None = None
    text: str | None = strawberry.field(default=None, description="Part of the address, in any case.")


@strawberry.input(description="One measurement. Numbers and booleans go into `value`, the rest into `text`.")
class ReadingInput:
    address: str
    at: datetime = strawberry.field(
        description="When it was measured, by the device's clock. What is more than a day ahead of ours is in history "
        "alone, and no latest value.",
    )
    value: float | None = None
    text: str | None = None
    quality: Quality | None = strawberry.field(default=None, description="GOOD where nothing is said.")
    unit: str | None = strawberry.field(default=None, description="Converted to the base unit: kWh to Wh, kW to W.")
    source: Source | None = strawberry.field(default=None, description="DEVICE where nothing is said.")
    version: int = strawberry.field(
        default=1, description="Of several deliveries of one moment the highest counts, and the others are kept."
    )


@strawberry.input
class Described:
    """What may be said of any point that is made."""

    unit: str | None = strawberry.field(default=None, description="The base unit is kept: kWh becomes Wh.")
    aggregation: SeriesAggregation | None = strawberry.field(
        default=None, description="What a reading says of the time since the one before."
    )
    data_type: SeriesDataType | None = strawberry.field(default=None, description="Where its values come from.")


@strawberry.input(
    description="What changes of a point; what is absent stays, null clears. `unit` is a base unit, for one that was "
    "named wrongly: no number changes, and what is recorded is converted to it from then on."
)
class UpdatePointInput:
    unit: Maybe[str | None]
    aggregation: Maybe[SeriesAggregation | None]
    data_type: Maybe[SeriesDataType | None]
    rollover_at: Maybe[float | None]


async def listed(
    info: Info, filter: PointFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[points.Point]:
    wanted = filter or PointFilter()
    async with info.context.read() as work:
        return await points.listed(
            work,
            PageRequest(first, after),
            prefix=wanted.prefix,
            owner=optional_id(wanted.owner, "filter.owner"),
            kind=wanted.kind,
            text=wanted.text,
        )


async def by_address(info: Info, address: str) -> points.Point:
    async with info.context.read() as work:
        return await points.by_address(work, address)


def latest(root: points.Point, info: Info) -> Awaitable[points.LatestReading | None]:
    loaders = info.context.loaders
    return loaders.latest.load(root.id) if root.expression is None else loaders.virtual_latest.load(root.address)


@dataclass(frozen=True, slots=True)
class Metric:
    """A point and its latest reading, as one."""

    address: str
    at: datetime
    value: float | None
    unit: str | None
    text: str | None
    quality: Quality


async def of_station(info: Info, station_id: strawberry.ID) -> list[Metric]:
    async with info.context.read() as work:
        station = await stations.by_id(work, row_id(station_id, "stationId"))
        found = await points.of_owner(work, station.id, limit=METRICS_MAX)
    async with info.context.read() as work:  # that asks the database nothing: no connection waits for Redis
        latest = await points.latest_of(work, [point.id for point in found if point.expression is None])
    virtual = [point for point in found if point.expression is not None]
    made = await info.context.loaders.virtual_latest.load_many([point.address for point in virtual])
    latest |= {point.id: reading for point, reading in zip(virtual, made, strict=True) if reading is not None}
    return [_metric(point, latest[point.id]) for point in found if point.id in latest]


def _metric(point: points.Point, reading: points.LatestReading) -> Metric:
    return Metric(point.address, reading.at, reading.value, point.unit, reading.text, Quality(reading.quality))


async def update(info: Info, address: str, input: UpdatePointInput) -> points.Point:
    async with info.context.write() as work:
        return await points.update(work, address=address, **changes(input))


async def record(info: Info, readings: list[ReadingInput]) -> points.Recorded:
    async with info.context.write() as work:
        return await points.record(work, [_reading(given) for given in readings], owner=None)


@strawberry.input(description="Which readings; all that is given must hold.")
class QuarantineFilter:
    address: str | None = strawberry.field(default=None, description="Of the point that they do not fit.")


async def quarantined(
    info: Info, filter: QuarantineFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[points.QuarantinedReading]:
    async with info.context.read() as work:
        address = None if filter is None else filter.address
        return await points.quarantined(work, PageRequest(first, after), address=address)


async def release_quarantined(
    info: Info, address: str, value_type: ValueType | None = None, unit: str | None = None
) -> points.Recorded:
    context = info.context
    return await points.release_quarantined(
        context.workplace, context.caller, address=address, value_type=value_type, unit=unit
    )


async def dismiss_quarantined(info: Info, address: str) -> int:
    async with info.context.write() as work:
        return await points.dismiss_quarantined(work, address=address)


def _reading(given: ReadingInput) -> Reading:
    return Reading(
        address=given.address,
        at=given.at,
        value=given.value,
        text=given.text,
        quality=given.quality or Quality.GOOD,
        unit=given.unit,
        source=given.source or Source.DEVICE,
        version=given.version,
    )


async def updates(info: Info, addresses: list[str] | None = None) -> AsyncGenerator[PointUpdate, None]:
    watch = PointWatch(info.context, addresses)
    return live(info.context, await watch.topics(), watch)


class PointWatch:
    """One subscription to the latest values of some points, or of all; of a virtual one it hears the inputs."""

    def __init__(self, context: Context, addresses: Sequence[str] | None) -> None:
        self._context = context
        self._tenant_id = context.caller.tenant_id
        self._addresses = None if addresses is None else frozenset(addresses)
        self._topics: list[Topic] = []
        self._updates = points.Updates(addresses)
        self._tally = virtual_points.Tally([], {})

    async def topics(self) -> list[Topic]:
        """By owner, unless an address is not known yet: its point may come to belong to anybody."""
        async with self._context.read() as work:  # whoever may not look is told so at once
            composed = await virtual_points.composed(work, self._addresses)
        self._topics = await self._topics_of(composed)
        return self._topics

    async def look(self) -> AsyncGenerator[PointUpdate, None]:
        """The latest value of each point that has one."""
        made = await self._compose()
        if self._addresses is not None:
            for addresses in in_parts(sorted(self._addresses)):
                for update in await self._shown(await self._known(addresses)):
                    yield update
        else:
            async for rows in every_page(self._context, points.listed):
                for update in await self._shown(rows):
                    yield update
        for update in made:
            yield update

    async def resume(self, _since: datetime | None) -> Sequence[PointUpdate]:
        """There is no fact to go on from; what it looked at, nothing older follows."""
        async with aclosing(self.look()) as looked:
            async for _ in looked:
                pass
        return ()

    async def translate(self, news: Message) -> Sequence[PointUpdate]:
        if news.topic == virtual_points.changed_topic(self._tenant_id):
            return await self._compose()
        heard = list(self._updates.read(news))
        return [*filter(self._wanted, heard), *self._tally.heard(heard)]

    def _wanted(self, update: PointUpdate) -> bool:
        return self._addresses is None or update.address in self._addresses

    async def _topics_of(self, composed: virtual_points.Composed) -> list[Topic]:
        """What news of these points is told on: their own and that of their inputs."""
        if self._addresses is None or any(one.matches for one in composed.composites.values()):
            return [points.every_topic(self._tenant_id), virtual_points.changed_topic(self._tenant_id)]
        found = [point for addresses in in_parts(sorted(self._addresses)) for point in await self._known(addresses)]
        if {point.address for point in found} < self._addresses:
            return [points.every_topic(self._tenant_id), virtual_points.changed_topic(self._tenant_id)]
        owners = [point.owner_id for point in found if point.expression is None]
        owners += [measured.owner_id for measured in composed.measured.values()]
        heard = [points.topic(self._tenant_id, owner_id) for owner_id in dict.fromkeys(owners)]
        return [*heard, virtual_points.changed_topic(self._tenant_id)] if composed.composites else heard

    async def _compose(self) -> list[PointUpdate]:
        """The virtual points as they are made now, and as they are."""
        async with self._context.read() as work:
            composed = await virtual_points.composed(work, self._addresses)
        await self._check_heard(composed)
        latest = await self._latest(composed)
        if composed.composites:
            self._updates.widen()
        for address, reading in latest.items():
            self._updates.saw(PointUpdate(address, reading.at, reading.value, reading.text, reading.quality))
        self._tally = virtual_points.Tally(composed.composites.values(), latest)
        return self._tally.all()

    async def _check_heard(self, composed: virtual_points.Composed) -> None:
        """A virtual point may be made of what is told elsewhere, since it was listened for."""
        if points.every_topic(self._tenant_id) in self._topics:
            return
        if not set(self._topics) >= set(await self._topics_of(composed)):
            raise Resync("what a virtual point is made of has changed: subscribe again")

    async def _latest(self, composed: virtual_points.Composed) -> dict[str, points.LatestReading]:
        async with self._context.read() as work:
            found = await points.latest_of(work, [one.point_id for one in composed.measured.values()])
        return composed.by_address(found)

    async def _known(self, addresses: Sequence[str]) -> Sequence[points.Point]:
        async with self._context.read() as work:
            return list((await points.by_addresses(work, addresses)).values())

    async def _shown(self, found: Sequence[points.Point]) -> list[PointUpdate]:
        """In a Work that asks the database nothing: no connection waits for Redis."""
        async with self._context.read() as work:
            latest = await points.latest_of(work, [point.id for point in found if point.expression is None])
        shown = (_shown(point, latest[point.id]) for point in found if point.id in latest)
        return [update for update in shown if self._updates.saw(update)]


def _shown(point: points.Point, reading: points.LatestReading) -> PointUpdate:
    return PointUpdate(point.address, reading.at, reading.value, reading.text, Quality(reading.quality))

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime

import strawberry
from strawberry import Maybe

from domain import points, stations
from domain.page import FIRST_DEFAULT, Page, PageRequest
from domain.points import (
    OwnerKind,
    PointKind,
    Quality,
    Reading,
    SeriesAggregation,
    SeriesDataType,
    Source,
    ValueType,
)
from resolvers.arguments import changes, optional_id, row_id
from resolvers.context import Info

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

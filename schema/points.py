from collections.abc import AsyncGenerator
from datetime import datetime
from operator import attrgetter

import strawberry

from domain import points
from domain.points import OwnerKind, PointKind, Quality, SeriesAggregation, SeriesDataType, ValueType
from resolvers import points as door
from schema import limits
from schema.page import Connection
from schema.view import answer, attribute, stream, view


@view(points.LatestReading)
class LatestReading:
    """The newest measurement of a point, by the device's clock."""

    at: datetime = attribute("When it was measured.")
    value: float | None = attribute("In the point's unit; booleans are 0 and 1.")
    text: str | None = attribute("Where the value is no number, or the name of the number.")
    quality: Quality = attribute("How far the device believes in it.")


@view(points.Point)
class Point:
    """One datum under an address."""

    id: strawberry.ID = attribute("Ours.")
    address: str = attribute("Its name, unique in the tenant: station/<identity>/<evse>/<measurand>….")
    kind: PointKind = attribute("What sort of datum.")
    unit: str | None = attribute("Base units: W, Wh, A, V, Percent, ….")
    value_type: ValueType = attribute("Whether readings are numbers or texts.")
    owner_kind: OwnerKind | None = attribute("What it belongs to.")
    owner_id: strawberry.ID | None = attribute("The id of what it belongs to.")
    aggregation: SeriesAggregation | None = attribute("What a reading says of the time since the one before.")
    data_type: SeriesDataType | None = attribute("Where its values come from, where somebody has said so.")
    rollover_at: float | None = attribute("The value at which a register starts again from 0, in the point's unit.")
    expression: str | None = attribute("What it is made of, where it is virtual: others' values, never recorded.")
    created_at: datetime = attribute("When it was first heard of.")
    latest: LatestReading | None = answer(door.latest, "The newest measurement.")


@view(points.PointUpdate)
class PointUpdate:
    """A point has a new latest reading."""

    address: str = attribute("Of the point.")
    at: datetime = attribute("When it was measured, by the device's clock.")
    value: float | None = attribute("In the point's unit; booleans are 0 and 1.")
    text: str | None = attribute("Where the value is no number, or the name of the number.")
    quality: Quality = attribute("How far the device believes in it.")


@view(door.Metric)
class Metric:
    """The newest measurement of one of a station's points."""

    address: str = attribute("Of the point.")
    at: datetime = attribute("When it was measured, by the device's clock.")
    value: float | None = attribute("In `unit`; booleans are 0 and 1.")
    unit: str | None = attribute("Base units: W, Wh, A, V, Percent, ….")
    text: str | None = attribute("Where the value is no number, or the name of the number.")
    quality: Quality = attribute("How far the device believes in it.")


@view(points.RecordError)
class RecordError:
    """Why a reading was not recorded."""

    index: int = attribute("Of the reading in what was sent, from 0.")
    message: str = attribute("What is wrong with it.")


@view(points.Recorded)
class Recorded:
    """What became of a batch of readings."""

    recorded: int = attribute("How many are committed.")
    errors: list[RecordError] = attribute("One for each of the others.")


@strawberry.type
class PointQuery:
    points: Connection[Point] | None = answer(door.listed, "Points, by what is wanted of them.")
    point: Point | None = answer(door.by_address, "One point by its address.")
    real_time_metrics: list[Metric] | None = answer(
        door.of_station, "What a station has measured last, by address.", size=limits.METRICS
    )


@strawberry.type
class PointMutation:
    update_point: Point | None = answer(door.update, "Say more of a point, or something else.")
    record_readings: Recorded | None = answer(
        door.record,
        "Record measurements; unknown addresses become points. Answers after the commit.",
        cost=limits.of_readings,
    )


@strawberry.type
class PointSubscription:
    point_updates: AsyncGenerator[PointUpdate, None] = stream(
        door.updates,
        "The latest reading of each point, then every newer one; readings may be conflated.",
        conflate=attrgetter("address"),
    )

from collections.abc import AsyncGenerator
from datetime import datetime
from operator import attrgetter

import strawberry

from domain import points
from domain.points import OwnerKind, PointKind, Quality, SeriesAggregation, SeriesDataType, Source, ValueType
from resolvers import point_updates
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
    value_type: ValueType = attribute("What its readings are.")
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
    code: str = attribute("INVALID; NOT_FOUND or LIMIT where no point is made of it.")


@view(points.Recorded)
class Recorded:
    """What became of a batch of readings."""

    recorded: int = attribute("How many are committed.")
    errors: list[RecordError] = attribute("One for each that is not kept.")
    quarantined: list[RecordError] = attribute(
        "One for each that is not of its point's type or unit: kept in `quarantinedReadings`."
    )


@view(points.QuarantinedReading)
class QuarantinedReading:
    """A reading that is not of its point's type or unit, as it came."""

    id: strawberry.ID = attribute("Ours.")
    address: str = attribute("Of the point.")
    at: datetime = attribute("When it was measured, by the device's clock.")
    value: float | None = attribute("In `unit`.")
    text: str | None = attribute("Where the value is no number, or the name of the number.")
    unit: str | None = attribute("As it came.")
    quality: Quality = attribute("How far the device believes in it.")
    source: Source = attribute("How it came.")
    version: int = attribute("Which delivery of its moment it is.")
    reason: str = attribute("Why it does not fit.")
    received_at: datetime = attribute("When it came.")


@strawberry.type
class PointQuery:
    points: Connection[Point] | None = answer(door.listed, "Points, by what is wanted of them.")
    point: Point | None = answer(door.by_address, "One point by its address.")
    quarantined_readings: Connection[QuarantinedReading] | None = answer(
        door.quarantined,
        "Readings that are not of their points' types or units, the last received first. They wait for so many "
        "days and in such a number as the server is set, then the oldest are dropped.",
    )
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
    release_quarantined: Recorded | None = answer(
        door.release_quarantined,
        "Let in the readings that wait at a point, which becomes one of that type (null: it stays what it is). "
        "`unit` is what those are in that name one, whatever they said. At most 10,000 at a time, the oldest first; "
        "what does not fit even so goes on waiting.",
        cost=limits.RELEASE,
    )
    dismiss_quarantined: int | None = answer(
        door.dismiss_quarantined, "Drop the readings that wait at a point; answers how many those were."
    )


@strawberry.type
class PointSubscription:
    point_updates: AsyncGenerator[PointUpdate, None] = stream(
        point_updates.updates,
        "The latest reading of each point, then every newer one; readings may be conflated.",
        conflate=attrgetter("address"),
    )

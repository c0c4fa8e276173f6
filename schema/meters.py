from datetime import datetime

import strawberry

from domain import meters
from domain.meters import MeterKind
from resolvers import meters as door
from schema.locations import Location
from schema.page import Connection
from schema.points import Point
from schema.view import answer, attribute, view


@view(meters.Meter)
class Meter:
    """What measures: electricity, gas, water, heat, or nothing itself."""

    id: strawberry.ID = attribute("Ours.")
    name: str = attribute("Unique in the tenant; a step of its points' addresses.")
    kind: MeterKind = attribute("What it measures.")
    location: Location | None = answer(door.location, "Where it stands.")
    sampling_interval: str | None = attribute("How often it reads (ISO 8601).")
    timezone: str | None = attribute("IANA.")
    tags: list[str] = attribute("Words to find it by.")
    commissioned_at: datetime | None = attribute("Since when it measures.")
    created_at: datetime = attribute("When it was entered.")
    points: Connection[Point] | None = answer(door.series, "What it measures: all under meter/<name>/, newest first.")


@strawberry.type
class MeterQuery:
    meters: Connection[Meter] | None = answer(door.listed, "Meters, by what is wanted of them.")
    meter: Meter | None = answer(door.by_id, "One meter.")


@strawberry.type
class MeterMutation:
    create_meter: Meter | None = answer(door.create, "Enter a meter.")
    update_meter: Meter | None = answer(door.update, "Change what is said of a meter.")
    create_meter_series: Point | None = answer(
        door.create_series, "Enter a point of a meter before its first reading, at meter/<name>/<series>."
    )
    delete_meter: Meter | None = answer(door.delete, "Remove a meter; its points and their history stay.")

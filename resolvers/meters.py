from collections.abc import Awaitable
from datetime import datetime

import strawberry
from strawberry import Maybe

from domain import locations, meters, points
from domain.meters import MeterKind
from domain.page import FIRST_DEFAULT, Page, PageRequest
from resolvers.arguments import changes, optional_id, row_id
from resolvers.context import Info
from resolvers.points import Described

strawberry.enum(MeterKind, description="What it measures; VIRTUAL: nothing itself, its points are made of others.")


@strawberry.input(description="Which meters; all that is given must hold.")
class MeterFilter:
    kind: MeterKind | None = None
    location_id: strawberry.ID | None = None
    tag: str | None = strawberry.field(default=None, description="One of its tags, as it is written.")
    text: str | None = strawberry.field(default=None, description="Part of the name, in any case.")


@strawberry.input(description="A new meter.")
class CreateMeterInput:
    name: str = strawberry.field(description="A step of its points' addresses, meter/<name>/…: it never changes.")
    kind: MeterKind
    location_id: strawberry.ID | None = None
    sampling_interval: str | None = strawberry.field(default=None, description="How often it reads (ISO 8601: PT15M).")
    timezone: str | None = strawberry.field(default=None, description="IANA.")
    tags: list[str] = strawberry.field(default_factory=list, description="Words to find it by.")
    commissioned_at: datetime | None = strawberry.field(default=None, description="Since when it measures.")


@strawberry.input(description="What changes of a meter; what is absent stays, null clears.")
class UpdateMeterInput:
    kind: Maybe[MeterKind | None]
    location_id: Maybe[strawberry.ID | None]
    sampling_interval: Maybe[str | None]
    timezone: Maybe[str | None]
    tags: Maybe[list[str] | None]
    commissioned_at: Maybe[datetime | None]


@strawberry.input(description="A point of a meter's, before its first reading.")
class CreateMeterSeriesInput(Described):
    name: str = strawberry.field(description="The last step of its address.")
    rollover_at: float | None = strawberry.field(
        default=None, description="The value at which a register starts again from 0, in the base unit."
    )


async def listed(
    info: Info, filter: MeterFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[meters.Meter]:
    wanted = filter or MeterFilter()
    async with info.context.read() as work:
        return await meters.listed(
            work,
            PageRequest(first, after),
            kind=wanted.kind,
            location_id=optional_id(wanted.location_id, "filter.locationId"),
            tag=wanted.tag,
            text=wanted.text,
        )


async def by_id(info: Info, id: strawberry.ID) -> meters.Meter:
    async with info.context.read() as work:
        return await meters.by_id(work, row_id(id))


async def create(info: Info, input: CreateMeterInput) -> meters.Meter:
    given = vars(input) | {"location_id": optional_id(input.location_id, "input.locationId")}
    async with info.context.write() as work:
        return await meters.create(work, **given)


async def update(info: Info, id: strawberry.ID, input: UpdateMeterInput) -> meters.Meter:
    changed = changes(input, never_null=("kind",))
    if "location_id" in changed:
        changed["location_id"] = optional_id(changed["location_id"], "input.locationId")
    async with info.context.write() as work:
        return await meters.update(work, meter_id=row_id(id), **changed)


async def delete(info: Info, id: strawberry.ID) -> meters.Meter:
    async with info.context.write() as work:
        return await meters.delete(work, meter_id=row_id(id))


async def create_series(info: Info, meter_id: strawberry.ID, input: CreateMeterSeriesInput) -> points.Point:
    async with info.context.write() as work:
        return await meters.add_series(work, meter_id=row_id(meter_id, "meterId"), **vars(input))


def location(root: meters.Meter, info: Info) -> Awaitable[locations.Location | None] | None:
    return None if root.location_id is None else info.context.loaders.location.load(root.location_id)


async def series(
    root: meters.Meter, info: Info, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[points.Point]:
    async with info.context.read() as work:
        return await meters.series_of(work, PageRequest(first, after), meter=root)

import strawberry
from strawberry import Maybe

from domain import locations
from domain.page import FIRST_DEFAULT, Page, PageRequest
from resolvers.arguments import changes, row_id
from resolvers.context import Info


@strawberry.input(description="A new charging site.")
class CreateLocationInput:
    name: str
    address: str | None = strawberry.field(default=None, description="Street and number.")
    city: str | None = None
    postal_code: str | None = None
    country: str | None = strawberry.field(default=None, description="ISO 3166-1 alpha-3.")
    timezone: str | None = strawberry.field(default=None, description="IANA.")
    latitude: float | None = strawberry.field(default=None, description="Degrees, WGS 84.")
    longitude: float | None = strawberry.field(default=None, description="Degrees, WGS 84.")


@strawberry.input(description="What changes of a charging site; what is absent stays, null clears.")
class UpdateLocationInput:
    name: Maybe[str | None]
    address: Maybe[str | None]
    city: Maybe[str | None]
    postal_code: Maybe[str | None]
    country: Maybe[str | None]
    timezone: Maybe[str | None]
    latitude: Maybe[float | None]
    longitude: Maybe[float | None]


async def listed(info: Info, first: int = FIRST_DEFAULT, after: str | None = None) -> Page[locations.Location]:
    async with info.context.read() as work:
        return await locations.listed(work, PageRequest(first, after))


async def by_id(info: Info, id: strawberry.ID) -> locations.Location:
    async with info.context.read() as work:
        return await locations.by_id(work, row_id(id))


async def create(info: Info, input: CreateLocationInput) -> locations.Location:
    async with info.context.write() as work:
        return await locations.create(work, **vars(input))


async def update(info: Info, id: strawberry.ID, input: UpdateLocationInput) -> locations.Location:
    async with info.context.write() as work:
        return await locations.update(work, location_id=row_id(id), **changes(input, never_null=("name",)))


async def delete(info: Info, id: strawberry.ID) -> locations.Location:
    async with info.context.write() as work:
        return await locations.delete(work, location_id=row_id(id))

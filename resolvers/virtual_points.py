import strawberry
from strawberry import Maybe

from domain import points, virtual_points
from resolvers.arguments import changes, optional_id
from resolvers.context import Info
from resolvers.points import Described

_EXPRESSION = "Of other points, by their addresses, in base units: \"max(0, 'plant/pv' - 'plant/export')\"."


@strawberry.input(description="A point that is made of others.")
class CreateVirtualPointInput(Described):
    unit: str | None = strawberry.field(default=None, description="A base unit, as values are: Wh, not kWh.")
    address: str
    expression: str = strawberry.field(description=_EXPRESSION)
    station_id: strawberry.ID | None = strawberry.field(
        default=None, description="The station that it belongs to, among whose realTimeMetrics it is then."
    )


@strawberry.input(description="What changes of a virtual point, also of its history; what is absent stays.")
class UpdateVirtualPointInput:
    expression: Maybe[str | None] = strawberry.field(description=_EXPRESSION)
    unit: Maybe[str | None]


async def create(info: Info, input: CreateVirtualPointInput) -> points.Point:
    given = vars(input) | {"station_id": optional_id(input.station_id, "input.stationId")}
    async with info.context.write() as work:
        return await virtual_points.create(work, **given)


async def update(info: Info, address: str, input: UpdateVirtualPointInput) -> points.Point:
    changed = changes(input, never_null=("expression",))
    async with info.context.write() as work:
        return await virtual_points.update(work, address=address, **changed)


async def delete(info: Info, address: str) -> points.Point:
    async with info.context.write() as work:
        return await virtual_points.delete(work, address=address)

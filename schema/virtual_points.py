import strawberry

from resolvers import virtual_points as door
from schema.points import Point
from schema.view import answer


@strawberry.type
class VirtualPointMutation:
    create_virtual_point: Point | None = answer(door.create, "Make a point of others, live and over their history.")
    update_virtual_point: Point | None = answer(door.update, "Make it of something else, from the beginning.")
    delete_virtual_point: Point | None = answer(door.delete, "Remove a virtual point that nothing else is made of.")

from datetime import datetime

import strawberry

from domain import locations
from resolvers import locations as door
from schema.page import Connection
from schema.view import answer, attribute, view


@view(locations.Location)
class Location:
    """A charging site (OCPI Location)."""

    id: strawberry.ID = attribute("Ours.")
    name: str = attribute("What people call it.")
    address: str | None = attribute("Street and number.")
    city: str | None = attribute("Town.")
    postal_code: str | None = attribute("As its country writes it.")
    country: str | None = attribute("ISO 3166-1 alpha-3.")
    timezone: str | None = attribute("IANA.")
    latitude: float | None = attribute("Degrees, WGS 84.")
    longitude: float | None = attribute("Degrees, WGS 84.")
    created_at: datetime = attribute("When it was entered.")


@strawberry.type
class LocationQuery:
    locations: Connection[Location] | None = answer(door.listed, "All charging sites.")
    location: Location | None = answer(door.by_id, "One charging site.")


@strawberry.type
class LocationMutation:
    create_location: Location | None = answer(door.create, "Enter a charging site.")
    update_location: Location | None = answer(door.update, "Change a charging site.")
    delete_location: Location | None = answer(door.delete, "Remove a charging site; its stations stay, without one.")

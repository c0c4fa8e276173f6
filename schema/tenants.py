import strawberry

from domain import tenants
from domain.tenants import PointPolicy, UnknownPolicy
from resolvers import tenants as door
from schema.view import answer, attribute, view


@view(tenants.Tenant)
class Tenant:
    """A customer organization: what every other thing belongs to."""

    id: strawberry.ID = attribute("Ours.")
    slug: str = attribute("Its name in addresses, such as /ocpp/{slug}/….")
    name: str = attribute("What people call it.")
    timezone: str = attribute("IANA; where its days and months begin.")
    station_policy: UnknownPolicy | None = attribute(
        "What becomes of stations that nobody registered; null: as the server is set."
    )
    history_days: int | None = attribute("For how many days readings are kept; null: for ever.")
    point_policy: PointPolicy | None = attribute(
        "What becomes of readings of unknown points; null: as the server is set."
    )
    points_max: int | None = attribute("How many points there may be; null: as the server is set.")


@strawberry.type
class TenantMutation:
    set_station_policy: Tenant | None = answer(
        door.set_station_policy, "Say what becomes of stations that nobody registered; null: as the server is set."
    )
    set_history_days: Tenant | None = answer(
        door.set_history_days,
        "Say for how many days readings are kept, 1 to 36,500; null: for ever. What is older is deleted for good.",
    )
    set_point_rules: Tenant | None = answer(
        door.set_point_rules,
        "Say what becomes of readings of unknown points, and how many points there may be; null: as the server is set.",
    )

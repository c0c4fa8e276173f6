import strawberry

from domain import tenants
from schema.view import attribute, view


@view(tenants.Tenant)
class Tenant:
    """A customer organization: what every other thing belongs to."""

    id: strawberry.ID = attribute("Ours.")
    slug: str = attribute("Its name in addresses, such as /ocpp/{slug}/….")
    name: str = attribute("What people call it.")
    timezone: str = attribute("IANA; where its days and months begin.")

from domain.actor import Permission
from domain.tenants.models import Tenant
from domain.work import Work


async def own(work: Work) -> Tenant:
    """The tenant of this work."""
    work.require(Permission.VIEW)
    return await work.get(Tenant, work.tenant_id)

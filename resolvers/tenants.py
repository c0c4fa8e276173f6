from domain import tenants
from resolvers.context import Info


async def own(info: Info) -> tenants.Tenant:
    async with info.context.read() as work:
        return await tenants.own(work)

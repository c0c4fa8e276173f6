import strawberry

from domain import tenants
from domain.tenants import UnknownPolicy
from resolvers.context import Info

strawberry.enum(
    UnknownPolicy,
    name="UnknownStationPolicy",
    description="What becomes of a station that nobody registered. AUTO: it is registered and may work. PENDING: it is "
    "registered, and waits until somebody accepts it. REJECT: it is not let in.",
)


async def own(info: Info) -> tenants.Tenant:
    async with info.context.read() as work:
        return await tenants.own(work)


async def set_station_policy(info: Info, policy: UnknownPolicy | None = None) -> tenants.Tenant:
    async with info.context.write() as work:
        return await tenants.set_station_policy(work, policy=policy)


async def set_history_days(info: Info, days: int | None = None) -> tenants.Tenant:
    async with info.context.write() as work:
        return await tenants.set_history_days(work, days=days)

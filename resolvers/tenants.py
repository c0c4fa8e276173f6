import strawberry

from domain import tenants
from domain.tenants import PointPolicy, UnknownPolicy
from resolvers.context import Info

strawberry.enum(
    UnknownPolicy,
    name="UnknownStationPolicy",
    description="What becomes of a station that nobody registered. AUTO: it is registered and may work. PENDING: it is "
    "registered, and waits until somebody accepts it. REJECT: it is not let in.",
)
strawberry.enum(
    PointPolicy,
    description="What becomes of a reading whose address is no point yet. AUTO: a point is made of it. KNOWN: it is "
    "refused (NOT_FOUND), unless it comes from equipment that is registered.",
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


async def set_point_rules(
    info: Info, policy: PointPolicy | None = None, points_max: int | None = None
) -> tenants.Tenant:
    async with info.context.write() as work:
        return await tenants.set_point_rules(work, policy=policy, points_max=points_max)

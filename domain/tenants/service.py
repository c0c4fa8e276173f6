import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.actor import Permission
from domain.errors import Invalid
from domain.tenants.models import PointPolicy, Tenant, UnknownPolicy
from domain.work import Work

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
HISTORY_DAYS_MAX = 36_500


async def create(work: Work, *, slug: str, name: str | None = None, timezone: str = "UTC") -> Tenant:
    """The tenant of this work; its id is the actor's tenant id, chosen by whoever opens the work.

    The slug is globally unique and stands in addresses: 1 to 40 of `[a-z0-9-]`.
    """
    work.require(Permission.MANAGE)
    if not _SLUG.fullmatch(slug):
        raise Invalid(f"{slug!r} is no slug: 1 to 40 of a-z, 0-9 and -", field="slug")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Invalid(f"{timezone!r} is no IANA time zone", field="timezone") from error
    return work.add(Tenant(id=work.tenant_id, slug=slug, name=name or slug, timezone=timezone, created_at=work.now))


async def set_station_policy(work: Work, *, policy: UnknownPolicy | None) -> Tenant:
    """What becomes of stations that nobody registered; None: what the house says."""
    work.require(Permission.MANAGE)
    tenant = await work.get(Tenant, work.tenant_id, lock=True)
    tenant.station_policy = policy
    return tenant


async def set_history_days(work: Work, *, days: int | None) -> Tenant:
    """For how long readings are kept, 1 to 36,500 days; None: for ever. What is older goes within hours, for good."""
    work.require(Permission.MANAGE)
    if days is not None and not 1 <= days <= HISTORY_DAYS_MAX:
        raise Invalid(f"readings are kept for 1 to {HISTORY_DAYS_MAX} days, not {days}", field="days")
    tenant = await work.get(Tenant, work.tenant_id, lock=True)
    tenant.history_days = days
    return tenant


async def set_point_rules(work: Work, *, policy: PointPolicy | None, points_max: int | None) -> Tenant:
    """What becomes of readings of unknown points, and how many points there may be; None: what the house says."""
    work.require(Permission.MANAGE)
    if points_max is not None and points_max < 1:
        raise Invalid("there may be one point at least", field="pointsMax")
    tenant = await work.get(Tenant, work.tenant_id, lock=True)
    tenant.point_policy, tenant.points_max = policy, points_max
    return tenant

"""How many points a tenant may have."""

from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import col, select

from domain.points.models import Point
from domain.points.rules import PointRules
from domain.tenants import Tenant
from domain.work import Work


@dataclass(frozen=True, slots=True)
class Room:
    """For so many more; `full` says why there is none for another."""

    left: int
    full: str


async def room(work: Work) -> Room:
    """Nobody else makes a point of the tenant's until this work ends."""
    await work.session.exec(select(func.pg_advisory_xact_lock(func.hashtext(f"points of {work.tenant_id}"))))
    own = (await work.session.exec(select(Tenant.points_max).where(Tenant.id == work.tenant_id))).first()
    maximum, setting = (own, "setPointRules") if own else (work.port(PointRules).points_max, "VOLTGRAPH_POINTS_MAX")
    there = (await work.session.exec(select(func.count(col(Point.id))))).one()
    return Room(max(0, maximum - there), f"there are {maximum} points, and may be no more ({setting})")

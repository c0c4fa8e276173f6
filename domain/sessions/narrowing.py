"""Tokens that may charge at certain hours, or at certain plugs alone."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from domain import stations, tokens
from domain.locations import Location
from domain.tenants import Tenant
from domain.tokens import Hours, Token
from domain.work import Work


@dataclass(frozen=True, slots=True)
class Plugs:
    """`allowed`: where it may charge, None for at any. `here`: whether it may where it is shown, or anywhere there."""

    here: bool
    allowed: tuple[int, ...] | None = None


async def hours_end(work: Work, hours: list[Hours], location_id: UUID | None) -> datetime | None:
    """Until when they last, by the clock of the place or else of the tenant; None where it is not in them."""
    zone = None
    if location_id is not None:
        zone = (await work.session.exec(select(Location.timezone).where(col(Location.id) == location_id))).first()
    zone = zone or (await work.get(Tenant, work.tenant_id)).timezone
    return tokens.until(hours, work.now, ZoneInfo(zone))


async def plugs_for(work: Work, token: Token, station_id: UUID, evse_number: int | None) -> Plugs:
    """An EVSE of which nothing is known is as good as any: OCPP 1.6 does not tell."""
    wanted = {one.lower() for one in token.connector_types or ()}
    known = await stations.connector_types(work, station_id=station_id)
    allowed = tuple(sorted(number for number, types in known.items() if types & wanted))
    if evse_number is not None:
        return Plugs(here=evse_number not in known or evse_number in allowed)
    if not known or len(allowed) == len(known):
        return Plugs(here=True)
    return Plugs(here=bool(allowed), allowed=allowed)

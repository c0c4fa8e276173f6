from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, literal, or_
from sqlmodel import col, select

from domain.actor import Permission
from domain.errors import NotFound
from domain.page import Page, PageRequest, page
from domain.stations.models import Connector, Evse, Station, StationStatus
from domain.stations.presence import Presence
from domain.work import Work


async def by_id(work: Work, station_id: UUID) -> Station:
    work.require(Permission.VIEW)
    return await work.get(Station, station_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Station]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Station).where(col(Station.id).in_(ids)))).all()


BY_IDENTITY: Final = select(Station).where(Station.identity == bindparam("identity"))


async def find(work: Work, identity: str) -> Station | None:
    """The station of that name, or None."""
    return (await work.session.exec(BY_IDENTITY, params={"identity": identity})).first()


async def by_identity(work: Work, identity: str) -> Station:
    work.require(Permission.VIEW)
    station = await find(work, identity)
    if station is None:
        raise NotFound(f"station {identity} does not exist", identity=identity)
    return station


async def listed(
    work: Work,
    request: PageRequest,
    *,
    status: Sequence[StationStatus] | None = None,
    online: bool | None = None,
    location_id: UUID | None = None,
    text: str | None = None,
) -> Page[Station]:
    """Stations, newest first. `online` asks who holds a live socket now; `text` is looked for in names and makes."""
    work.require(Permission.VIEW)
    query = select(Station)
    if status:
        query = query.where(col(Station.status).in_(set(status)))
    if online is not None:
        holds = await work.port(Presence).online(work.tenant_id)  # type: ignore[type-abstract]
        live = col(Station.id) == any_(literal(list(holds), ARRAY(Uuid)))  # one parameter, however many they are
        query = query.where(live if online else ~live)
    if location_id is not None:
        query = query.where(Station.location_id == location_id)
    if text:
        names = (Station.identity, Station.name, Station.vendor, Station.model, Station.serial_number)
        query = query.where(or_(*(col(name).icontains(text, autoescape=True) for name in names)))
    return await page(work, query, request, at=col(Station.created_at), row_id=col(Station.id))


async def evses_of(work: Work, station_ids: Sequence[UUID]) -> Sequence[Evse]:
    """EVSEs of several stations, by number."""
    work.require(Permission.VIEW)
    query = select(Evse).where(col(Evse.station_id).in_(station_ids)).order_by(col(Evse.number))
    return (await work.session.exec(query)).all()


async def connectors_of(work: Work, evse_ids: Sequence[UUID]) -> Sequence[Connector]:
    """Connectors of several EVSEs, by number."""
    work.require(Permission.VIEW)
    query = select(Connector).where(col(Connector.evse_id).in_(evse_ids)).order_by(col(Connector.number))
    return (await work.session.exec(query)).all()


async def is_occupied(work: Work, *, station_id: UUID, evse_number: int) -> bool:
    """Whether one of an EVSE's plugs is, by the station's last word of it (OCPP 2.x)."""
    work.require(Permission.REPORT)
    query = select(Connector.id).where(
        Connector.station_id == station_id,
        Connector.evse_number == evse_number,
        Connector.reported_status == StationStatus.OCCUPIED,
    )
    return (await work.session.exec(query.limit(1))).first() is not None

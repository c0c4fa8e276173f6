"""What an operator changes about stations, and who is let in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.actor import Permission
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.locations import Location
from domain.stations import passwords, queries
from domain.stations.events import StationDeleted, StationMoved, StationRegistered, StationRegistrationChanged
from domain.stations.models import Registration, Station
from domain.stations.rules import StationRules
from domain.tenants import Tenant, UnknownPolicy
from domain.work import Work

# OCPP 2.0.1 part 4, 3.1.1 identifierString, at most 48 characters
_IDENTITY = re.compile(r"[A-Za-z0-9*_=:+|@.\-]{1,48}")
PING_MAX_S = 86_400


async def register(
    work: Work,
    *,
    identity: str,
    name: str | None = None,
    location_id: UUID | None = None,
    password: str | None = None,
    registration: Registration = Registration.ACCEPTED,
) -> Station:
    """A station that may connect. With a `password` it must show it (HTTP Basic, its identity as the user name)."""
    work.require(Permission.CONTROL)
    if not _IDENTITY.fullmatch(identity):
        raise Invalid(
            f"{identity!r} is no station identity: 1 to 48 of A-Z a-z 0-9 * _ = : + | @ . -", field="identity"
        )
    if location_id is not None:
        await work.get(Location, location_id)
    station, is_new = await _insert(work, identity=identity, registration=registration)
    if not is_new:
        raise Conflict(f"station {identity} exists already", identity=identity)
    station.name = name
    station.location_id = location_id
    passwords.put(work, station, password)
    return station


async def update(work: Work, *, station_id: UUID, **changes: Any) -> Station:
    """Changes any of name, location_id, registration, password and ping_interval_s; what is not given stays."""
    work.require(Permission.CONTROL)
    if (ping_s := changes.get("ping_interval_s")) is not None and not 0 <= ping_s <= PING_MAX_S:
        raise Invalid(f"pingIntervalS is 0 to {PING_MAX_S}, not {ping_s}", field="input.pingIntervalS")
    station = await work.get(Station, station_id, lock=True)
    if (location_id := changes.get("location_id")) is not None:
        await work.get(Location, location_id)
    if changes.get("location_id", station.location_id) != station.location_id:
        work.emit(StationMoved(station_id=station.id))
    registration = station.registration
    if "password" in changes:
        passwords.put(work, station, changes.pop("password"))
    for name, value in changes.items():
        if name not in ("name", "location_id", "registration", "ping_interval_s"):
            raise Invalid(f"{name} of a station cannot be changed", field=name)
        setattr(station, name, value)
    if station.registration is not registration:
        work.emit(StationRegistrationChanged(station_id=station.id, registration=station.registration))
    return station


async def delete(work: Work, *, station_id: UUID) -> Station:
    """The station and everything that hangs on it: EVSEs, sessions, commands."""
    work.require(Permission.MANAGE)
    station = await work.get(Station, station_id, lock=True)
    await work.delete(station)
    work.emit(StationDeleted(station_id=station.id, identity=station.identity))
    return station


class Knock(NamedTuple):
    identity: str
    password: bytes | None


@dataclass(frozen=True, slots=True)
class Recognized:
    id: UUID
    registration: Registration


# By hand, and for all who come in one moment: after a restart thousands do.
_RECOGNIZE: Final = """
select identity, id, registration, password_hash,
    array(select jsonb_array_elements_text(offered_password_hashes)) as offers
from station where identity = any($1::text[])
"""


async def recognize(work: Work, knocks: Sequence[Knock]) -> Sequence[Recognized | None]:
    """Those of them who come in as they are; about the others, None, `admit` has to decide one by one."""
    work.require(Permission.REPORT)
    connection = await work.connection()
    rows = await connection.fetch(_RECOGNIZE, list({knock.identity for knock in knocks}))
    known = {row["identity"]: row for row in rows}

    def recognized(knock: Knock) -> Recognized | None:
        row = known.get(knock.identity)
        if row is None or not passwords.opens(work, row["password_hash"], row["offers"], knock.password):
            return None
        return Recognized(row["id"], Registration(row["registration"]))

    return [recognized(knock) for knock in knocks]


async def admit(work: Work, *, identity: str, password: bytes | None) -> Station:
    """Who knocks with this name: the registered station if it shows what it must, else by the tenant's rule or ours."""
    work.require(Permission.REPORT)
    station = await queries.find(work, identity)
    if station is None:
        return await _admit_unknown(work, identity)
    await passwords.check(work, station, password)
    return station


async def _admit_unknown(work: Work, identity: str) -> Station:
    policy = (await work.get(Tenant, work.tenant_id)).station_policy or work.port(StationRules).unknown
    if policy is UnknownPolicy.REJECT:
        raise NotFound(f"station {identity} is not registered", identity=identity)
    if work.read_only:
        raise Forbidden("an unknown station is registered on admission: open a work that may write")
    accepted = policy is UnknownPolicy.AUTO
    station, _ = await _insert(
        work, identity=identity, registration=Registration.ACCEPTED if accepted else Registration.PENDING
    )
    return station


_INSERT: Final = insert(Station).on_conflict_do_nothing().returning(col(Station.id))


async def _insert(work: Work, *, identity: str, registration: Registration) -> tuple[Station, bool]:
    """The station of that name, and whether it is new: two sockets of one new station arrive together."""
    fresh = Station(identity=identity, registration=registration, created_at=work.now)
    created = (await work.session.exec(_INSERT, params=[fresh.model_dump()])).first()
    station = (await work.session.exec(queries.BY_IDENTITY, params={"identity": identity})).one()
    if created is not None:
        work.emit(StationRegistered(station_id=station.id, identity=identity))
    return station, created is not None

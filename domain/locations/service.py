import re
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.actor import Permission
from domain.errors import Invalid
from domain.locations.models import Location
from domain.work import Work

_COUNTRY = re.compile(r"[A-Z]{3}")  # ISO 3166-1 alpha-3, as OCPI has it
_FIELDS = ("name", "address", "city", "postal_code", "country", "timezone", "latitude", "longitude")


async def create(work: Work, *, name: str, **details: Any) -> Location:
    """`details` are any of address, city, postal_code, country, timezone, latitude and longitude."""
    work.require(Permission.CONTROL)
    location = Location(name=name, created_at=work.now)
    return work.add(_changed(location, {"name": name, **details}))


async def update(work: Work, *, location_id: UUID, **changes: Any) -> Location:
    """What is not given stays."""
    work.require(Permission.CONTROL)
    return _changed(await work.get(Location, location_id, lock=True), changes)


async def delete(work: Work, *, location_id: UUID) -> Location:
    """Stations that stood there stay, without a location."""
    work.require(Permission.MANAGE)
    location = await work.get(Location, location_id, lock=True)
    await work.delete(location)
    return location


def _changed(location: Location, changes: dict[str, Any]) -> Location:
    for name, value in changes.items():
        if name not in _FIELDS:
            raise Invalid(f"{name} of a location cannot be changed", field=name)
        setattr(location, name, value.strip() or None if isinstance(value, str) else value)
    _check(location)
    return location


def _check(location: Location) -> None:
    if not location.name:
        raise Invalid("a location needs a name", field="name")
    if location.country is not None and not _COUNTRY.fullmatch(location.country):
        raise Invalid(f"{location.country!r} is no ISO 3166-1 alpha-3 country", field="country")
    if location.timezone is not None:
        _check_timezone(location.timezone)
    if (location.latitude is None) != (location.longitude is None):
        raise Invalid("latitude and longitude come together", field="latitude")
    if location.latitude is not None and not -90 <= location.latitude <= 90:
        raise Invalid("latitude is -90 to 90 degrees", field="latitude")
    if location.longitude is not None and not -180 <= location.longitude <= 180:
        raise Invalid("longitude is -180 to 180 degrees", field="longitude")


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"{name!r} is no IANA time zone", field="timezone") from error

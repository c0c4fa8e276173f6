import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlmodel import select

from domain import locations, points
from domain.actor import Permission
from domain.errors import Conflict, Invalid
from domain.meters.models import Meter, MeterKind
from domain.points import Owner, OwnerKind, Point, SeriesAggregation, SeriesDataType
from domain.work import Work

NAME_MAX = 100
TAGS_MAX = 50
TAG_MAX = 64
_DURATION = re.compile(
    r"P(?=\d|T\d)(\d{1,4}Y)?(\d{1,4}M)?(\d{1,4}W)?(\d{1,4}D)?(T(?=\d)(\d{1,6}H)?(\d{1,6}M)?(\d{1,6}S)?)?", re.ASCII
)
_FIELDS = ("kind", "location_id", "sampling_interval", "timezone", "tags", "commissioned_at")


async def create(work: Work, *, name: str, kind: MeterKind, **details: Any) -> Meter:
    """`details` are any of location_id, sampling_interval, timezone, tags and commissioned_at."""
    work.require(Permission.CONTROL)
    meter = Meter(name=_segment(name, "name"), kind=kind, created_at=work.now)
    await _change(work, meter, details)
    if (await work.session.exec(select(Meter.id).where(Meter.name == name))).first() is not None:
        raise Conflict(f"meter {name} exists already", field="name")
    work.add(meter)
    await work.session.flush()  # somebody may have been faster
    return meter


async def update(work: Work, *, meter_id: UUID, **changes: Any) -> Meter:
    """What is not given stays."""
    work.require(Permission.CONTROL)
    meter = await work.get(Meter, meter_id, lock=True)
    await _change(work, meter, changes)
    return meter


async def delete(work: Work, *, meter_id: UUID) -> Meter:
    """Its points and their history stay: they are evidence, and a meter that is entered again has them again."""
    work.require(Permission.MANAGE)
    meter = await work.get(Meter, meter_id, lock=True)
    await work.delete(meter)
    return meter


async def add_series(
    work: Work,
    *,
    meter_id: UUID,
    name: str,
    unit: str | None = None,
    aggregation: SeriesAggregation | None = None,
    data_type: SeriesDataType | None = None,
    rollover_at: float | None = None,
) -> Point:
    """A point of the meter's, before its first reading: at `meter/<name of the meter>/<name>`."""
    work.require(Permission.CONTROL)
    meter = await work.get(Meter, meter_id)
    return await points.create(
        work,
        address=f"{meter.prefix}{_segment(name, 'name')}",
        unit=unit,
        owner=Owner(OwnerKind.METER, meter.id),
        aggregation=aggregation,
        data_type=data_type,
        rollover_at=rollover_at,
    )


async def _change(work: Work, meter: Meter, changes: dict[str, Any]) -> None:
    """Looked at before any of it is set: what is set may be written by the next question to the database."""
    for name in changes:
        if name not in _FIELDS:
            raise Invalid(f"{name} of a meter cannot be changed", field=name)
    _check_interval(changes.get("sampling_interval"))
    _check_timezone(changes.get("timezone"))
    _check_moment(changes.get("commissioned_at"))
    if changes.get("location_id") is not None:
        await locations.by_id(work, changes["location_id"])
    for name, value in changes.items():
        setattr(meter, name, _tags(value) if name == "tags" else value)


def _segment(name: str, field: str) -> str:
    """One step of an address."""
    name = name.strip()
    if not 0 < len(name) <= NAME_MAX or not name.isprintable() or "/" in name:
        raise Invalid(
            f"{field} is 1 to {NAME_MAX} printable characters without a slash: it is part of addresses", field=field
        )
    return name


def _check_interval(duration: str | None) -> None:
    if duration is not None and (not _DURATION.fullmatch(duration) or not re.search("[1-9]", duration)):
        raise Invalid(f"{duration!r} is no ISO 8601 duration, such as PT15M", field="samplingInterval")


def _check_timezone(name: str | None) -> None:
    try:
        if name is not None:
            ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"{name!r} is no IANA time zone", field="timezone") from error


def _check_moment(at: datetime | None) -> None:
    if at is not None and at.tzinfo is None:
        raise Invalid("commissionedAt must have a time zone", field="commissionedAt")


def _tags(given: Sequence[str] | None) -> list[str]:
    """Each once, in the order given."""
    tags = list(dict.fromkeys(tag.strip() for tag in given or ()))
    if len(tags) > TAGS_MAX or not all(0 < len(tag) <= TAG_MAX and tag.isprintable() for tag in tags):
        raise Invalid(f"tags are at most {TAGS_MAX}, of 1 to {TAG_MAX} printable characters each", field="tags")
    return tags

"""Addresses become points: found or made, without a race between processes, in a Work of its own."""

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, any_, bindparam, case, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col, select

from domain.errors import Unavailable
from domain.points.known import DIRECTORY, VIRTUAL, Known
from domain.points.models import Point, ValueType
from domain.points.readings import Owner, Reading
from domain.units import base_unit
from domain.work import Work


async def known(work: Work, readings: Sequence[Reading], owner: Owner | None) -> list[Known]:
    """The point of each reading. The first of an address that has a unit says what a new point is like."""
    found = _found(work, readings)
    if found is not None:
        return found
    addresses = DIRECTORY.of(work.tenant_id)
    points: dict[str, Known] = {}
    missing: dict[str, Reading] = {}
    for address, reading in _first_of_each(readings).items():
        hit = addresses.get(address)
        if hit is None or (hit.unit is None and reading.unit is not None):
            missing[address] = reading
        else:
            points[address] = hit
    points |= await _apart(work, missing, owner)
    return [points[reading.address] for reading in readings]


def known_here(work: Work, readings: Sequence[Reading]) -> list[Known] | None:
    """The point of each reading as this process remembers it, where it remembers all of them."""
    found = DIRECTORY.of(work.tenant_id).look([reading.address for reading in readings])
    return [point for point in found if point is not None] if None not in found else None


def _found(work: Work, readings: Sequence[Reading]) -> list[Known] | None:
    """Where none of them has to be asked for."""
    found = known_here(work, readings)
    if found is not None and any(
        reading.unit is not None and point.unit is None for reading, point in zip(readings, found, strict=True)
    ):
        return None
    return found


def _first_of_each(readings: Sequence[Reading]) -> dict[str, Reading]:
    """The first that has a unit, if any has."""
    first: dict[str, Reading] = {}
    for reading in readings:
        other = first.get(reading.address)
        if other is None or (other.unit is None and reading.unit is not None):
            first[reading.address] = reading
    return first


async def _apart(work: Work, missing: Mapping[str, Reading], owner: Owner | None) -> dict[str, Known]:
    """In a context that knows of no open Work: the caller's has not begun, so nobody holds one connection for another.

    Committed before a reading is stored: a reading of a point that was rolled back would be lost.
    """

    async def learn() -> dict[str, Known]:
        async with work.workplace.open_work(work.actor) as own:
            return await _learn(own, missing, owner)

    try:
        learned = await asyncio.create_task(learn(), name="points learn", context=Context())
    except OSError as error:
        raise Unavailable("the database is not reachable") from error
    addresses = DIRECTORY.of(work.tenant_id)
    for address, point in learned.items():
        if not point.virtual:  # that may be deleted, and the address be another's then
            addresses.put(address, point)
    return learned


async def _learn(work: Work, missing: Mapping[str, Reading], owner: Owner | None) -> dict[str, Known]:
    points = await _points(work, list(missing))
    new = sorted(missing.keys() - points.keys())  # in one order everywhere, so that two processes cannot deadlock
    if new:
        rows = [_new(work, missing[address], owner) for address in new]
        await work.session.exec(insert(Point).on_conflict_do_nothing(), params=rows)
        points |= await _points(work, new)
    await _adopt_units(work, points, missing)
    return points


_SERIES = case((col(Point.expression).is_(None), Point.series), else_=VIRTUAL)
_POINTS: Final = select(  # type: ignore[call-overload]
    Point.address, Point.id, _SERIES, Point.unit, Point.owner_id
).where(col(Point.address) == any_(bindparam("addresses", type_=ARRAY(Text))))


async def _points(work: Work, addresses: Sequence[str]) -> dict[str, Known]:
    rows = (await work.session.exec(_POINTS, params={"addresses": list(addresses)})).all()
    owners: dict[UUID | None, UUID | None] = {}  # one object each: what is the same need not be compared
    return {
        address: Known(point_id, series, unit, owners.setdefault(owner_id, owner_id))
        for address, point_id, series, unit, owner_id in rows
    }


def _new(work: Work, reading: Reading, owner: Owner | None) -> dict[str, Any]:
    textual = reading.value is None and reading.text is not None
    return Point(
        created_at=work.now,
        address=reading.address,
        unit=None if reading.unit is None else base_unit(reading.unit),
        value_type=ValueType.TEXT if textual else ValueType.NUMBER,
        owner_kind=None if owner is None else owner.kind,
        owner_id=None if owner is None else owner.id,
    ).model_dump(exclude={"series"})


async def _adopt_units(work: Work, points: dict[str, Known], readings: Mapping[str, Reading]) -> None:
    """A point that came without a unit takes the first that it is told, whichever process tells it."""
    for address, point in points.items():
        unit = readings[address].unit
        if point.unit is None and unit is not None and not point.virtual:
            adopting = update(Point).where(col(Point.id) == point.point_id, col(Point.unit).is_(None))
            await work.session.exec(adopting.values(unit=base_unit(unit)))
            points |= await _points(work, [address])

"""Addresses become points: found or made, without a race between processes, in a Work of its own."""

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import Any

from sqlalchemy import Text, any_, literal, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col, select

from domain.errors import Unavailable
from domain.points.known import DIRECTORY, Known
from domain.points.models import Point, ValueType
from domain.points.readings import Owner, Reading
from domain.units import base_unit
from domain.work import Work


async def known(work: Work, readings: Mapping[str, Reading], owner: Owner | None) -> dict[str, Known]:
    """The point of each address. `readings` holds the first of each, which says what a new point is like."""
    addresses = DIRECTORY.of(work.tenant_id)
    found: dict[str, Known] = {}
    missing: dict[str, Reading] = {}
    for address, reading in readings.items():
        hit = addresses.get(address)
        if hit is None or (hit.unit is None and reading.unit is not None):
            missing[address] = reading
        else:
            found[address] = hit
    if missing:
        found |= await _apart(work, missing, owner)
    return found


def known_here(work: Work, readings: Mapping[str, Reading]) -> dict[str, Known] | None:
    """The point of each address as this process remembers it, where it remembers all of them."""
    addresses = DIRECTORY.of(work.tenant_id)
    found = {address: point for address in readings if (point := addresses.get(address)) is not None}
    return found if len(found) == len(readings) else None


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


async def _points(work: Work, addresses: Sequence[str]) -> dict[str, Known]:
    asked = literal(list(addresses), ARRAY(Text))
    query = select(Point.address, Point.id, Point.series, Point.unit, Point.owner_id)  # type: ignore[call-overload]
    rows = (await work.session.exec(query.where(col(Point.address) == any_(asked)))).all()
    return {address: Known(point_id, series, unit, owner_id) for address, point_id, series, unit, owner_id in rows}


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
        if point.unit is None and unit is not None:
            adopting = update(Point).where(col(Point.id) == point.point_id, col(Point.unit).is_(None))
            await work.session.exec(adopting.values(unit=base_unit(unit)))
            points |= await _points(work, [address])

"""Addresses become points: found or made, without a race between processes, in a Work of its own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, any_, bindparam, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col, select

from domain.points.adoption import Adoption
from domain.points.apart import apart
from domain.points.changes import changed
from domain.points.fitting import fitted, of_first
from domain.points.known import DIRECTORY, Known, Unlearned
from domain.points.models import Point, ValueType
from domain.points.readings import Owner, Reading
from domain.points.room import room
from domain.points.rules import PointRules, aggregation_at
from domain.tenants import PointPolicy, Tenant
from domain.units import base_unit
from domain.work import Work


async def known(work: Work, readings: Sequence[Reading], owner: Owner | None) -> list[Known | Unlearned]:
    """The point of each reading. The first of an address that has a unit says what a new point is like."""
    addresses = DIRECTORY.of(work.tenant_id)
    points: dict[str, Known | Unlearned] = {}
    missing: dict[str, Reading] = {}
    for address, reading in _first_of_each(readings).items():
        hit = addresses.get(address)
        if hit is None or (hit.unit is None and reading.unit is not None):
            missing[address] = reading
        else:
            points[address] = hit
    points |= await _learned(work, lambda own: _learn(own, missing, owner))
    return [points[reading.address] for reading in readings]


def _first_of_each(readings: Sequence[Reading]) -> dict[str, Reading]:
    """The first that has a unit, if any has."""
    first: dict[str, Reading] = {}
    for reading in readings:
        other = first.get(reading.address)
        if other is None or (other.unit is None and reading.unit is not None):
            first[reading.address] = reading
    return first


async def refitted(
    work: Work, readings: Sequence[Reading], points: Sequence[Known | Unlearned], misfits: Sequence[int]
) -> list[Known | Unlearned]:
    """`points` with those of the misfits as they are now: another process may have changed their type.

    A BOOLEAN for which another number comes is a NUMBER from then on.
    """
    fresh = await _learned(work, lambda own: _refit(own, [readings[place] for place in misfits]))
    return [fresh.get(reading.address, point) for reading, point in zip(readings, points, strict=True)]


async def _refit(work: Work, misfits: Sequence[Reading]) -> dict[str, Known | Unlearned]:
    addresses = [reading.address for reading in misfits]
    points = await _points(work, addresses)
    grown = {
        point.point_id
        for reading in misfits
        if isinstance(point := points.get(reading.address), Known)
        and point.value_type is ValueType.BOOLEAN
        and fitted(ValueType.BOOLEAN, reading.value, reading.text, reading.quality) is None
        and fitted(ValueType.NUMBER, reading.value, reading.text, reading.quality) is not None
    }
    if grown:
        growing = update(Point).where(col(Point.id).in_(grown), col(Point.value_type) == ValueType.BOOLEAN)
        await work.session.exec(growing.values(value_type=ValueType.NUMBER))
        points = await _points(work, addresses)
        work.tell(*changed(work.tenant_id, {address for address in addresses if _id_of(points[address]) in grown}))
    return points


def _id_of(point: Known | Unlearned) -> UUID | None:
    return point.point_id if isinstance(point, Known) else None


async def _learned(
    work: Work, learning: Callable[[Work], Awaitable[dict[str, Known | Unlearned]]]
) -> dict[str, Known | Unlearned]:
    """Committed before a reading is stored: a reading of a point that was rolled back would be lost."""
    addresses = DIRECTORY.of(work.tenant_id)
    forgotten = addresses.forgotten
    learned = await apart(work, learning)
    if addresses.forgotten != forgotten:
        return learned  # which may be of before that change
    for address, point in learned.items():
        if isinstance(point, Known):
            addresses.put(address, point)
    return learned


async def _learn(work: Work, missing: Mapping[str, Reading], owner: Owner | None) -> dict[str, Known | Unlearned]:
    points = await _points(work, list(missing))
    new = sorted(missing.keys() - points.keys())  # in one order everywhere, so that two processes cannot deadlock
    refused: dict[str, Unlearned] = {}
    if new:
        refused = await _refused(work, new, owner)
        owners = {} if owner is not None else await work.port(Adoption).owners(work, new)  # type: ignore[type-abstract]
        rows = [_new(work, missing[address], owner or owners.get(address)) for address in new if address not in refused]
        if rows:
            await work.session.exec(insert(Point).on_conflict_do_nothing(), params=rows)
        points |= await _points(work, new)
    await _adopt_units(work, points, missing)
    return {**refused, **points}


async def _refused(work: Work, new: Sequence[str], owner: Owner | None) -> dict[str, Unlearned]:
    """Those of the new addresses that become no point, by the tenant's rules."""
    if owner is None:
        policy = (await work.session.exec(select(Tenant.point_policy).where(Tenant.id == work.tenant_id))).first()
        if (policy or work.port(PointRules).unknown) is PointPolicy.KNOWN:
            return {
                address: Unlearned("NOT_FOUND", f"point {address} does not exist, and none is made of a reading")
                for address in new
            }
    there_is = await room(work)
    return {address: Unlearned("LIMIT", there_is.full) for address in new[there_is.left :]}


_POINTS: Final = select(  # type: ignore[call-overload]
    Point.address,
    Point.id,
    Point.series,
    Point.unit,
    Point.owner_id,
    Point.value_type,
    col(Point.expression).is_not(None),
).where(col(Point.address) == any_(bindparam("addresses", type_=ARRAY(Text))))


async def _points(work: Work, addresses: Sequence[str]) -> dict[str, Known | Unlearned]:
    rows = (await work.session.exec(_POINTS, params={"addresses": list(addresses)})).all()
    owners: dict[UUID | None, UUID | None] = {}  # one object each: what is the same need not be compared
    return {
        address: _made_of_others(address)
        if is_virtual
        else Known(point_id, series, unit, owners.setdefault(owner_id, owner_id), value_type)
        for address, point_id, series, unit, owner_id, value_type, is_virtual in rows
    }


def _made_of_others(address: str) -> Unlearned:
    """Not remembered: such a point may be deleted, and the address be another's then."""
    return Unlearned("INVALID", f"{address} is made of other points: nothing is recorded there")


def _new(work: Work, reading: Reading, owner: Owner | None) -> dict[str, Any]:
    return Point(
        created_at=work.now,
        address=reading.address,
        unit=None if reading.unit is None else base_unit(reading.unit),
        value_type=of_first(reading),
        aggregation=aggregation_at(reading.address),
        owner_kind=None if owner is None else owner.kind,
        owner_id=None if owner is None else owner.id,
    ).model_dump(exclude={"series"})


async def _adopt_units(work: Work, points: dict[str, Known | Unlearned], readings: Mapping[str, Reading]) -> None:
    """A point that came without a unit takes the first that it is told, whichever process tells it."""
    adopting = []
    for address, point in points.items():
        unit = readings[address].unit
        if isinstance(point, Known) and point.unit is None and unit is not None:
            adoption = update(Point).where(col(Point.id) == point.point_id, col(Point.unit).is_(None))
            await work.session.exec(adoption.values(unit=base_unit(unit)))
            adopting.append(address)
    if adopting:
        points |= await _points(work, adopting)
        work.tell(*changed(work.tenant_id, adopting))

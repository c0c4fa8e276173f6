"""What people say of a point, before its first reading or later."""

from math import isfinite
from typing import Any

from sqlmodel import select

from domain.actor import Permission
from domain.errors import Conflict, Invalid, LimitExceeded, NotFound
from domain.points.changes import changed
from domain.points.models import ADDRESS_MAX, UNIT_MAX, Point, SeriesAggregation, SeriesDataType
from domain.points.readings import Owner
from domain.points.room import room
from domain.units import base_unit
from domain.work import Work

_FIELDS = ("unit", "aggregation", "data_type", "rollover_at")


async def create(
    work: Work,
    *,
    address: str,
    unit: str | None = None,
    owner: Owner | None = None,
    aggregation: SeriesAggregation | None = None,
    data_type: SeriesDataType | None = None,
    rollover_at: float | None = None,
    expression: str | None = None,
) -> Point:
    """A point that nothing was read of yet. Its unit becomes the base unit, and so does what is recorded.

    Raises `LimitExceeded` where the tenant has as many as it may.
    """
    work.require(Permission.CONTROL)
    if not 0 < len(address) <= ADDRESS_MAX or not address.isprintable():
        raise Invalid(f"an address is 1 to {ADDRESS_MAX} printable characters", field="address")
    _check_name(unit)
    if (await work.session.exec(select(Point.id).where(Point.address == address))).first() is not None:
        raise Conflict(f"point {address} exists already", address=address)
    point = Point(
        created_at=work.now,
        address=address,
        unit=None if unit is None else base_unit(unit),
        owner_kind=None if owner is None else owner.kind,
        owner_id=None if owner is None else owner.id,
        aggregation=aggregation,
        data_type=data_type,
        rollover_at=rollover_at,
        expression=expression,
    )
    _check(point)
    there_is = await room(work)
    if not there_is.left:
        raise LimitExceeded(there_is.full)
    work.add(point)
    await work.session.flush()  # it gets its series; somebody may have been faster
    return point


async def update(work: Work, *, address: str, **changes: Any) -> Point:
    """`changes` are any of unit, aggregation, data_type and rollover_at; what is not given stays.

    Another unit is another name for what is kept: no number changes. None: the first that a reading names.
    """
    work.require(Permission.CONTROL)
    found = await work.session.exec(select(Point).where(Point.address == address).with_for_update())
    point = found.first()
    if point is None:
        raise NotFound(f"point {address} does not exist", address=address)
    for name, value in changes.items():
        if name not in _FIELDS:
            raise Invalid(f"{name} of a point cannot be changed", field=name)
        setattr(point, name, value)
    _check(point)
    if "unit" in changes:
        _check_unit(point)
        work.tell(*changed(work.tenant_id, [address]))
    return point


def _check_unit(point: Point) -> None:
    if point.expression is not None:
        raise Invalid("the unit of what is made of other points is changed with its expression", field="unit")
    _check_name(point.unit)
    if point.unit is not None and base_unit(point.unit) != point.unit:
        raise Invalid(f"values are in base units: {base_unit(point.unit)}, not {point.unit}", field="unit")


def _check_name(unit: str | None) -> None:
    if unit is not None and (not 0 < len(unit) <= UNIT_MAX or not unit.isprintable()):
        raise Invalid(f"a unit is 1 to {UNIT_MAX} printable characters", field="unit")


def _check(point: Point) -> None:
    if point.rollover_at is None:
        return
    if not isfinite(point.rollover_at) or point.rollover_at <= 0:
        raise Invalid("a register starts again at a number above 0", field="rolloverAt")
    if point.expression is not None:
        raise Invalid("what is made of other points is no register", field="rolloverAt")

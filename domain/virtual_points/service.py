from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import select

from domain import points, stations
from domain.actor import Permission
from domain.errors import Conflict, Invalid, LimitExceeded, NotFound
from domain.expressions import Expression, Reference, parsed, wrong
from domain.points import Owner, OwnerKind, Point, SeriesAggregation, SeriesDataType, ValueType
from domain.units import base_unit
from domain.virtual_points.composition import Definitions, order
from domain.virtual_points.news import changed
from domain.work import Work

VIRTUAL_MAX = 1_000  # of a tenant: who asks for one reads the definitions of all
NESTED_MAX = 20  # that one is made of, and those of others


async def create(
    work: Work,
    *,
    address: str,
    expression: str,
    unit: str | None = None,
    station_id: UUID | None = None,
    aggregation: SeriesAggregation | None = None,
    data_type: SeriesDataType | None = None,
) -> Point:
    """A point whose values are made of others', in their base units.

    Raises `Invalid` where the expression is wrong and `NotFound` where a point that it names does not exist, both with
    the `position`, from 1; `Conflict` where the address is taken.
    """
    work.require(Permission.CONTROL)
    definitions = await _definitions(work)
    if len(definitions) >= VIRTUAL_MAX:
        raise LimitExceeded(f"there are {VIRTUAL_MAX} virtual points already")
    await _check(work, address, parsed(expression), definitions)
    _check_unit(unit)
    station = None if station_id is None else await stations.by_id(work, station_id)
    work.tell(changed(work.tenant_id, address))
    return await points.create(
        work,
        address=address,
        unit=unit,
        owner=None if station is None else Owner(OwnerKind.STATION, station.id),
        aggregation=aggregation,
        data_type=data_type,
        expression=expression,
    )


async def update(work: Work, *, address: str, **changes: Any) -> Point:
    """`changes` are any of expression and unit; what is not given stays. Its history changes with it."""
    work.require(Permission.CONTROL)
    definitions = await _definitions(work)
    point = await _virtual(work, address)
    if "expression" in changes:
        await _check(work, address, parsed(changes["expression"]), definitions)
    _check_unit(changes.get("unit"))
    for name, value in changes.items():
        if name not in ("expression", "unit"):
            raise Invalid(f"{name} of a virtual point cannot be changed", field=name)
        setattr(point, name, value)
    work.tell(changed(work.tenant_id, address))
    return point


async def delete(work: Work, *, address: str) -> Point:
    """Raises `Conflict` while another is made of it."""
    work.require(Permission.MANAGE)
    definitions = await _definitions(work)
    point = await _virtual(work, address)
    above = sorted(
        other for other, one in definitions.items() if any(named.address == address for named in one.references)
    )
    if above:
        raise Conflict(f"{', '.join(above[:5])} is made of {address}", addresses=above)
    await work.delete(point)
    work.tell(changed(work.tenant_id, address))
    return point


async def _definitions(work: Work) -> dict[str, Expression]:
    """All of the tenant's; nobody else changes one until this work ends, so no two of them make a circle together."""
    key = func.hashtextextended(f"virtual points:{work.tenant_id}", 0)
    await work.session.exec(select(func.pg_advisory_xact_lock(key)))
    return {point.address: parsed(point.expression) for point in await points.virtual(work)}


async def _virtual(work: Work, address: str) -> Point:
    point = await points.by_address(work, address)
    if point.expression is None:
        raise Conflict(f"point {address} is measured, not made of others", address=address)
    return point


async def _check(work: Work, address: str, expression: Expression, definitions: Definitions) -> None:
    """That all points exist that are named, that they are numbers, and that it is not made of itself."""
    for reference in expression.references:
        if reference.address == address or _is_made_of(reference.address, address, definitions):
            raise wrong(f"{address} would be made of itself, by {reference.address}", reference.at)
    found = await points.by_addresses(work, [reference.address for reference in expression.references])
    for reference in expression.references:
        _check_reference(reference, found.get(reference.address))
    _check_nesting({**definitions, address: expression})


def _is_made_of(one: str, other: str, definitions: Definitions) -> bool:
    return one in definitions and other in order(one, definitions)


def _check_reference(reference: Reference, point: Point | None) -> None:
    if point is None:
        message = f"point {reference.address} does not exist (at character {reference.at})"
        raise NotFound(message, address=reference.address, position=reference.at)
    if point.value_type is ValueType.TEXT:
        raise wrong(f"{reference.address} is a text", reference.at)


def _check_nesting(definitions: Definitions) -> None:
    for address in definitions:
        if len(order(address, definitions)) > NESTED_MAX + 1:
            raise Invalid(f"{address} would be made of more than {NESTED_MAX} virtual points", field="expression")


def _check_unit(unit: str | None) -> None:
    if unit is not None and base_unit(unit) != unit:
        raise Invalid(f"values are in base units: {base_unit(unit)}, not {unit}", field="unit")

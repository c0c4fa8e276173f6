from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Text, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col, select

from domain.actor import Permission
from domain.errors import NotFound
from domain.page import Page, PageRequest, page
from domain.points.latest import Latest, LatestReading
from domain.points.models import Point, PointKind, ValueType
from domain.work import Work


class Virtual(NamedTuple):
    """A point that is made of others."""

    address: str
    point_id: UUID
    expression: str


class Measured(NamedTuple):
    """What others need of a point that they are made of."""

    address: str
    point_id: UUID
    series: int
    owner_id: UUID | None


async def by_id(work: Work, point_id: UUID) -> Point:
    work.require(Permission.VIEW)
    return await work.get(Point, point_id)


async def by_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Point]:
    work.require(Permission.VIEW)
    return (await work.session.exec(select(Point).where(col(Point.id).in_(ids)))).all()


async def by_address(work: Work, address: str) -> Point:
    work.require(Permission.VIEW)
    point = (await work.session.exec(select(Point).where(Point.address == address))).first()
    if point is None:
        raise NotFound(f"point {address} does not exist", address=address)
    return point


async def by_addresses(work: Work, addresses: Sequence[str]) -> dict[str, Point]:
    """By their addresses, without those that do not exist."""
    work.require(Permission.VIEW)
    points = (await work.session.exec(select(Point).where(col(Point.address).in_(addresses)))).all()
    return {point.address: point for point in points}


async def listed(
    work: Work,
    request: PageRequest,
    *,
    prefix: str | None = None,
    owner: UUID | None = None,
    kind: PointKind | None = None,
    text: str | None = None,
) -> Page[Point]:
    """Points, newest first. `prefix` begins the address, `text` stands anywhere in it, `owner` is a station's id."""
    work.require(Permission.VIEW)
    query = select(Point)
    if prefix is not None:
        query = query.where(col(Point.address).startswith(prefix, autoescape=True))
    if owner is not None:
        query = query.where(Point.owner_id == owner)
    if kind is not None:
        query = query.where(Point.kind == kind)
    if text is not None:
        query = query.where(col(Point.address).icontains(text, autoescape=True))
    return await page(work, query, request, at=Point.created_at, row_id=Point.id)


async def of_owner(work: Work, owner_id: UUID, *, limit: int) -> Sequence[Point]:
    """By address."""
    work.require(Permission.VIEW)
    query = select(Point).where(Point.owner_id == owner_id).order_by(col(Point.address)).limit(limit)
    return (await work.session.exec(query)).all()


async def virtual(work: Work) -> list[Virtual]:
    """All that are made of others."""
    work.require(Permission.VIEW)
    query = select(Point.address, Point.id, Point.expression).where(col(Point.expression).is_not(None))
    return [Virtual(address, point_id, str(text)) for address, point_id, text in await work.session.exec(query)]


async def measured(work: Work, addresses: Collection[str], regexes: Collection[str]) -> list[Measured]:
    """Of all that are numbers and made of nothing else: those of these addresses, and those that a regex matches."""
    work.require(Permission.VIEW)
    found = col(Point.address) == any_(literal(list(addresses), ARRAY(Text)))
    if regexes:
        found |= col(Point.address).op("~")(any_(literal(list(regexes), ARRAY(Text))))
    query = select(Point.address, Point.id, Point.series, Point.owner_id).where(
        found, col(Point.expression).is_(None), Point.value_type != ValueType.TEXT
    )
    return [Measured(*row) for row in await work.session.exec(query.order_by(Point.address))]


async def latest_of(work: Work, point_ids: Sequence[UUID]) -> dict[UUID, LatestReading]:
    """The latest reading of each by the device's time, without those that have none. Asks Redis, not the database."""
    work.require(Permission.VIEW)
    return await work.port(Latest).get(work.tenant_id, point_ids) if point_ids else {}  # type: ignore[type-abstract]

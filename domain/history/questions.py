"""What a question may ask for, checked before any store is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite

from domain import points, tenants, virtual_points
from domain.actor import Permission
from domain.errors import Invalid, LimitExceeded, NotFound
from domain.history import resolutions
from domain.points import Point, ValueType
from domain.virtual_points import Composed
from domain.work import Work

POINTS_MAX = 500
VALUES_MAX = 200_000  # in one answer: it is built and encoded at once, and nobody looks at more
EARLIEST = datetime(1800, 1, 1, tzinfo=UTC)
LATEST = datetime(2400, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; `edges` are those of the buckets, or of the period. Nothing is known beyond `now`."""

    points: Sequence[Point]
    composed: Composed
    edges: Sequence[datetime]
    now: datetime


async def understood(
    work: Work,
    *,
    addresses: Sequence[str],
    from_: datetime,
    to: datetime,
    resolution: str | None = None,
    timezone: str | None = None,
    as_of: datetime | None,
) -> Question:
    work.require(Permission.VIEW)
    found = await asked(work, addresses)
    made_of = await composed(work, found)
    check_period(from_, to)
    now = known_until(as_of, work.now)
    if resolution is None:
        check_zone(timezone)
        return Question(found, made_of, [from_, to], now)
    zone = resolutions.zone_named((await tenants.own(work)).timezone if timezone is None else timezone)
    limit = VALUES_MAX // len(found)
    return Question(
        found, made_of, resolutions.edges(from_, to, resolutions.resolution(resolution), zone, limit=limit), now
    )


async def asked(work: Work, addresses: Sequence[str]) -> list[Point]:
    """In the order of the question."""
    if not 1 <= len(addresses) <= POINTS_MAX:
        raise Invalid(f"ask for 1 to {POINTS_MAX} points, not {len(addresses)}", field="points")
    found = await points.by_addresses(work, addresses)
    for address in addresses:
        if address not in found:
            raise NotFound(f"point {address} does not exist", address=address)
    return [found[address] for address in addresses]


async def composed(work: Work, asked: Sequence[Point]) -> Composed:
    """What the virtual ones among them are made of."""
    virtual = [point.address for point in asked if point.expression is not None]
    if not virtual:
        return Composed({}, {})
    found = await virtual_points.composed(work, virtual)
    for address in virtual:
        if address not in found.composites:
            raise NotFound(f"point {address} does not exist", address=address)
    return found


def check_numbers(asked: Sequence[Point]) -> None:
    for point in asked:
        if point.value_type is ValueType.TEXT:
            raise Invalid(
                f"{point.address} is a TEXT, no number: `readings` answers what it said", address=point.address
            )


def check_period(from_: datetime, to: datetime) -> None:
    check_moment("from", from_)
    check_moment("to", to)
    if from_ >= to:
        raise Invalid("from must lie before to", field="from")


def check_moment(name: str, at: datetime) -> None:
    if at.tzinfo is None:
        raise Invalid(f"{name} must have a time zone", field=name)
    if not EARLIEST <= at <= LATEST:
        raise Invalid(f"{name} must lie between {EARLIEST:%Y} and {LATEST:%Y}", field=name)


def check_zone(name: str | None) -> None:
    if name is not None:
        resolutions.zone_named(name)


def known_until(as_of: datetime | None, now: datetime) -> datetime:
    """What was known at a moment ends there."""
    if as_of is None:
        return now
    check_moment("asOf", as_of)
    return min(as_of, now)


def values_max(*, points: int, from_: datetime, to: datetime, resolution: str | None) -> int:
    """How many values an answer may have: raw, a device may measure every second."""
    each_s = 1 if resolution is None else resolutions.resolution(resolution).shortest_s
    rows = max(int((to - from_).total_seconds() / each_s), 0) + 2  # the first and the last may be cut
    return min(points * rows, VALUES_MAX)


def too_many() -> LimitExceeded:
    return LimitExceeded(f"more than {VALUES_MAX} values: ask for a shorter period, fewer points or a resolution")


def check_finite(address: str, column: Sequence[float | None]) -> None:
    if not all(value is None or isfinite(value) for value in column):
        raise Invalid(f"the values of {address} are too large to add up", address=address)

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from domain import points, tenants
from domain.actor import Actor, Permission
from domain.errors import Invalid, LimitExceeded, NotFound
from domain.history.resolutions import edges, zone_named
from domain.history.resolutions import resolution as parsed
from domain.points import Figure, HistoryStore, Track
from domain.work import Work, Workplace

POINTS_MAX = 500
VALUES_MAX = 200_000  # in one answer: it is built and encoded at once, and nobody looks at more
EARLIEST = datetime(1800, 1, 1, tzinfo=UTC)
LATEST = datetime(2400, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Series:
    """A point's column: as long as the timestamps, None where there is no number."""

    address: str
    unit: str | None
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class History:
    timestamps: Sequence[datetime]
    series: Sequence[Series]


async def history(
    workplace: Workplace,
    actor: Actor,
    *,
    addresses: Sequence[str],
    from_: datetime,
    to: datetime,
    resolution: str | None = None,
    timezone: str | None = None,
) -> History:
    """The numbers of points in [from_, to): raw, or the mean of each bucket of `resolution`, named by its start.

    Without a resolution every time at which one of the points was read, whatever its quality. With one, all buckets of
    the period, in local time of `timezone` (the tenant's); the first and the last are cut to the period, and BAD
    readings count for nothing. Texts have no place in a column of numbers: `latest_of` shows them.

    The store is asked when the Work is over: no connection to the database waits for a year of values.
    """
    async with workplace.open_work(actor, read_only=True) as work:
        work.require(Permission.VIEW)
        asked = await _asked(work, addresses)
        _check_period(from_, to)
        bounds = None
        if resolution is not None:
            limit = VALUES_MAX // len(asked)
            bounds = edges(from_, to, parsed(resolution), await _zone(work, timezone), limit=limit)
    series = [point.series for point in asked]
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    if bounds is None:
        timestamps, columns = _aligned(await store.raw(series, start=from_, end=to, limit=VALUES_MAX))
    else:
        timestamps, columns = bounds[:-1], await _means(store, series, bounds)
    return History(
        timestamps,
        [Series(point.address, point.unit, values) for point, values in zip(asked, columns, strict=True)],
    )


async def _means(
    store: HistoryStore, series: Sequence[int], bounds: Sequence[datetime]
) -> list[Sequence[float | None]]:
    found = await store.figures(series, edges=bounds, wanted=[Figure.MEAN])
    return [figures[Figure.MEAN] for figures in found]


def values_max(*, points: int, from_: datetime, to: datetime, resolution: str | None) -> int:
    """How many values an answer may have: raw, a device may measure every second."""
    each_s = 1 if resolution is None else parsed(resolution).shortest_s
    rows = max(int((to - from_).total_seconds() / each_s), 0) + 2  # the first and the last may be cut
    return min(points * rows, VALUES_MAX)


async def _asked(work: Work, addresses: Sequence[str]) -> list[points.Point]:
    """In the order of the question."""
    if not 1 <= len(addresses) <= POINTS_MAX:
        raise Invalid(f"ask for 1 to {POINTS_MAX} points, not {len(addresses)}", field="points")
    found = await points.by_addresses(work, addresses)
    for address in addresses:
        if address not in found:
            raise NotFound(f"point {address} does not exist", address=address)
    return [found[address] for address in addresses]


def _check_period(from_: datetime, to: datetime) -> None:
    for name, at in (("from", from_), ("to", to)):
        if at.tzinfo is None:
            raise Invalid(f"{name} must have a time zone", field=name)
        if not EARLIEST <= at <= LATEST:
            raise Invalid(f"{name} must lie between {EARLIEST:%Y} and {LATEST:%Y}", field=name)
    if from_ >= to:
        raise Invalid("from must lie before to", field="from")


async def _zone(work: Work, name: str | None) -> ZoneInfo:
    return zone_named((await tenants.own(work)).timezone if name is None else name)


def _aligned(tracks: Sequence[Track]) -> tuple[list[datetime], Sequence[Sequence[float | None]]]:
    """One column of times for all: a point that was not read at one of them has None there."""
    if sum(len(track.values) for track in tracks) > VALUES_MAX:
        raise _too_many()
    if all(track.timestamps == tracks[0].timestamps for track in tracks):
        return tracks[0].timestamps, [track.values for track in tracks]
    timestamps = sorted({at for track in tracks for at in track.timestamps})
    if len(timestamps) * len(tracks) > VALUES_MAX:
        raise _too_many()
    return timestamps, [_column(track, timestamps) for track in tracks]


def _column(track: Track, timestamps: Sequence[datetime]) -> list[float | None]:
    found = dict(zip(track.timestamps, track.values, strict=True))
    return [found.get(at) for at in timestamps]


def _too_many() -> LimitExceeded:
    return LimitExceeded(f"more than {VALUES_MAX} values: ask for a shorter period, fewer points or a resolution")

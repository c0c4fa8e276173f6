"""The one way in for measurements, whichever gateway they come from."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from math import isfinite

import structlog

from domain.actor import Permission, system
from domain.errors import Forbidden, TimedOut, Unavailable
from domain.points.known import Known
from domain.points.latest import LatestReading
from domain.points.learning import known, known_here
from domain.points.live import show
from domain.points.news import Live
from domain.points.readings import Owner, Quality, Reading, Recorded, RecordError
from domain.points.spool import Delivery, Spool
from domain.points.store import HistoryStore, Row
from domain.units import CONVERSIONS, normalized
from domain.work import Work, Workplace

log = structlog.get_logger()

ADDRESS_MAX = 255
TEXT_MAX = 10_000
UNIT_MAX = 32
VERSION_MAX = 2**31 - 1
REPLAYED_AT_ONCE = 5_000
REPLAY_PAUSE_S = 1.0
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # a clock that was never set says 1970, in some zones 1969
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


async def record(work: Work, readings: Sequence[Reading], *, owner: Owner | None = None) -> Recorded:
    """Store readings, then show them. When this returns they are committed, all but those with an error.

    Unknown addresses become points of `owner`. Units are normalized, see `domain.units`. NaN and infinities are
    refused, since a mean or an answer in JSON could not hold them: a gateway that wants to keep that a device said so
    gives `text="NaN", quality=Quality.BAD`. While the store is down, readings wait on disk (`Spool`), which counts as
    committed; what only the store or the point could say against them is then told to the log. Raises `Unavailable`,
    with nothing acknowledged, when the disk has no room either; without Redis only viewers have to wait. `work` must
    not have begun: its transaction has no part in this.
    """
    work.require(Permission.REPORT)
    if work.read_only:
        raise Forbidden("this work is read-only")
    if work.session.in_transaction():
        raise RuntimeError("readings are recorded in a Work that has not begun: open one for them")
    batch = Batch(readings)
    spool = work.port(Spool)  # type: ignore[type-abstract]
    if not spool.behind:
        with suppress(Unavailable):
            return await _stored(work, batch, owner)
        batch = Batch(readings)
    recorded = batch.recorded
    if batch.sound:
        await spool.keep(Delivery(work.tenant_id, owner, batch.sound))
        await _show_meanwhile(work, batch)
    return recorded


async def replay(workplace: Workplace) -> None:
    """Records what waits on disk whenever something does; until it is cancelled."""
    spool = workplace.port(Spool)  # type: ignore[type-abstract]
    while True:
        await spool.stirred()
        if not await caught_up(workplace):
            await asyncio.sleep(REPLAY_PAUSE_S)


async def caught_up(workplace: Workplace) -> bool:
    """Records what waits on disk in the order in which it came; False where the store is still away."""
    spool = workplace.port(Spool)  # type: ignore[type-abstract]
    at_once = REPLAYED_AT_ONCE
    while deliveries := await spool.oldest(at_once):
        for _, group in groupby(deliveries, key=lambda one: (one.tenant_id, one.owner)):
            same = list(group)
            try:
                await _replay(workplace, same)
            except (Unavailable, TimedOut):
                return False
            except Exception as error:
                if len(same) > 1:
                    at_once = 1  # whichever of them it is, it takes no other with it
                    break
                log.exception("a spooled delivery is put aside", tenant=str(same[0].tenant_id))
                await spool.refused(same[0], str(error) or type(error).__name__)
            await spool.settled(len(same))
    return True


async def _replay(workplace: Workplace, same: Sequence[Delivery]) -> None:
    """Deliveries of one owner, as one; what only the point or the store has against a reading is put aside."""
    tenant_id, owner = same[0].tenant_id, same[0].owner
    readings = [reading for delivery in same for reading in delivery.readings]
    async with workplace.open_work(system(tenant_id, "spool")) as work:
        recorded = await _stored(work, Batch(readings), owner)
    for error in recorded.errors:
        log.warning("a spooled reading is put aside", tenant=str(tenant_id), reason=error.message)
        aside = Delivery(tenant_id, owner, [readings[error.index]])
        await workplace.port(Spool).refused(aside, error.message)  # type: ignore[type-abstract]


async def _stored(work: Work, batch: "Batch", owner: Owner | None) -> Recorded:
    rows = batch.rows(await known(work, batch.first_of_each, owner))
    if rows:
        for position, reason in await work.port(HistoryStore).write(rows):  # type: ignore[type-abstract]
            batch.refuse_row(position, reason)
        await show(work, batch.newest())
    return batch.recorded


async def _show_meanwhile(work: Work, batch: "Batch") -> None:
    """Viewers need not wait for the store, as long as it is known whose points these are."""
    points = known_here(work, batch.first_of_each)
    if points is not None:
        batch.rows(points)
        await show(work, batch.newest())


class Batch:
    """Readings on their way to rows; each ends as a row or as an error."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.errors: list[RecordError] = []
        self._size = len(readings)
        self.first_of_each: dict[str, Reading] = {}  # the first that has a unit, if any has
        self._readings: list[tuple[int, Reading]] = []
        self._rows: list[Row] = []
        self._sources: list[tuple[int, str, Known]] = []  # of each row: the reading's index and address, and the point
        self._refused: set[int] = set()
        for index, reading in enumerate(readings):
            problem = _problem(reading)
            if problem is not None:
                self.errors.append(RecordError(index, problem))
                continue
            self._readings.append((index, reading))
            other = self.first_of_each.get(reading.address)
            if other is None or (other.unit is None and reading.unit is not None):
                self.first_of_each[reading.address] = reading

    def rows(self, points: Mapping[str, Known]) -> list[Row]:
        for index, (address, at, value, text, quality, unit, source, version) in self._readings:
            point = points[address]
            if value is not None:
                value = float(value)  # noqa: PLW2901  # booleans and whole numbers too
                if unit is not None:
                    if unit in CONVERSIONS:
                        value, unit = normalized(value, unit)  # noqa: PLW2901
                        if not isfinite(value):
                            self.errors.append(RecordError(index, "the value is too large"))
                            continue
                    if unit != point.unit:
                        self.errors.append(RecordError(index, f"{address} is in {point.unit}, not in {unit}"))
                        continue
            self._rows.append(Row(point.series, at, value, text, quality, source, version))
            self._sources.append((index, address, point))
        return self._rows

    @property
    def sound(self) -> list[Reading]:
        """Those with which nothing is wrong in themselves."""
        return [reading for _, reading in self._readings]

    @property
    def recorded(self) -> Recorded:
        return Recorded(self._size - len(self.errors), sorted(self.errors, key=lambda error: error.index))

    def refuse_row(self, position: int, reason: str) -> None:
        self._refused.add(position)
        self.errors.append(RecordError(self._sources[position][0], reason))

    def newest(self) -> list[Live]:
        """The last reading of each point by the device's time; of several at one time the last given."""
        newest: dict[int, int] = {}
        for position, row in enumerate(self._rows):
            if position in self._refused:
                continue
            other = newest.get(row.series)
            if other is None or self._rows[other].at <= row.at:
                newest[row.series] = position
        return [self._live(position) for position in newest.values()]

    def _live(self, position: int) -> Live:
        _, address, point = self._sources[position]
        row = self._rows[position]
        return Live(address, point.owner_id, LatestReading(point.point_id, row.at, row.value, row.text, row.quality))


def _problem(reading: Reading) -> str | None:
    """What is wrong with a reading in itself."""
    address, at, value, text, quality, unit, _, version = reading
    if value is None and text is None and quality is not Quality.BAD:
        return "a reading has a value or a text, or is BAD"
    return (
        (None if 0 < len(address) <= ADDRESS_MAX and address.isprintable() else _not_printable("an address", address))
        or (None if at.tzinfo is not None and EARLIEST <= at < LATEST else _problem_of_time(at))
        or (None if value is None else _problem_of_value(value))
        or (None if text is None else _problem_of_text(text))
        or (None if unit is None or unit in CONVERSIONS else _problem_of_unit(unit))
        or (None if 0 < version <= VERSION_MAX else f"a version is a number from 1 to {VERSION_MAX}, not {version}")
    )


def _not_printable(what: str, text: str) -> str:
    maximum = ADDRESS_MAX if what == "an address" else UNIT_MAX
    return f"{what} is 1 to {maximum} printable characters, not {text[:80]!r}"


def _problem_of_time(at: datetime) -> str:
    if at.tzinfo is None:
        return f"at must have a time zone: {at.isoformat()}"
    return f"at must lie between {EARLIEST:%Y} and {LATEST:%Y}: {at.isoformat()}"


def _problem_of_value(value: float) -> str | None:
    try:
        return None if isfinite(value) else f"{value} is no number that can be kept"
    except OverflowError:
        return "the value is too large"


def _problem_of_text(text: str) -> str | None:
    if len(text) > TEXT_MAX:
        return f"text may have {TEXT_MAX} characters, not {len(text)}"
    if "\0" in text:
        return "text may not hold NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "text is not Unicode: it holds half a surrogate pair"
    return None


def _problem_of_unit(unit: str) -> str | None:
    return None if 0 < len(unit) <= UNIT_MAX and unit.isprintable() else _not_printable("a unit", unit)

"""The one way in for measurements, whichever gateway they come from."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from uuid import UUID

from domain.actor import Permission
from domain.errors import Forbidden
from domain.points.known import Known
from domain.points.latest import LatestReading
from domain.points.learning import known
from domain.points.live import show
from domain.points.news import Live
from domain.points.readings import Owner, Quality, Reading, Recorded, RecordError
from domain.points.store import HistoryStore, Row
from domain.units import CONVERSIONS
from domain.work import Work

ADDRESS_MAX = 255
TEXT_MAX = 10_000
UNIT_MAX = 32
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # a clock that was never set says 1970, in some zones 1969
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


async def record(work: Work, readings: Sequence[Reading], *, owner: Owner | None = None) -> Recorded:
    """Store readings, then show them. When this returns they are committed, all but those with an error.

    Unknown addresses become points of `owner`. Units are normalized, see `domain.units`. NaN and infinities are
    refused, since a mean or an answer in JSON could not hold them: a gateway that wants to keep that a device said so
    gives `text="NaN", quality=Quality.BAD`. Raises `Unavailable`, with nothing acknowledged, when the store is down;
    without Redis only viewers have to wait. `work` must not have begun: its transaction has no part in this.
    """
    work.require(Permission.REPORT)
    if work.read_only:
        raise Forbidden("this work is read-only")
    if work.session.in_transaction():
        raise RuntimeError("readings are recorded in a Work that has not begun: open one for them")
    batch = Batch(readings)
    rows = batch.rows(await known(work, batch.first_of_each, owner))
    if rows:
        for index, reason in await work.port(HistoryStore).write(rows):  # type: ignore[type-abstract]
            batch.refuse_row(index, reason)
        await show(work, batch.newest())
    return Recorded(len(readings) - len(batch.errors), sorted(batch.errors, key=lambda error: error.index))


class Batch:
    """Readings on their way to rows; each ends as a row or as an error."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.errors: list[RecordError] = []
        self.first_of_each: dict[str, Reading] = {}
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
            self.first_of_each.setdefault(reading.address, reading)

    def rows(self, points: Mapping[str, Known]) -> list[Row]:
        for index, (address, at, value, text, quality, unit) in self._readings:
            point = points[address]
            if value is not None:
                value = float(value)  # noqa: PLW2901  # booleans and whole numbers too
                if unit is not None:
                    conversion = CONVERSIONS.get(unit)
                    if conversion is not None:
                        value, unit = conversion.apply(value), conversion.base  # noqa: PLW2901
                    if unit != point.unit:
                        self.errors.append(RecordError(index, f"{address} is in {point.unit}, not in {unit}"))
                        continue
            self._rows.append(Row(point.series, at, value, text, quality))
            self._sources.append((index, address, point))
        return self._rows

    def refuse_row(self, row_index: int, reason: str) -> None:
        self._refused.add(row_index)
        self.errors.append(RecordError(self._sources[row_index][0], reason))

    def newest(self) -> list[Live]:
        """The last reading of each point by the device's time; of several at one time the last given."""
        newest: dict[UUID, int] = {}
        for index, row in enumerate(self._rows):
            if index in self._refused:
                continue
            point_id = self._sources[index][2].point_id
            other = newest.get(point_id)
            if other is None or self._rows[other].at <= row.at:
                newest[point_id] = index
        return [self._live(index) for index in newest.values()]

    def _live(self, index: int) -> Live:
        _, address, point = self._sources[index]
        _, at, value, text, quality = self._rows[index]
        return Live(address, point.owner_id, LatestReading(point.point_id, at, value, text, quality))


def _problem(reading: Reading) -> str | None:
    """What is wrong with a reading in itself."""
    address, at, value, text, quality, unit = reading
    if not address or len(address) > ADDRESS_MAX or not address.isprintable():
        return f"an address is 1 to {ADDRESS_MAX} printable characters, not {address[:80]!r}"
    if at.tzinfo is None:
        return f"at must have a time zone: {at.isoformat()}"
    if not EARLIEST <= at < LATEST:
        return f"at must lie between {EARLIEST:%Y} and {LATEST:%Y}: {at.isoformat()}"
    if value is None:
        if text is None and quality is not Quality.BAD:
            return "a reading has a value or a text, or is BAD"
    elif (problem := _problem_of_value(value)) is not None:
        return problem
    if text is not None and (problem := _problem_of_text(text)) is not None:
        return problem
    if unit is not None and not (0 < len(unit) <= UNIT_MAX and unit.isprintable()):
        return f"a unit is 1 to {UNIT_MAX} printable characters, not {unit[:80]!r}"
    return None


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

"""The one way in for measurements, whichever gateway they come from."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite

from domain.actor import Permission
from domain.errors import Forbidden
from domain.points.known import Known
from domain.points.latest import LatestReading
from domain.points.learning import known
from domain.points.live import show
from domain.points.news import Live
from domain.points.readings import Owner, Quality, Reading, Recorded, RecordError
from domain.points.store import HistoryStore, Row
from domain.units import CONVERSIONS, normalized
from domain.work import Work

ADDRESS_MAX = 255
TEXT_MAX = 10_000
UNIT_MAX = 32
VERSION_MAX = 2**31 - 1
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
        for position, reason in await work.port(HistoryStore).write(rows):  # type: ignore[type-abstract]
            batch.refuse_row(position, reason)
        await show(work, batch.newest())
    return Recorded(len(readings) - len(batch.errors), sorted(batch.errors, key=lambda error: error.index))


class Batch:
    """Readings on their way to rows; each ends as a row or as an error."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.errors: list[RecordError] = []
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

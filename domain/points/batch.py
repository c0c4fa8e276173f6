"""A batch of readings on its way to rows: by columns where nothing is the matter, which is nearly always."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TypeGuard, cast

from domain.points.fitting import content, fitted, misfit
from domain.points.known import Known, Unlearned
from domain.points.latest import LatestReading
from domain.points.models import ADDRESS_MAX, UNIT_MAX, ValueType
from domain.points.news import Live
from domain.points.readings import Quality, Reading, Recorded, RecordError, Source
from domain.points.store import Row
from domain.units import CONVERSIONS

TEXT_MAX = 10_000
VERSION_MAX = 2**31 - 1
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # a clock that was never set says 1970, in some zones 1969
AHEAD = timedelta(days=1)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class Batch:
    """Each reading ends as a row, as an error, or as a misfit of its point's type or unit.

    `sound` are those with which nothing is wrong in themselves, `misfits` the places of some of these.
    """

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._size = len(readings)
        self._unsound: list[RecordError] = []
        self._unfit: list[RecordError] = []  # what the point or the store has against a reading
        self.misfits: list[int] = []
        self._rows: list[Row] = []
        self._origins: Sequence[int] = ()  # of each row the place of its reading in `sound`
        self._points: Sequence[Known | Unlearned] = ()  # of each sound reading
        self._refused: set[int] = set()
        self._indexes: Sequence[int] = range(len(readings))  # of each sound reading
        self.sound = readings
        if not _are_sound(readings):
            problems = [_problem(reading) for reading in readings]
            self._unsound = [RecordError(index, why) for index, why in enumerate(problems) if why is not None]
            self._indexes = [index for index, why in enumerate(problems) if why is None]
            self.sound = [readings[index] for index in self._indexes]

    def rows(self, points: Sequence[Known | Unlearned]) -> list[Row]:
        """`points`: of each sound reading."""
        self._points, self._refused, self._unfit, self.misfits = points, set(), [], []
        self._rows, self._origins = _plain_rows(self.sound, points), range(len(self.sound))
        if not self._rows:
            self._origins = []
            for place, (reading, point) in enumerate(zip(self.sound, points, strict=True)):
                found = _row(reading, point)
                if isinstance(found, Row):
                    self._rows.append(found)
                    self._origins.append(place)
                elif found is None:
                    self.misfits.append(place)
                else:
                    self._unfit.append(RecordError(self._indexes[place], found.message, found.code))
        return self._rows

    @property
    def recorded(self) -> Recorded:
        errors = sorted((*self._unsound, *self._unfit), key=lambda error: error.index)
        quarantined = [
            RecordError(self._indexes[place], reason)
            for place, (_, reason) in zip(self.misfits, self.quarantined, strict=True)
        ]
        return Recorded(self._size - len(errors) - len(quarantined), errors, quarantined)

    @property
    def quarantined(self) -> list[tuple[Reading, str]]:
        """The misfits, each with its reason."""
        found = ((self.sound[place], self._points[place]) for place in self.misfits)
        return [
            (reading, misfit(point.value_type, point.unit, reading))
            for reading, point in found
            if isinstance(point, Known)
        ]

    def refuse_row(self, position: int, reason: str) -> None:
        self._refused.add(position)
        self._unfit.append(RecordError(self._indexes[self._origins[position]], reason))

    def newest(self, now: datetime) -> list[Live]:
        """The last that a device says now of each point, by its own time; of several at one time the highest version,
        of equal ones the last given. What is more than a day ahead is none: it would be the latest until then.
        """
        if not self._rows:
            return []
        rows, origins = self._rows, self._origins
        until = now + AHEAD
        series, ats, _, _, _, sources, _ = zip(*rows, strict=True)
        if (
            self._refused
            or len(set(series)) < len(rows)
            or sources.count(Source.DEVICE) < len(rows)
            or max(ats) > until
        ):
            positions = self._newest(until)
            rows, origins = [rows[position] for position in positions], [origins[position] for position in positions]
        points = [self._points[origin] for origin in origins]
        return _lives(rows, [self.sound[origin] for origin in origins], cast("list[Known]", points))

    def _newest(self, until: datetime) -> Collection[int]:
        newest: dict[int, int] = {}
        for position, (series, at, _, _, _, source, version) in enumerate(self._rows):
            if source is Source.DEVICE and at <= until and position not in self._refused:
                other = newest.get(series)
                if other is None or (self._rows[other].at, self._rows[other].version) <= (at, version):
                    newest[series] = position
        return newest.values()


def _lives(rows: Sequence[Row], readings: Sequence[Reading], points: Sequence[Known]) -> list[Live]:
    latest = [
        LatestReading(point_id, at, value, text, quality)
        for (_, at, value, text, quality, _, _), (point_id, *_) in zip(rows, points, strict=True)
    ]
    addresses, owners = [reading.address for reading in readings], [point.owner_id for point in points]
    return list(map(Live._make, zip(addresses, owners, latest, strict=True)))


def _plain_rows(readings: Sequence[Reading], points: Sequence[Known | Unlearned]) -> list[Row]:
    """The rows of readings that are what their points are, in their units; none where any of them is not."""
    if not readings or not _are_known(points):
        return []
    _, ats, values, texts, qualities, units, sources, versions = zip(*readings, strict=True)
    if units.count(None) < len(units) and any(
        unit is not None and (unit in CONVERSIONS or unit != point.unit)
        for unit, point in zip(units, points, strict=True)
    ):
        return []
    types = [point.value_type for point in points]
    if types.count(ValueType.NUMBER) < len(types) or texts.count(None) < len(texts):
        for fit in zip(types, values, texts, qualities, strict=True):
            if fitted(*fit) != fit[1:3]:
                return []
    numbers = [None if value is None else float(value) for value in values] if None in values else map(float, values)
    series = [point.series for point in points]
    return list(map(Row._make, zip(series, ats, numbers, texts, qualities, sources, versions, strict=True)))


def _are_known(points: Sequence[Known | Unlearned]) -> TypeGuard[Sequence[Known]]:
    return set(map(type, points)) <= {Known}


def _row(reading: Reading, point: Known | Unlearned) -> Row | Unlearned | None:
    """In the unit and of the type of its point; or what there is against it; None where it does not fit."""
    _, at, _, _, quality, _, source, version = reading
    if isinstance(point, Unlearned):
        return point
    kept = content(point.value_type, point.unit, reading)
    if kept is None:
        return None
    if kept[0] is not None and not isfinite(kept[0]):
        return Unlearned("INVALID", "the value is too large")
    return Row(point.series, at, *kept, quality, source, version)


def _are_sound(readings: Sequence[Reading]) -> bool:
    """Whether all of them are, at a glance; of which are not, `_problem` tells."""
    if not readings:
        return True
    addresses, ats, values, texts, qualities, units, _, versions = zip(*readings, strict=True)
    try:
        return (
            min(map(len, addresses)) > 0
            and max(map(len, addresses)) <= ADDRESS_MAX
            and "".join(addresses).isprintable()
            and min(ats) >= EARLIEST
            and max(ats) < LATEST
            and min(versions) > 0
            and max(versions) <= VERSION_MAX
            and all(unit is None or _problem_of_unit(unit) is None for unit in set(units))
            and (
                all(map(isfinite, values))
                if None not in values
                else all(map(_says_something, values, texts, qualities))
                and all(value is None or isfinite(value) for value in values)
            )
            and (
                texts.count(None) == len(texts) or all(text is None or _problem_of_text(text) is None for text in texts)
            )
        )
    except (TypeError, OverflowError):  # a time without a zone, a number beyond all
        return False


def _says_something(value: float | None, text: str | None, quality: Quality) -> bool:
    return value is not None or text is not None or quality is Quality.BAD


def _problem(reading: Reading) -> str | None:
    """What is wrong with a reading in itself."""
    address, at, value, text, quality, unit, _, version = reading
    if not _says_something(value, text, quality):
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

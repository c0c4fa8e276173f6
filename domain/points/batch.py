"""A batch of readings on its way to rows: by columns where nothing is the matter, which is nearly always."""

from array import array
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import NamedTuple, cast

from domain.points.columns import Moments, are_all
from domain.points.fitting import content, fitted, misfit
from domain.points.known import Addresses, Known, Roster, Unlearned
from domain.points.latest import LatestReading, LatestReadings
from domain.points.models import ADDRESS_MAX, UNIT_MAX
from domain.points.news import Live, Lives
from domain.points.readings import Quality, Reading, Recorded, RecordError, Source
from domain.points.store import Row, Rows
from domain.units import CONVERSIONS

TEXT_MAX = 10_000
VERSION_MAX = 2**31 - 1
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # a clock that was never set says 1970, in some zones 1969
AHEAD = timedelta(days=1)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class Batch:
    """Each reading ends as a row, as an error, or as a misfit of its point's type or unit.

    `sound` are those with which nothing is wrong in themselves, `misfits` the places of some of these. `roster` are
    their points, where `addresses` has them at hand.
    """

    def __init__(self, readings: Sequence[Reading], addresses: Addresses) -> None:
        self._size = len(readings)
        self._unsound: list[RecordError] = []
        self._unfit: list[RecordError] = []  # what the point or the store has against a reading
        self.misfits: list[int] = []
        self._rows: Sequence[Row] = []
        self._origins: Sequence[int] = ()  # of each row the place of its reading in `sound`
        self._points: Sequence[Known | Unlearned] = ()  # of each sound reading
        self._refused: set[int] = set()
        self._indexes: Sequence[int] = range(len(readings))  # of each sound reading
        self.sound = readings
        self._columns = _columns(readings)
        self.roster = None if self._columns is None else addresses.called(self._columns.addresses)
        if self._columns is None or not _are_sound(self._columns, are_known=self.roster is not None):
            problems = [_problem(reading) for reading in readings]
            self._unsound = [RecordError(index, why) for index, why in enumerate(problems) if why is not None]
            self._indexes = [index for index, why in enumerate(problems) if why is None]
            self.sound = [readings[index] for index in self._indexes]
            self._columns = _columns(self.sound)
            self.roster = None if self._columns is None else addresses.called(self._columns.addresses)

    @property
    def settled(self) -> Roster | None:
        """`roster`, where the batch has nothing to teach: no unit of a point that has none yet."""
        if self.roster is None or self._columns is None:
            return None
        units = self._columns.units
        if are_all(units, None) or all(
            unit is None or own is not None for unit, own in zip(units, self.roster.units, strict=True)
        ):
            return self.roster
        return None

    def rows(self, points: Sequence[Known | Unlearned]) -> Sequence[Row]:
        """`points`: of each sound reading."""
        self._points, self._refused, self._unfit, self.misfits = points, set(), [], []
        plain = None if self._columns is None else _plain_rows(self._columns, points)
        if plain is not None:
            self._rows, self._origins = plain, range(len(plain))
            return plain
        rows: list[Row] = []
        origins: list[int] = []
        for place, (reading, point) in enumerate(zip(self.sound, points, strict=True)):
            found = _row(reading, point)
            if isinstance(found, Row):
                rows.append(found)
                origins.append(place)
            elif found is None:
                self.misfits.append(place)
            else:
                self._unfit.append(RecordError(self._indexes[place], found.message, found.code))
        self._rows, self._origins = rows, origins
        return rows

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

    def newest(self, now: datetime) -> Sequence[Live]:
        """The last that a device says now of each point, by its own time; of several at one time the highest version,
        of equal ones the last given. What is more than a day ahead is none: it would be the latest until then.
        """
        rows, points, until = self._rows, self._points, now + AHEAD
        if isinstance(rows, Rows) and isinstance(points, Roster) and points.are_different and not self._refused:
            _, moments, values, texts, qualities, sources, _ = rows.columns
            if are_all(sources, Source.DEVICE) and moments.span[1] <= until:
                latest = LatestReadings(points.ids, moments, values, texts, qualities)
                return Lives(points.addresses, points.owner_ids, latest, roster=points)
        return [self._live(position) for position in self._newest(until)]

    def _newest(self, until: datetime) -> Collection[int]:
        newest: dict[int, tuple[datetime, int, int]] = {}
        for position, (series, at, _, _, _, source, version) in enumerate(self._rows):
            if source is Source.DEVICE and at <= until and position not in self._refused:
                other = newest.get(series)
                if other is None or other[:2] <= (at, version):
                    newest[series] = at, version, position
        return [position for _, _, position in newest.values()]

    def _live(self, position: int) -> Live:
        (_, at, value, text, quality, _, _), origin = self._rows[position], self._origins[position]
        point = cast("Known", self._points[origin])  # for it has a row
        return Live(self.sound[origin].address, point.owner_id, LatestReading(point.point_id, at, value, text, quality))


class _Columns(NamedTuple):
    addresses: tuple[str, ...]
    moments: Moments
    values: Sequence[float | None]
    texts: Sequence[str | None]
    qualities: Sequence[Quality]
    units: Sequence[str | None]
    sources: Sequence[Source]
    versions: Sequence[int]


def _columns(readings: Sequence[Reading]) -> _Columns | None:
    """None where there are none, or a time or a number is none."""
    if not readings:
        return None
    addresses, ats, values, *others = zip(*readings, strict=True)
    moments = Moments(ats)
    try:
        moments.microseconds  # noqa: B018  # counts them
        numbers = values if None in values else array("d", values)  # booleans and whole numbers too
    except (TypeError, OverflowError):  # a time without a zone, a number beyond all
        return None
    return _Columns(addresses, moments, numbers, *others)


def _plain_rows(columns: _Columns, points: Sequence[Known | Unlearned]) -> Rows | None:
    """The rows of readings that are what their points are, in their units; None where any of them is not."""
    if not isinstance(points, Roster):
        return None
    _, moments, values, texts, qualities, units, sources, versions = columns
    if not are_all(units, None) and any(
        unit is not None and (unit in CONVERSIONS or unit != own) for unit, own in zip(units, points.units, strict=True)
    ):
        return None
    if not (points.are_numbers and are_all(texts, None)):
        types = [point.value_type for point in points]
        for fit in zip(types, values, texts, qualities, strict=True):
            if fitted(*fit) != fit[1:3]:
                return None
    if not isinstance(values, array):
        values = [None if value is None else float(value) for value in values]
    return Rows(points.series, moments, values, texts, qualities, sources, versions)


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


def _are_sound(columns: _Columns, *, are_known: bool) -> bool:
    """Whether all of them are, at a glance; of which are not, `_problem` tells. What is known was sound before."""
    addresses, moments, values, texts, qualities, units, _, versions = columns
    try:
        return (
            (are_known or _are_addresses(addresses))
            and moments.span[0] >= EARLIEST
            and moments.span[1] < LATEST
            and min(versions) > 0
            and max(versions) <= VERSION_MAX
            and all(unit is None or _problem_of_unit(unit) is None for unit in set(units))
            and (
                isfinite(sum(values)) or all(map(isfinite, values))  # the sum of large numbers may not be
                if isinstance(values, array)
                else all(map(_says_something, values, texts, qualities))
                and all(value is None or isfinite(value) for value in values)
            )
            and (are_all(texts, None) or all(text is None or _problem_of_text(text) is None for text in texts))
        )
    except (TypeError, OverflowError):  # a number beyond all
        return False


def _are_addresses(addresses: Sequence[str]) -> bool:
    return min(map(len, addresses)) > 0 and max(map(len, addresses)) <= ADDRESS_MAX and "".join(addresses).isprintable()


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

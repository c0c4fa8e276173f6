"""What the columns of a file mean: by what their header says, however that is spelt, or by what the caller says."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from domain.errors import Invalid
from domain.imports import Column, Layout
from domain.units import CONVERSIONS

NAME_MAX = 300  # characters of a header; an address has fewer
COLUMNS_MAX = 10_000


class Meaning(StrEnum):
    """Of a column, or none of them; DATE and TIME are two halves of AT."""

    AT = "at"
    DATE = "date"
    TIME = "time"
    ADDRESS = "address"
    VALUE = "value"
    TEXT = "text"
    QUALITY = "quality"
    UNIT = "unit"
    VERSION = "version"


# Without case, blanks and signs. Of several columns that could be the same, the one whose name comes first here is it.
_NAMES = {
    Meaning.AT: "at timestamp datetime dateandtime datumuhrzeit datumzeit zeitstempel zeitpunkt measuredat recordedat "
    "readingtime readat ts time date uhrzeit zeit datum timestamputc utc timeutc datetimeutc",
    Meaning.ADDRESS: "address pointaddress point pointid seriesid series channel channelid tag tagname register "
    "datapoint sensorid sensor meterid meter meternumber zähler zählernummer zaehler zaehlernummer name id",
    Meaning.VALUE: "value val reading readingvalue measurement measuredvalue wert messwert zählerstand zaehlerstand "
    "valeur valor waarde",
    Meaning.TEXT: "text textvalue stringvalue state",
    Meaning.QUALITY: "quality dataquality qualität qualitaet validity",
    Meaning.UNIT: "unit units uom unitofmeasure einheit",
    Meaning.VERSION: "version revision",
}
_DATES = ("date", "datum", "day", "tag")
_TIMES = ("time", "uhrzeit", "zeit")
_ASIDE = frozenset(
    ["source", "metadata", "comment", "note", "bemerkung", "kommentar", "quality", "dataquality", "status"]
)
_UNIT = re.compile(r"(?P<name>.*?)\s*(?:\[(?P<square>[^\]]+)\]|\((?P<round>[^)]+)\))\s*")
_PLAIN_UNITS = {conversion.base for conversion in CONVERSIONS.values()} | CONVERSIONS.keys()


def plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.strip().casefold())


class Cell(NamedTuple):
    """A column of a wide file."""

    position: int
    address: str
    unit: str | None


@dataclass(frozen=True, slots=True)
class Header:
    """Where in a row is what. `cells` are those of a wide file; else there is a value or a text, and `address` or
    `point`."""

    names: tuple[str, ...]
    at: tuple[int, ...]  # a date and a time may be apart
    address: int | None = None
    point: str | None = None
    value: int | None = None
    text: int | None = None
    quality: int | None = None
    unit: int | None = None
    unit_of_all: str | None = None
    version: int | None = None
    cells: tuple[Cell, ...] = ()

    @property
    def columns(self) -> list[Column]:
        found = dict.fromkeys(self.at, Meaning.AT.value)
        for meaning in (m for m in Meaning if m not in (Meaning.AT, Meaning.DATE, Meaning.TIME)):
            index = getattr(self, meaning)
            if index is not None:
                found[index] = meaning.value
        found |= {cell.position: cell.address for cell in self.cells}
        return [Column(self.names[index], found[index]) for index in sorted(found)]


def understood(names: Sequence[str], layout: Layout) -> Header:
    """Raises `Invalid`, which says what is missing."""
    if len(names) > COLUMNS_MAX:
        raise Invalid(f"{len(names)} columns: there may be {COLUMNS_MAX}")
    for name in names:
        if len(name) > NAME_MAX or "\0" in name:
            raise Invalid(f"{name[:80]!r} is no header of a column")
    return _Reading([name.strip() for name in names], layout).header()


class _Reading:
    def __init__(self, names: Sequence[str], layout: Layout) -> None:
        self._names = names
        self._layout = layout
        self._bare = [plain(_without_unit(name)[0]) for name in names]
        self._exact: defaultdict[str, list[int]] = defaultdict(list)
        self._places: defaultdict[str, list[int]] = defaultdict(list)  # by a bare name, with its unit or without
        for index, name in enumerate(names):
            self._exact[name].append(index)
            for spelt in {plain(name), self._bare[index]}:
                self._places[spelt].append(index)
        self._said = {
            meaning: self._index(column, meaning)
            for meaning in _NAMES
            if (column := getattr(layout, meaning)) is not None
        }
        self._taken = set(self._said.values())

    def header(self) -> Header:
        layout = self._layout
        at = self._at()
        wide = layout.is_wide
        value, text = (None, None) if wide else (self._found(Meaning.VALUE), self._found(Meaning.TEXT))
        if wide is None:
            wide = value is None and Meaning.TEXT not in self._said and not self._names_points()
        if wide:
            return Header(tuple(self._names), at, cells=self._cells(at))
        address = None if layout.point is not None else self._found(Meaning.ADDRESS)
        if value is None and text is None:
            raise self._missing("value", "holds the values")
        if address is None and layout.point is None:
            raise self._missing("address", "holds the addresses of points (or `point`, the address of all)")
        return Header(
            tuple(self._names),
            at,
            address=address,
            point=None if layout.point is None else layout.prefix + layout.point,
            value=value,
            text=text,
            quality=self._found(Meaning.QUALITY),
            unit=self._found(Meaning.UNIT),
            unit_of_all=layout.default_unit or (None if value is None else _without_unit(self._names[value])[1]),
            version=self._found(Meaning.VERSION),
        )

    def _names_points(self) -> bool:
        return self._layout.point is not None or self._first(_NAMES[Meaning.ADDRESS].split()) is not None

    def _at(self) -> tuple[int, ...]:
        if Meaning.AT in self._said:
            return (self._said[Meaning.AT],)
        date, time = self._first(_DATES), self._first(_TIMES)
        if date is not None and time is not None:
            self._taken |= {date, time}
            return (date, time)
        at = self._found(Meaning.AT)
        if at is None:
            raise self._missing("at", "holds the times")
        return (at,)

    def _found(self, meaning: Meaning) -> int | None:
        if meaning in self._said:
            return self._said[meaning]
        index = self._first(_NAMES[meaning].split())
        if index is not None:
            self._taken.add(index)
        return index

    def _first(self, names: Sequence[str]) -> int | None:
        for name in names:
            indices = [index for index, bare in enumerate(self._bare) if bare == name and index not in self._taken]
            if len(indices) > 1:
                raise Invalid(f"there are {len(indices)} columns {self._names[indices[0]]!r}", field="layout")
            if indices:
                return indices[0]
        return None

    def _index(self, column: str, meaning: str) -> int:
        """By its name, or its number from 1."""
        wanted = self._exact.get(column.strip()) or self._places.get(plain(column), [])
        if len(wanted) == 1:
            return wanted[0]
        if not wanted and column.isdecimal() and len(column) < 10 and 1 <= int(column) <= len(self._names):
            return int(column) - 1
        count = len(wanted) or "no"
        raise Invalid(f"there are {count} columns {column[:80]!r}: {self._shown()}", field=f"layout.{meaning}")

    def _cells(self, at: tuple[int, ...]) -> tuple[Cell, ...]:
        layout = self._layout
        if layout.points:
            return tuple(
                Cell(self._index(said.column, "points"), layout.prefix + said.address, said.unit or layout.default_unit)
                for said in layout.points
            )
        cells = []
        for index, name in enumerate(self._names):
            if index in at or not name or self._bare[index] in _ASIDE:
                continue
            bare, unit = _without_unit(name)
            cells.append(Cell(index, layout.prefix + bare, unit or layout.default_unit))
        if not cells:
            raise self._missing("value", "holds the values")
        for address, count in Counter(cell.address for cell in cells).most_common(1):
            if count > 1:
                raise Invalid(f"there are {count} columns {address!r}", field="layout")
        return tuple(cells)

    def _missing(self, field: str, what: str) -> Invalid:
        return Invalid(f"say in layout.{field} which column {what}: {self._shown()}", field=f"layout.{field}")

    def _shown(self) -> str:
        return "there are " + ", ".join(repr(name) for name in self._names[:20])[:500]


def _without_unit(name: str) -> tuple[str, str | None]:
    """`Power [kW]` is Power, in kW; what stands in round brackets may be anything, and has to be a unit we know."""
    found = _UNIT.fullmatch(name)
    if found is None or not found["name"]:
        return name, None
    unit = (found["square"] or found["round"]).strip()
    known = unit in _PLAIN_UNITS
    return (found["name"], unit) if known or found["square"] else (name, None)

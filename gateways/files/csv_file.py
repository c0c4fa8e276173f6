"""A CSV file of readings, long or wide, read as it comes: every row becomes readings, or an error with its line."""

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from zoneinfo import ZoneInfo

from domain.errors import Invalid
from domain.imports import DELIMITERS, Column, Layout, Portion, ReadingsFile, ReadingsFiles, RowError
from domain.points import Quality, Reading, Source
from gateways.files.headers import Header, understood
from gateways.files.moments import Moments, shows_day_first
from gateways.files.numbers import NOTHING, has_decimal_comma, number
from gateways.files.records import LINE_MAX, Records, Text, first_records

HEAD_BYTES = 32_768  # which is looked at before anything is taken for anything
HEADER_WITHIN = 20  # records: some programs write a title above it
VERSION_DIGITS = 18

_SEP = re.compile(r"sep=([^\"\r\n]?)[\r\n]*", re.IGNORECASE)

_QUALITIES = {
    "": Quality.GOOD,
    "good": Quality.GOOD,
    "ok": Quality.GOOD,
    "valid": Quality.GOOD,
    "measured": Quality.GOOD,
    "uncertain": Quality.UNCERTAIN,
    "estimated": Quality.UNCERTAIN,
    "substituted": Quality.UNCERTAIN,
    "questionable": Quality.UNCERTAIN,
    "interpolated": Quality.UNCERTAIN,
    "bad": Quality.BAD,
    "invalid": Quality.BAD,
}
_MISSING = "missing"


class CsvFiles(ReadingsFiles):
    def opened(self, layout: Layout, zone: ZoneInfo) -> "CsvFile":
        return CsvFile(layout, zone)


class CsvFile(ReadingsFile):
    def __init__(self, layout: Layout, zone: ZoneInfo) -> None:
        self._layout = layout
        self._zone = zone
        self._head = bytearray()
        self._head_lines = 0
        self._text: Text | None = None
        self._rows: _Rows | None = None

    @property
    def columns(self) -> Sequence[Column] | None:
        return None if self._rows is None else self._rows.header.columns

    def read(self, part: bytes) -> Portion:
        if self._text is not None:
            return self._read(part)
        self._head += part
        self._head_lines += part.count(b"\n") + part.count(b"\r")
        is_enough = len(self._head) >= HEAD_BYTES and self._head_lines > 2
        return self._begin() if is_enough or len(self._head) > LINE_MAX else Portion()

    def end(self) -> Portion:
        portion = Portion() if self._text is not None else self._begin(final=True)
        last = self._read(b"", final=True)
        portion.rows += last.rows
        portion.readings += last.readings
        portion.lines += last.lines
        portion.errors += last.errors
        return portion

    def _begin(self, *, final: bool = False) -> Portion:
        head, self._head = bytes(self._head), bytearray()
        self._text = Text(head)
        lines = self._text.lines(head, final=final)
        if not any(line.strip() for line in lines):
            raise Invalid("the file is empty" if final else "the file does not begin with lines")
        self._rows, rest = _begun(lines, self._layout, self._zone)
        return self._rows.read(rest, final=False)

    def _read(self, part: bytes, *, final: bool = False) -> Portion:
        if self._text is None or self._rows is None:
            raise Invalid("the file is empty")
        return self._rows.read(self._text.lines(part, final=final), final=final)


def _begun(lines: Sequence[str], layout: Layout, zone: ZoneInfo) -> "tuple[_Rows, Sequence[str]]":
    """The rows of a file, and its lines from the first of them on."""
    skipped = 0
    delimiter = layout.delimiter
    while skipped < len(lines) and (lines[skipped].startswith("#") or not lines[skipped].strip()):
        skipped += 1
    if skipped < len(lines) and (told := _SEP.fullmatch(lines[skipped])):
        delimiter = delimiter or told[1]
        skipped += 1
    lines = lines[skipped:]
    delimiter, header, header_lines = _headed(lines, (delimiter,) if delimiter else _delimiters(lines), layout)
    lines = lines[header_lines:]
    sample = [record for _, record in first_records(lines, delimiter) if isinstance(record, list)]
    return _Rows(header, layout, zone, delimiter, sample, first_line=1 + skipped + header_lines), lines


def _headed(lines: Sequence[str], delimiters: Sequence[str], layout: Layout) -> tuple[str, Header, int]:
    """By the first delimiter with which there is a header: a title may have more of another one."""
    refused: Invalid | None = None
    for delimiter in delimiters:
        try:
            return delimiter, *_header(lines, delimiter, layout)
        except Invalid as error:
            refused = refused or error
    raise refused or Invalid("the file has no header")


def _delimiters(lines: Sequence[str]) -> Sequence[str]:
    """First the one that makes the most of the first lines; of those that make the same, last the comma of decimals."""

    def columns(delimiter: str) -> int:
        records = islice(first_records(lines[:HEADER_WITHIN], delimiter), HEADER_WITHIN)
        return max((len(record) for _, record in records if isinstance(record, list)), default=0)

    return sorted((*DELIMITERS[1:], DELIMITERS[0]), key=columns, reverse=True)


def _header(lines: Sequence[str], delimiter: str, layout: Layout) -> tuple[Header, int]:
    """And how many lines there are until it ends. The first line is to blame where none is one."""
    refused: Invalid | None = None
    records = Records(delimiter)
    for _, record in islice(records.read(lines, final=True), HEADER_WITHIN):
        if isinstance(record, str) or not any(cell.strip() for cell in record):
            continue
        names = record if layout.header else [str(number) for number in range(1, len(record) + 1)]
        try:
            return understood(names, layout), records.line - 1 if layout.header else 0
        except Invalid as error:
            refused = refused or error
    raise refused or Invalid("the file has no header")


class _Rows:
    """Records to readings, by what the header and the first records have told."""

    def __init__(
        self,
        header: Header,
        layout: Layout,
        zone: ZoneInfo,
        delimiter: str,
        sample: Sequence[Sequence[str]],
        *,
        first_line: int,
    ) -> None:
        self.header = header
        self._records = Records(delimiter, first_line=first_line)
        self._prefix = layout.prefix
        self._width = len(header.names)
        day_first = layout.day_first
        self._moments = Moments(
            zone, shows_day_first(_cells(sample, header.at[:1])) if day_first is None else day_first
        )
        values = [cell.position for cell in header.cells] or ([] if header.value is None else [header.value])
        self._moments.look((" ".join(_cells([row], header.at)), self._address(row)) for row in sample)
        self._comma = layout.decimal_comma
        if self._comma is None:
            self._comma = has_decimal_comma(_cells(sample, values), delimiter)

    def read(self, lines: Sequence[str], *, final: bool) -> Portion:
        portion = Portion()
        take = self._take_wide if self.header.cells else self._take
        for line, record in self._records.read(lines, final=final):
            if not record:
                continue
            if isinstance(record, str):
                portion.errors.append(RowError(line, record))
            elif len(record) > self._width and any(cell.strip() for cell in record[self._width :]):
                portion.errors.append(RowError(line, f"{len(record)} cells, where the header has {self._width}"))
            elif not any(record):
                continue
            else:
                take(line, record, portion)
            portion.rows += 1
        return portion

    def _take(self, line: int, record: list[str], portion: Portion) -> None:
        try:
            portion.readings.append(self._reading(record))
        except ValueError as error:
            portion.errors.append(RowError(line, str(error)))
        else:
            portion.lines.append(line)

    def _reading(self, record: list[str]) -> Reading:
        header = self.header
        if len(record) < self._width:
            record += [""] * (self._width - len(record))
        address = self._address(record)
        if not address:
            raise ValueError("the address is missing")
        value = None if header.value is None else record[header.value].strip()
        text = None if header.text is None else record[header.text] or None
        quality = "" if header.quality is None else record[header.quality].strip().casefold()
        unit = (None if header.unit is None else record[header.unit].strip() or None) or header.unit_of_all
        version = "" if header.version is None else record[header.version].strip()
        at = self._moments.at(self._when(record), address)
        if quality == _MISSING:
            return Reading(address, at, quality=Quality.BAD, source=Source.IMPORTED, version=_version(version))
        if quality not in _QUALITIES:
            raise ValueError(f"{quality[:80]!r} is no quality: it is good, uncertain, bad, estimated or missing")
        return Reading(
            address,
            at,
            None if value is None or value.casefold() in NOTHING else number(value, comma=bool(self._comma)),
            text,
            _QUALITIES[quality],
            unit,
            Source.IMPORTED,
            _version(version),
        )

    def _address(self, record: Sequence[str]) -> str:
        """Empty where it is missing."""
        index = self.header.address
        if index is None:
            return self.header.point or ""
        address = record[index].strip() if index < len(record) else ""
        return address and self._prefix + address

    def _take_wide(self, line: int, record: list[str], portion: Portion) -> None:
        """A cell that is empty is no reading; one that cannot be read is an error of its own."""
        try:
            when = self._when(record)
            at = self._moments.at(when)
        except ValueError as error:
            portion.errors.append(RowError(line, str(error)))
            return
        for position, address, unit in self.header.cells:
            value = record[position].strip() if position < len(record) else ""
            if value.casefold() in NOTHING:
                continue
            try:
                reading = Reading(
                    address, at, number(value, comma=bool(self._comma)), unit=unit, source=Source.IMPORTED
                )
            except ValueError as error:
                portion.errors.append(RowError(line, f"{address}: {error}"))
            else:
                portion.readings.append(reading)
                portion.lines.append(line)

    def _when(self, record: list[str]) -> str:
        parts = [record[index].strip() for index in self.header.at if index < len(record)]
        if len(parts) < len(self.header.at) or not all(parts):
            raise ValueError("the time is missing")
        return " ".join(parts)


def _cells(records: Iterable[Sequence[str]], indices: Sequence[int]) -> list[str]:
    return [record[index].strip() for record in records for index in indices if index < len(record)]


def _version(text: str) -> int:
    if not text:
        return 1
    if not (text.isdecimal() and len(text) <= VERSION_DIGITS):
        raise ValueError(f"{text[:80]!r} is no version: it is a number from 1")
    return int(text)

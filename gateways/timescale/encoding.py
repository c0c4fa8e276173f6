"""Readings in PostgreSQL's binary COPY format, a column at a time: a tenth of what an encoder per value costs.

Rows that are a number alone, as nearly all are, have one length: a template is repeated and each column is laid over
it, byte by byte with the stride of a row. All others are packed one by one.
"""

from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from itertools import compress
from struct import Struct
from typing import Any

from domain.points import Quality, Row, Rows, Source, are_all, lay

COLUMNS = ("series", "at", "value", "text", "quality", "source", "version")
POSITION = "n"
QUALITY_CODE = {Quality.GOOD: 0, Quality.UNCERTAIN: 1, Quality.BAD: 2}
SOURCE_CODE = {Source.DEVICE: 0, Source.RESENT: 1, Source.IMPORTED: 2, Source.ENTERED: 3}

_EPOCH_US = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000  # PostgreSQL's

_FILE_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_FILE_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_HEAD = Struct(">hiqiq")  # the number of fields; then each with its length before it: series, at
_NUMBER = Struct(">id")
_LENGTH = Struct(">i")
_TAIL = Struct(">ihihii")  # quality, source, version
_LAST = Struct(">ii")  # the position
_SERIES, _AT, _VALUE, _QUALITY, _SOURCE, _VERSION, _N = 6, 18, 30, 47, 53, 58, 66  # where each begins; codes: one byte


def encoded(rows: Sequence[Row], *, numbered: bool) -> BytesIO:
    """All rows, though not in their order; `numbered`: with the position of each as one more column.

    Raises ValueError, TypeError, OverflowError, LookupError or AttributeError where a value is none of ours.
    """
    series, moments, values, texts, qualities, sources, versions = Rows.of(rows).columns
    columns = (
        array("q", series),
        array("q", [counted - _EPOCH_US for counted in moments.microseconds]),
        values,
        texts,
        _codes(QUALITY_CODE, qualities),
        _codes(SOURCE_CODE, sources),
        array("i", versions),
        array("i", range(len(rows))),
    )
    if are_all(texts, None) and (isinstance(values, array) or None not in values):
        return BytesIO(b"".join((_FILE_HEADER, _numbers(*columns, numbered=numbered), _FILE_TRAILER)))
    is_plain = [text is None and value is not None for value, text in zip(values, texts, strict=True)]
    plain = _numbers(*(list(compress(column, is_plain)) for column in columns), numbered=numbered)
    others = [
        _one(*fields, numbered=numbered)
        for fields, plain in zip(zip(*columns, strict=True), is_plain, strict=True)
        if not plain
    ]
    return BytesIO(b"".join((_FILE_HEADER, plain, *others, _FILE_TRAILER)))


def _codes(code: Mapping[Any, int], column: Sequence[Any]) -> bytes:
    """A column has mostly one value."""
    if are_all(column, column[0]):
        return bytes([code[column[0]]]) * len(column)
    return bytes(map(code.__getitem__, column))


def _numbers(
    series: Sequence[int],
    ats: Sequence[int],
    values: Sequence[float],
    _texts: Sequence[None],
    qualities: Sequence[int],
    sources: Sequence[int],
    versions: Sequence[int],
    positions: Sequence[int],
    *,
    numbered: bool,
) -> bytearray:
    template = _one(0, 0, 0.0, None, 0, 0, 0, 0, numbered=numbered)
    size = len(template)
    laid = bytearray(template) * len(series)
    laid[_QUALITY::size] = bytes(qualities)
    laid[_SOURCE::size] = bytes(sources)
    wide = [(_SERIES, "q", series), (_AT, "q", ats), (_VALUE, "d", values), (_VERSION, "i", versions)]
    for start, kind, column in [*wide, (_N, "i", positions)] if numbered else wide:
        lay(laid, start, size, column if isinstance(column, array) else array(kind, column))
    return laid


def _one(
    series: int,
    at: int,
    value: float | None,
    text: str | None,
    quality: int,
    source: int,
    version: int,
    position: int,
    *,
    numbered: bool,
) -> bytes:
    raw = None if text is None else text.encode()
    return b"".join(
        (
            _HEAD.pack(len(COLUMNS) + numbered, 8, series, 8, at),
            _NULL if value is None else _NUMBER.pack(8, value),
            _NULL if raw is None else _LENGTH.pack(len(raw)) + raw,
            _TAIL.pack(2, quality, 2, source, 4, version),
            _LAST.pack(4, position) if numbered else b"",
        )
    )

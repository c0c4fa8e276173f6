"""Readings and columns as text: CSV (RFC 4180, exact numbers) or a JSON object per line."""

import csv
import io
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Generic, TypeVar

import orjson

from domain.history import History, Readings

Page = TypeVar("Page")

ROWS_AT_ONCE = 2_000  # between two of which others have their turn
_COLUMNS = ("address", "timestamp", "value", "text", "quality", "unit", "source", "version")
_PACKED_LEVEL = 4


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


MEDIA_TYPES = {Format.CSV: "text/csv; charset=utf-8", Format.JSONL: "application/x-ndjson"}


@dataclass(frozen=True, slots=True)
class Writer(Generic[Page]):
    """`head` is what stands before the first page, `rows` the rows of one, `line` some of them as they are written."""

    head: Callable[[Page | None], bytes]
    rows: Callable[[Page], Iterator[Any]]
    written: Callable[[Iterable[Any]], bytes]

    async def text(self, pages: AsyncIterator[Page]) -> AsyncIterator[bytes]:
        is_begun = False
        async for page in pages:
            if not is_begun:
                yield self.head(page)
                is_begun = True
            rows = self.rows(page)
            while few := list(islice(rows, ROWS_AT_ONCE)):
                yield self.written(few)
        if not is_begun:
            yield self.head(None)


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _jsonl(rows: Iterable[Any]) -> bytes:
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _nothing(_page: object) -> bytes:
    return b""


def _readings_head(_page: Readings | None) -> bytes:
    return _csv([_COLUMNS])


def _readings_rows(page: Readings) -> Iterator[Sequence[Any]]:
    """What is made of others came from nowhere."""
    address, unit, is_made = page.point.address, page.point.unit, page.point.expression is not None
    for _, at, value, text, quality, source, version in page.rows:
        yield address, _moment(at), value, text, quality.value, unit, None if is_made else source.value, version


def _readings_objects(page: Readings) -> Iterator[dict[str, Any]]:
    return (dict(zip(_COLUMNS, row, strict=True)) for row in _readings_rows(page))


def _columns_head(page: History | None) -> bytes:
    """Each under its address and unit."""
    series = [] if page is None else page.series
    return _csv([["timestamp", *(f"{one.address} [{one.unit}]" if one.unit else one.address for one in series)]])


def _columns_rows(page: History) -> Iterator[Sequence[Any]]:
    columns = [series.values for series in page.series]
    return ((_moment(at), *values) for at, *values in zip(page.timestamps, *columns, strict=True))


def _columns_objects(page: History) -> Iterator[dict[str, Any]]:
    addresses = [series.address for series in page.series]
    return (
        {"timestamp": at, "values": dict(zip(addresses, values, strict=True))} for at, *values in _columns_rows(page)
    )


READINGS: dict[Format, Writer[Readings]] = {
    Format.CSV: Writer(_readings_head, _readings_rows, _csv),
    Format.JSONL: Writer(_nothing, _readings_objects, _jsonl),
}
COLUMNS: dict[Format, Writer[History]] = {
    Format.CSV: Writer(_columns_head, _columns_rows, _csv),
    Format.JSONL: Writer(_nothing, _columns_objects, _jsonl),
}


async def packed(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """With gzip."""
    packing = zlib.compressobj(_PACKED_LEVEL, wbits=zlib.MAX_WBITS | 16)
    async for part in parts:
        if some := packing.compress(part):
            yield some
    yield packing.flush()


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""Text that comes in parts, cut anywhere, as the lines and records of a CSV file (RFC 4180, and what people write)."""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from domain.errors import Invalid

LINE_MAX = 1_000_000
RECORD_LINES_MAX = 100  # a quotation mark that is not closed would swallow the rest of the file
UNCLOSED_MAX = 1_000  # each has the lines after it read twice
UNCLOSED = "a quotation mark is not closed"

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_BLANK = frozenset({"\n", "\r", "\r\n"})
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = {
    b"PK\x03\x04": "this is a workbook of a spreadsheet program, or packed: save it as CSV",
    b"\xd0\xcf\x11\xe0": "this is a workbook of a spreadsheet program: save it as CSV",
    b"\x1f\x8b": "this is packed with gzip twice",
}


def _as_windows_has_it(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("voltgraph.windows", _as_windows_has_it)


class Text:
    """Bytes to lines, each with its end: UTF-8 (in which what is none is taken for Windows-1252), UTF-16 or UTF-32.

    Raises `Invalid` for what is no text.
    """

    def __init__(self, head: bytes) -> None:
        for beginning, what in _NO_TEXT.items():
            if head.startswith(beginning):
                raise Invalid(what)
        encoding = next((name for bom, name in _BOMS if head.startswith(bom)), None) or _without_mark(head)
        errors = "voltgraph.windows" if encoding.startswith("utf-8") else "replace"
        decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=False)  # cuts no \r\n in two
        self._rest = ""

    def lines(self, part: bytes, *, final: bool = False) -> list[str]:
        text = self._rest + self._decoder.decode(part, final)
        if "\r" in text:
            lines = _LINES.findall(text)
            end = sum(map(len, lines))
        else:
            end = text.rfind("\n") + 1
            lines = [line + "\n" for line in text[: end - 1].split("\n")] if end else []
        self._rest = text[end:]
        if final and self._rest:
            lines.append(self._rest)
            self._rest = ""
        if len(self._rest) > LINE_MAX:
            raise Invalid(f"a line has more than {LINE_MAX} characters: this is no CSV")
        return lines


def _without_mark(head: bytes) -> str:
    """In UTF-16, every other byte of a header is NUL, or nearly."""
    first, second = (head[start:1_000:2] for start in (0, 1))
    if first.count(0) > 0.7 * len(first) and not second.count(0):
        return "utf-16-be"
    if second.count(0) > 0.7 * len(second) and not first.count(0):
        return "utf-16-le"
    return "utf-8"


class Records:
    """Lines to records, each with the number of its first line; of a record that does not end, `UNCLOSED` instead.

    It is the csv module's reader that says where a record ends. Where that had to ask for a line that has not come, its
    record is read again when there is more.
    """

    def __init__(self, delimiter: str, *, first_line: int = 1) -> None:
        self.line = first_line
        self._delimiter = delimiter
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self._is_starved = False
        self._unclosed = 0
        self._reader = self._fresh()

    def _fresh(self) -> Iterator[list[str]]:
        return csv.reader(self, delimiter=self._delimiter)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """What csv's reader asks for."""
        if not self._waiting:
            self._is_starved = True
            raise StopIteration
        if len(self._taken) == RECORD_LINES_MAX:
            raise csv.Error(UNCLOSED)
        line = self._waiting.popleft()
        self._taken.append(line)
        return line

    def read(self, lines: Iterable[str], *, final: bool = False) -> Iterator[tuple[int, list[str] | str]]:
        self._waiting.extend(lines)
        while self._waiting:
            if self._waiting[0] in _BLANK:
                self._waiting.popleft()
                self.line += 1
                continue
            self._taken.clear()
            self._is_starved = False
            record: list[str] | str
            try:
                record = next(self._reader)
            except csv.Error as error:
                record = self._given_up(UNCLOSED if len(self._taken) > 1 else str(error))
            if self._is_starved:
                if not final and sum(map(len, self._taken)) <= LINE_MAX:
                    self._waiting.extendleft(reversed(self._taken))
                    return
                record = self._given_up(UNCLOSED)
            number, self.line = self.line, self.line + len(self._taken)
            yield number, record

    def _given_up(self, why: str) -> str:
        """Of the first line alone: those after it are read as if it were not there. Not any number of times."""
        self._unclosed += why == UNCLOSED
        if self._unclosed > UNCLOSED_MAX:
            raise Invalid(f"more than {UNCLOSED_MAX} quotation marks are not closed: this is no CSV")
        self._waiting.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]
        self._reader = self._fresh()
        return why


def first_records(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Of the beginning of a file, for a look."""
    return Records(delimiter).read(lines, final=True)

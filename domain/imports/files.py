"""The port to what can read a file. An adapter knows formats; what becomes of the readings is decided here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from domain.imports.layouts import Layout
from domain.points import Reading


class RowError(NamedTuple):
    """What is wrong in the row that begins in this line, counted from 1."""

    line: int
    message: str


class Column(NamedTuple):
    """As what a column was read: `meaning` is at, address, value, …, or the address whose values it holds."""

    name: str
    meaning: str


@dataclass(slots=True)
class Portion:
    """What a part of a file has brought: of each reading the line that it comes from."""

    rows: int = 0
    readings: list[Reading] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)


class ReadingsFile(Protocol):
    """A file that comes in parts, cut anywhere. Raises `Invalid` where it cannot be read as a whole."""

    @property
    def columns(self) -> Sequence[Column] | None:
        """None until they are known."""
        ...

    def read(self, part: bytes) -> Portion: ...

    def end(self) -> Portion:
        """What was waiting for more."""
        ...


class ReadingsFiles(Protocol):
    def opened(self, layout: Layout, zone: ZoneInfo) -> ReadingsFile:
        """`zone` is of times that do not tell theirs."""
        ...

"""How a file is to be read. Whatever is not said is found out from its header and its first lines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import Invalid

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class PointColumn:
    """Of a wide file: a column that holds the values of one point."""

    column: str
    address: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns go by their header, however that is spelt, or by their number from 1.

    A file is long (a reading in each row) or wide (a column of times and a column for each point). `point` is the
    address of a long file that has no column of addresses.
    """

    at: str | None = None
    address: str | None = None
    value: str | None = None
    text: str | None = None
    quality: str | None = None
    unit: str | None = None
    version: str | None = None
    wide: bool | None = None
    points: tuple[PointColumn, ...] = ()
    point: str | None = None
    prefix: str = ""
    default_unit: str | None = None
    header: bool = True
    delimiter: str | None = None
    decimal_comma: bool | None = None
    day_first: bool | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None and self.delimiter not in DELIMITERS:
            raise Invalid("a delimiter is , ; | or a tab", field="layout.delimiter")
        self.zone("UTC")
        if self.wide and (self.address or self.value or self.text or self.point):
            raise Invalid("a wide file has no column of addresses or values", field="layout.wide")
        if self.points and self.wide is False:
            raise Invalid("points are columns of a wide file", field="layout.points")

    @property
    def is_wide(self) -> bool | None:
        """None where nobody has said."""
        return True if self.points else self.wide

    def zone(self, otherwise: str) -> ZoneInfo:
        """Of times that do not tell theirs."""
        name = self.timezone or otherwise
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise Invalid(f"{name!r} is no IANA time zone", field="layout.timezone") from error

    def kept(self) -> dict[str, Any]:
        """What was said, as it is kept."""
        return {f.name: asdict(self)[f.name] for f in fields(self) if getattr(self, f.name) != f.default}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        points = tuple(PointColumn(**column) for column in kept.get("points", ()))
        return cls(**{**kept, "points": points})

"""Readings by column, from the batch that came to what is sent to the store, to Redis and to viewers.

To make a tuple of each, and to look into it again, is what most of the time of recording would go into.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from sys import byteorder
from typing import Any, ClassVar, Generic, Self, TypeVar, overload
from uuid import UUID

Item = TypeVar("Item")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def are_all(column: Sequence[object], value: object) -> bool:
    return column.count(value) == len(column)


def microseconds(at: datetime) -> int:
    """Since 1970. Raises TypeError for a time without a zone."""
    return (at - EPOCH) // _MICROSECOND


def lay(records: bytearray, start: int, size: int, column: "array[Any]") -> None:
    """Over records of that size, each number of a column at `start`, the highest byte first."""
    if byteorder == "little":
        column = column[:]
        column.byteswap()
    raw = column.tobytes()
    for place in range(column.itemsize):
        records[start + place :: size] = raw[place :: column.itemsize]


class Moments(Sequence[datetime]):
    """Times, and the same as `microseconds` since 1970, which are counted once for all who need them."""

    def __init__(self, times: Sequence[datetime]) -> None:
        self.times = times

    @cached_property
    def microseconds(self) -> "array[int]":
        if self.is_one:
            return array("q", [microseconds(self.times[0])]) * len(self.times)
        return array("q", [(at - EPOCH) // _MICROSECOND for at in self.times])

    @cached_property
    def is_one(self) -> bool:
        """Whether all are the same, as a device that says all that it measures at once has it."""
        return bool(self.times) and are_all(self.times, self.times[0])

    @cached_property
    def span(self) -> tuple[datetime, datetime]:
        """The earliest and the latest."""
        if self.is_one:
            return self.times[0], self.times[0]
        counted = self.microseconds
        return self.times[counted.index(min(counted))], self.times[counted.index(max(counted))]

    @classmethod
    def joined(cls, parts: Sequence["Moments"]) -> Self:
        """Counted, where all parts are."""
        whole = cls(list(chain.from_iterable(part.times for part in parts)))
        if all("microseconds" in vars(part) for part in parts):
            whole.microseconds = _extended([part.microseconds for part in parts])
            whole.is_one = all(part.is_one and part.times[0] == whole.times[0] for part in parts)
        return whole

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[datetime]:
        return iter(self.times)

    @overload
    def __getitem__(self, place: int) -> datetime: ...
    @overload
    def __getitem__(self, place: slice) -> "Moments": ...
    def __getitem__(self, place: int | slice) -> "datetime | Moments":
        return Moments(self.times[place]) if isinstance(place, slice) else self.times[place]


class Ids(Sequence[UUID]):
    """Ids, 16 bytes each."""

    SIZE: ClassVar = 16

    def __init__(self, packed: bytes) -> None:
        self.packed = packed

    @classmethod
    def of(cls, ids: Iterable[UUID]) -> Self:
        return cls(b"".join([each.bytes for each in ids]))

    @classmethod
    def joined(cls, parts: Sequence["Ids"]) -> Self:
        return cls(b"".join([part.packed for part in parts]))

    def __len__(self) -> int:
        return len(self.packed) // self.SIZE

    @overload
    def __getitem__(self, place: int) -> UUID: ...
    @overload
    def __getitem__(self, place: slice) -> "Ids": ...
    def __getitem__(self, place: int | slice) -> "UUID | Ids":
        if isinstance(place, slice):
            start, stop, _ = place.indices(len(self))
            return Ids(self.packed[start * self.SIZE : stop * self.SIZE])
        start = range(len(self))[place] * self.SIZE
        return UUID(bytes=self.packed[start : start + self.SIZE])


class Columns(Sequence[Item], Generic[Item]):
    """Tuples of one kind, as a column for each of their fields."""

    make: ClassVar[Any]  # of an iterable of fields

    def __init__(self, *columns: Any) -> None:
        self.columns = columns

    @classmethod
    def of(cls, items: Sequence[Item]) -> Self:
        return items if isinstance(items, cls) else cls(*zip(*items, strict=True))

    @classmethod
    def joined(cls, parts: Sequence[Sequence[Item]]) -> Self:
        """The items of all parts, in their order."""
        whole = [cls.of(part) for part in parts if part]
        return whole[0] if len(whole) == 1 else cls(*map(_joined, zip(*(part.columns for part in whole), strict=True)))

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def __iter__(self) -> Iterator[Item]:
        return map(self.make, zip(*self.columns, strict=True))

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Item | Self:
        if isinstance(place, slice):
            if place.indices(len(self)) == (0, len(self), 1):
                return self
            return type(self)(*(column[place] for column in self.columns))
        item: Item = self.make(column[place] for column in self.columns)
        return item


def _joined(parts: Sequence[Any]) -> Sequence[Any]:
    kind = type(parts[0])
    if issubclass(kind, (Moments, Ids, Columns)):
        joined: Sequence[Any] = kind.joined(parts)
        return joined
    if all(isinstance(part, array) for part in parts):
        return _extended(parts)
    return list(chain.from_iterable(parts))


def _extended(parts: Sequence["array[Any]"]) -> "array[Any]":
    whole = parts[0][:]
    for part in parts[1:]:
        whole.extend(part)
    return whole

"""Which series an address is: asked once per process, since points neither move nor change owner.

What else is remembered of a point may change: then every process forgets it (`domain.points.changes`).
"""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple, Self
from uuid import UUID

import orjson

from domain.points.columns import Ids
from domain.points.models import ValueType

ADDRESSES_PER_TENANT = 100_000
TENANTS = 1_000


class Known(NamedTuple):
    """What recording needs of a point."""

    point_id: UUID
    series: int
    unit: str | None
    owner_id: UUID | None
    value_type: ValueType = ValueType.NUMBER


class Roster(tuple[Known, ...]):  # noqa: SLOT001  # what is worked out stays
    """The points of a batch in its order, and what follows from these alone.

    A device tells of the same ones time and again, so that all this is looked up and packed once.
    """

    addresses: tuple[str, ...]

    @classmethod
    def of(cls, addresses: tuple[str, ...], points: Sequence[Known]) -> Self:
        roster = cls(points)
        roster.addresses = addresses
        return roster

    @cached_property
    def series(self) -> "array[int]":
        return array("q", [point.series for point in self])

    @cached_property
    def ids(self) -> Ids:
        return Ids.of(point.point_id for point in self)

    @cached_property
    def units(self) -> tuple[str | None, ...]:
        return tuple(point.unit for point in self)

    @cached_property
    def owner_ids(self) -> tuple[UUID | None, ...]:
        return tuple(point.owner_id for point in self)

    @cached_property
    def are_different(self) -> bool:
        return len(set(self.series)) == len(self)

    @cached_property
    def are_numbers(self) -> bool:
        return all(point.value_type is ValueType.NUMBER for point in self)

    @cached_property
    def owners(self) -> set[UUID | None]:
        return set(self.owner_ids)

    @cached_property
    def told(self) -> orjson.Fragment:
        """The addresses as JSON."""
        return orjson.Fragment(orjson.dumps(self.addresses))

    @cached_property
    def digest(self) -> str:
        return digest(self.addresses)


class Unlearned(NamedTuple):
    """Why an address is no point, and becomes none."""

    code: str
    message: str


def digest(addresses: Sequence[str]) -> str:
    """The same for the same addresses in any order."""
    return blake2b("\n".join(sorted(addresses)).encode(), digest_size=12).hexdigest()


class Addresses:
    """The least recently used half gives way: two generations, so that a hit costs one look into a dictionary.

    Rosters have as much room, and all give way when it is used up, or when a point is no longer what it was.
    """

    def __init__(self, capacity: int = ADDRESSES_PER_TENANT) -> None:
        self._capacity = capacity
        self._generation_size = max(1, capacity // 2)
        self._young: dict[str, Known] = {}
        self._old: dict[str, Known] = {}
        self.forgotten = 0  # so often; what was asked before may be of before a change
        self._has_lost = False  # some that may be in rosters still
        self._rosters: dict[tuple[str, str, int], Roster] = {}
        self._listed = 0

    def __len__(self) -> int:
        return len(self._young) + sum(address not in self._young for address in self._old)

    def get(self, address: str) -> Known | None:
        known = self._young.get(address)
        if known is None and (known := self._old.get(address)) is not None:
            self.put(address, known)
        return known

    def called(self, addresses: tuple[str, ...]) -> Roster | None:
        """`get` for many; None where one is missing."""
        if not addresses:
            return None
        roster = self._rosters.get((addresses[0], addresses[-1], len(addresses)))
        if roster is not None and roster.addresses == addresses:
            return roster
        found = list(map(self._young.get, addresses))
        if None in found:
            found = [self.get(address) for address in addresses]
        points = [point for point in found if point is not None]
        if len(points) < len(found):
            return None
        roster = Roster.of(addresses, points)
        self._list(roster)
        return roster

    def _list(self, roster: Roster) -> None:
        place = (roster.addresses[0], roster.addresses[-1], len(roster))
        if place not in self._rosters:
            if self._listed + len(roster) > self._capacity:
                self._unlist()
            self._listed += len(roster)
        self._rosters[place] = roster

    def _unlist(self) -> None:
        self._rosters.clear()
        self._listed = 0

    def forget(self, address: str) -> None:
        self.forgotten += 1
        self._young.pop(address, None)
        self._old.pop(address, None)
        self._unlist()

    def clear(self) -> None:
        self.forgotten += 1
        self._young, self._old = {}, {}
        self._unlist()

    def put(self, address: str, known: Known) -> None:
        before = self._young.get(address) or self._old.get(address)
        if before != known and (before is not None or self._has_lost):
            self._unlist()
        if len(self._young) >= self._generation_size and address not in self._young:
            self._has_lost = self._has_lost or bool(self._old)
            self._old, self._young = self._young, {}
        self._young[address] = known


class Directory:
    """Each tenant's addresses, so that no tenant can push out another's; the tenants longest unheard of give way."""

    def __init__(self, tenants: int = TENANTS) -> None:
        self._capacity = tenants
        self._of: OrderedDict[UUID, Addresses] = OrderedDict()

    def of(self, tenant_id: UUID) -> Addresses:
        addresses = self._of.get(tenant_id)
        if addresses is None:
            addresses = self._of[tenant_id] = Addresses()
            if len(self._of) > self._capacity:
                self._of.popitem(last=False)
        self._of.move_to_end(tenant_id)
        return addresses

    def clear(self) -> None:
        for addresses in self._of.values():
            addresses.clear()


DIRECTORY = Directory()

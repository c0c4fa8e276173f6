"""Which series an address is: asked once per process, since points neither move nor change owner.

What else is remembered of a point may change: then every process forgets it (`domain.points.changes`).
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

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


class Unlearned(NamedTuple):
    """Why an address is no point, and becomes none."""

    code: str
    message: str


class Addresses:
    """The least recently used half gives way: two generations, so that a hit costs one look into a dictionary."""

    def __init__(self, capacity: int = ADDRESSES_PER_TENANT) -> None:
        self._generation_size = max(1, capacity // 2)
        self._young: dict[str, Known] = {}
        self._old: dict[str, Known] = {}
        self.forgotten = 0  # so often; what was asked before may be of before a change

    def __len__(self) -> int:
        return len(self._young) + sum(address not in self._young for address in self._old)

    def get(self, address: str) -> Known | None:
        known = self._young.get(address)
        if known is None and (known := self._old.get(address)) is not None:
            self.put(address, known)
        return known

    def look(self, addresses: Sequence[str]) -> list[Known | None]:
        """`get` for many."""
        found = list(map(self._young.get, addresses))
        return found if None not in found else [self.get(address) for address in addresses]

    def forget(self, address: str) -> None:
        self.forgotten += 1
        self._young.pop(address, None)
        self._old.pop(address, None)

    def clear(self) -> None:
        self.forgotten += 1
        self._young, self._old = {}, {}

    def put(self, address: str, known: Known) -> None:
        if len(self._young) >= self._generation_size and address not in self._young:
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

"""The memory of which series an address is."""

from collections import OrderedDict
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from domain.points.known import Addresses, Directory, Known


def point(series: int) -> Known:
    return Known(UUID(int=series), series, None, None)


@given(st.integers(1, 12), st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=200))
def test_it_never_lies_is_bounded_and_keeps_what_was_used_last(capacity: int, steps: list[tuple[bool, int]]) -> None:
    addresses = Addresses(capacity)
    recent: OrderedDict[int, None] = OrderedDict()  # the oracle: by last use
    for puts, series in steps:
        if puts:
            addresses.put(str(series), point(series))
        hit = addresses.get(str(series))
        assert hit in (None, point(series))
        if hit is not None:
            recent[series] = None
            recent.move_to_end(series)
        assert len(addresses) <= max(2, capacity)
    for series in list(recent)[-max(1, capacity // 2) :]:
        assert addresses.get(str(series)) == point(series)


def test_one_tenant_cannot_push_out_the_addresses_of_another() -> None:
    directory = Directory(tenants=2)
    acme, rival, third = uuid7(), uuid7(), uuid7()
    directory.of(acme).put("a", point(1))
    for n in range(300_000):
        directory.of(rival).put(str(n), point(n))

    assert directory.of(acme).get("a") == point(1)
    directory.of(third).put("a", point(3))
    assert directory.of(acme).get("a") == point(1)
    assert directory.of(rival).get("299999") is None

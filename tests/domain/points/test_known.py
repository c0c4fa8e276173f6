"""The memory of which series an address is."""

from collections import OrderedDict
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from domain.points.known import Addresses, Directory, Known, Roster
from domain.points.models import ValueType


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


@given(
    st.integers(2, 12),
    st.lists(
        st.tuples(st.sampled_from(["put", "forget", "ask"]), st.lists(st.integers(0, 9), min_size=1, max_size=4)),
        max_size=80,
    ),
)
def test_rosters_never_lie_and_are_bounded(capacity: int, steps: list[tuple[str, list[int]]]) -> None:
    addresses = Addresses(capacity)
    true: dict[str, Known] = {}
    for step, (kind, numbers) in enumerate(steps):
        names = tuple(map(str, numbers))
        for name in names:
            if kind == "put":
                true[name] = point(step)  # as when its type has changed
                addresses.put(name, true[name])
            elif kind == "forget":
                true.pop(name, None)
                addresses.forget(name)
        if kind == "ask":
            roster = addresses.called(names)
            assert roster is None or (roster.addresses == names and [*roster] == [true[name] for name in names])
        assert sum(map(len, addresses._rosters.values())) <= max(addresses._capacity, 4)


def test_what_is_asked_for_again_is_the_same_roster_until_a_point_of_it_changes() -> None:
    addresses = Addresses()
    for n in range(3):
        addresses.put(str(n), point(n))
    roster = addresses.called(("0", "1"))
    assert roster is not None
    addresses.put("3", point(3))
    addresses.put("0", point(0))

    assert addresses.called(("0", "1")) is roster
    assert [known.series for known in addresses.called(("1", "0")) or ()] == [1, 0]
    assert addresses.called(()) is None
    assert addresses.called(("0", "4")) is None
    addresses.put("1", point(7))
    assert [known.series for known in addresses.called(("0", "1")) or ()] == [0, 7]


def test_what_follows_from_the_points_alone_is_worked_out_once() -> None:
    of_one, of_two = UUID(int=8), UUID(int=9)
    points = [Known(UUID(int=n), n, "W", owner) for n, owner in enumerate([of_one, of_one, of_two])]
    roster = Roster.of(("a", "b", "c"), points)

    assert (list(roster.series), [*roster.ids], roster.units) == (
        [0, 1, 2],
        [UUID(int=n) for n in range(3)],
        ("W",) * 3,
    )
    assert roster.owners == {of_one, of_two}
    assert roster.are_different
    assert roster.are_numbers
    assert roster.digest == Roster.of(("c", "a", "b"), points).digest
    assert not Roster.of(("a", "b"), [points[0], points[0]]).are_different
    assert not Roster.of(("a",), [points[0]._replace(value_type=ValueType.TEXT)]).are_numbers


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

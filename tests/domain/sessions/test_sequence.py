"""The numbers of a charge's messages are a set, however they come."""

from hypothesis import given
from hypothesis import strategies as st

from domain.sessions.sequence import MISSING_MAX, RANGES_MAX, Ranges, missing, with_number


def heard(numbers: list[int]) -> Ranges:
    ranges: Ranges = []
    for number in numbers:
        ranges = with_number(ranges, number)
    return ranges


@given(st.lists(st.integers(-5, 60)), st.integers(-10, 70), st.randoms())
def test_ranges_hold_what_was_heard_in_any_order_and_count_what_was_not(
    numbers: list[int], below: int, dice: object
) -> None:
    shuffled = [*numbers, *numbers]
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    ranges, told = heard(shuffled), set(numbers)
    assert ranges == heard(numbers)
    assert {number for first, last in ranges for number in range(first, last + 1)} == told
    gone = set(range(min(told, default=0), max(told, default=0))) - told
    assert missing(ranges) == len(gone)
    assert missing(ranges, below=below) == len({number for number in gone if number < below})


def test_a_number_that_was_heard_before_changes_nothing() -> None:
    ranges = heard([1, 2, 4])
    assert with_number(ranges, 2) is ranges


def test_a_station_that_numbers_wildly_fills_no_row_and_no_counter() -> None:
    ranges = heard([number * 1_000_003 for number in range(1_000)])
    assert len(ranges) == RANGES_MAX
    assert missing(heard([0, 2**62])) == MISSING_MAX

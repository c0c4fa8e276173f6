"""Which of the numbered messages of a charge were heard (OCPP 2.x, seqNo): a set of numbers, kept as ranges."""

from bisect import bisect_right
from itertools import pairwise

Ranges = list[list[int]]  # first and last of each, in order, none touching the next

# A station that numbers wildly fills no row: beyond this the smallest gap counts as heard.
RANGES_MAX = 50
MISSING_MAX = 2**31 - 1  # GraphQL's Int


def with_number(heard: Ranges, number: int) -> Ranges:
    """The same list where it was heard before; else a new one."""
    after = bisect_right(heard, number, key=lambda one: one[0])
    if after and number <= heard[after - 1][1]:
        return heard
    joins_last = after > 0 and heard[after - 1][1] == number - 1
    joins_next = after < len(heard) and heard[after][0] == number + 1
    first = heard[after - 1][0] if joins_last else number
    last = heard[after][1] if joins_next else number
    return _bounded([*heard[: after - joins_last], [first, last], *heard[after + joins_next :]])


def missing(heard: Ranges, *, below: int | None = None) -> int:
    """How many lie between those that were heard, or those of them that are smaller than a number."""
    gaps = (min(right[0], right[0] if below is None else below) - left[1] - 1 for left, right in pairwise(heard))
    return min(sum(max(gap, 0) for gap in gaps), MISSING_MAX)


def _bounded(ranges: Ranges) -> Ranges:
    if len(ranges) <= RANGES_MAX:
        return ranges
    at = min(range(1, len(ranges)), key=lambda i: ranges[i][0] - ranges[i - 1][1])
    return [*ranges[: at - 1], [ranges[at - 1][0], ranges[at][1]], *ranges[at + 1 :]]

"""An outage is told once when it has begun, and once when it is over."""

from collections.abc import Iterator

import pytest

from domain.outage import Outage


@pytest.fixture
def seconds() -> Iterator[float]:
    return iter(float(second) for second in range(1_000))


def test_what_fails_now_and_then_is_no_news(seconds: Iterator[float]) -> None:
    outage = Outage(lasting_s=5, clock=lambda: next(seconds))

    assert not any(outage.failed() or outage.worked() for _ in range(20))


def test_an_outage_that_lasts_is_told_once_and_once_that_it_is_over(seconds: Iterator[float]) -> None:
    outage = Outage(lasting_s=5, clock=lambda: next(seconds))

    for _ in range(2):
        assert [outage.failed() for _ in range(20)] == [False] * 5 + [True] + [False] * 14
        assert not outage.worked()
        assert not outage.failed()  # not yet back
        assert [outage.worked() for _ in range(20)] == [False] * 4 + [True] + [False] * 15


def test_where_every_failure_counts_the_first_one_is_told_at_once() -> None:
    outage = Outage(lasting_s=0)

    assert [outage.failed(), outage.failed(), outage.worked(), outage.worked(), outage.failed()] == [
        True,
        False,
        True,
        False,
        True,
    ]

"""Wrong passwords, and for how long nobody listens after too many."""

from typing import Any
from uuid import uuid4

import pytest

from domain.errors import LimitExceeded
from gateways.ocpp.attempts import Attempts
from tests.gateways.ocpp.wire import counted

ACME = uuid4()
SOMEWHERE, ELSEWHERE = (ACME, "CP-1", "192.0.2.1"), (ACME, "CP-1", "192.0.2.2")


class Watch:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def is_heard(attempts: Attempts, stranger: Any) -> bool:
    try:
        attempts.check(stranger)
    except LimitExceeded:
        return False
    return True


def test_after_too_many_none_is_looked_at_until_the_first_is_a_minute_old() -> None:
    watch = Watch()
    attempts = Attempts(3, clock=watch)
    for _ in range(3):
        assert is_heard(attempts, SOMEWHERE)
        attempts.failed(SOMEWHERE)
        watch.now_s += 10

    with pytest.raises(LimitExceeded) as refused:
        attempts.check(SOMEWHERE)
    assert refused.value.details == {"retry_after_s": 30}
    watch.now_s += 29.5
    assert not is_heard(attempts, SOMEWHERE)
    watch.now_s += 0.5
    assert is_heard(attempts, SOMEWHERE)


def test_who_guesses_elsewhere_does_not_keep_the_station_out() -> None:
    attempts = Attempts(1)
    attempts.failed(ELSEWHERE)

    assert not is_heard(attempts, ELSEWHERE)
    assert is_heard(attempts, SOMEWHERE)
    assert is_heard(attempts, (uuid4(), *ELSEWHERE[1:]))


def test_the_right_one_makes_the_wrong_ones_forgotten() -> None:
    attempts = Attempts(2)
    attempts.failed(SOMEWHERE)
    attempts.succeeded(SOMEWHERE)
    attempts.failed(SOMEWHERE)

    assert is_heard(attempts, SOMEWHERE)


def test_without_a_limit_everybody_is_heard_and_counted() -> None:
    before = counted("voltgraph_ocpp_password_failures_total", result="wrong")
    attempts = Attempts(0)
    for _ in range(50):
        attempts.failed(SOMEWHERE)

    assert is_heard(attempts, SOMEWHERE)
    assert counted("voltgraph_ocpp_password_failures_total", result="wrong") == before + 50

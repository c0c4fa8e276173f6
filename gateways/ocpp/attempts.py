"""Who shows wrong passwords again and again is not heard for a moment."""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from domain.errors import LimitExceeded

PASSWORD_FAILURES = Counter(
    "voltgraph_ocpp_password_failures",
    "Handshakes with a wrong password, and those that were not looked at after too many",
    ["result"],
)

Stranger = tuple[UUID, str, str]
"""Tenant, the identity that is claimed, and where from: another address does not keep the station itself out."""

_WINDOW_S: Final = 60.0
_REMEMBERED: Final = 10_000


class Attempts:
    """Of this process. So many wrong ones in a minute, then none is looked at until the first of them is that old."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` 0: any number."""
        self._most = most
        self._clock = clock
        self._failures: OrderedDict[Stranger, deque[float]] = OrderedDict()

    def check(self, stranger: Stranger) -> None:
        """Raises `LimitExceeded`."""
        failures = self._failures.get(stranger)
        if not self._most or failures is None:
            return
        now = self._clock()
        while failures and failures[0] <= now - _WINDOW_S:
            failures.popleft()
        if len(failures) >= self._most:
            PASSWORD_FAILURES.labels("not looked at").inc()
            wait_s = math.ceil(failures[0] + _WINDOW_S - now)
            raise LimitExceeded(f"too many wrong passwords: try again in {wait_s} s", retry_after_s=wait_s)

    def failed(self, stranger: Stranger) -> None:
        PASSWORD_FAILURES.labels("wrong").inc()
        if self._most:
            self._failures.setdefault(stranger, deque(maxlen=self._most)).append(self._clock())
            self._failures.move_to_end(stranger)
            if len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, stranger: Stranger) -> None:
        self._failures.pop(stranger, None)

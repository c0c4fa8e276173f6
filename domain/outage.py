"""An outage is told once, and once that it is over; what fails now and then under load is no news."""

import time
from collections.abc import Callable

LASTING_S = 5.0


class Outage:
    def __init__(self, *, lasting_s: float = LASTING_S, clock: Callable[[], float] = time.monotonic) -> None:
        """`lasting_s`: for so long nothing works until it is told, and all does until it is over."""
        self._lasting_s = lasting_s
        self._clock = clock
        self._since_s: float | None = None
        self._failed_s = 0.0
        self._is_told = False

    def failed(self) -> bool:
        """Whether it is to be told now that it has begun."""
        self._failed_s = now_s = self._clock()
        if self._since_s is None:
            self._since_s = now_s
        if self._is_told or now_s - self._since_s < self._lasting_s:
            return False
        self._is_told = True
        return True

    def worked(self) -> bool:
        """Whether it is to be told now that it is over."""
        if not self._is_told:
            self._since_s = None
        elif self._clock() - self._failed_s >= self._lasting_s:
            self._since_s, self._is_told = None, False
            return True
        return False

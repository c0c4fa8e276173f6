"""How far a station's clock is off, by the times that it writes.

What is told late looks as if the clock were behind, and never as if it were ahead. So of all that is told within a
while the largest difference counts: something in it was told at once.
"""

from datetime import datetime, timedelta
from typing import Final

_WINDOW: Final = timedelta(minutes=5)
_FIRST_WINDOW: Final = timedelta(seconds=30)
_ENOUGH: Final = 3


class ClockWatch:
    """Of one socket. Bounded: it remembers one number."""

    __slots__ = ("_count", "_largest_s", "_until")

    def __init__(self) -> None:
        self._largest_s = 0.0
        self._count = 0
        self._until: datetime | None = None

    def note(self, written: datetime, received_at: datetime) -> None:
        difference_s = (written - received_at).total_seconds()
        self._largest_s = difference_s if self._count == 0 else max(difference_s, self._largest_s)
        self._count += 1
        if self._until is None:
            self._until = received_at + _FIRST_WINDOW

    def due(self, now: datetime) -> float | None:
        """The seconds that it is ahead, once every while, and a new while begins."""
        if self._until is None or now < self._until or self._count < _ENOUGH:
            return None
        self._count = 0
        self._until = now + _WINDOW
        return round(self._largest_s, 1)

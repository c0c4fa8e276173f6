"""What a station last said of its plugs, so that a status which changes nothing costs no statement."""

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Final

_REMEMBERED: Final = 64  # plugs of one station
_PASSED_ON_EVERY: Final = timedelta(hours=1)  # what is repeated is a sign of life too


class Plugs:
    """Of one socket. A boot makes it forget, and a charge that begins."""

    __slots__ = ("_said",)

    def __init__(self) -> None:
        self._said: dict[Hashable, tuple[Hashable, datetime, datetime]] = {}

    def repeats(self, plug: Hashable, said: Hashable, at: datetime, *, received_at: datetime) -> bool:
        """Whether this is what was said last: a newer time of it says nothing new, nor does an older one."""
        known = self._said.get(plug)
        return known is not None and known[0] == said and received_at < known[2] + _PASSED_ON_EVERY

    def heard(self, plug: Hashable, said: Hashable, at: datetime, *, received_at: datetime) -> None:
        """Once it is kept. Something older did not count, unless what is known is from the future."""
        known = self._said.get(plug)
        if known is not None and at < known[1] <= received_at:
            return
        if known is not None or len(self._said) < _REMEMBERED:
            self._said[plug] = (said, at, received_at)

    def forget(self) -> None:
        self._said.clear()

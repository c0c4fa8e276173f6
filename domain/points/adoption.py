from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.points.readings import Owner
from domain.work import Work


class Adoption(Protocol):
    """Whom a new point belongs to by its address, where whoever hands in its first reading does not say."""

    async def owners(self, work: Work, addresses: Sequence[str]) -> Mapping[str, Owner]:
        """By address, without those that nobody takes."""
        ...

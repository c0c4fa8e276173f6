"""What one listener knows of the inputs of virtual points, and so of them."""

import re
from collections.abc import Iterable, Iterator

from domain.expressions import regex
from domain.points import LatestReading, PointUpdate
from domain.virtual_points.composition import Composite, Known


class Tally:
    """It hears the readings of all points that may be inputs, and says what they make of the virtual points."""

    def __init__(self, composites: Iterable[Composite], latest: Known) -> None:
        self._composites = {composite.address: composite for composite in composites}
        self._latest: dict[str, LatestReading | PointUpdate] = dict(latest)
        self._patterns = [
            (re.compile(regex(glob)), found, composite)
            for composite in self._composites.values()
            for glob, found in composite.matches.items()
        ]
        self._made_of: dict[str, list[str]] = {}  # of each point that was heard of, the virtual points made of it
        for composite in self._composites.values():
            for address in composite.inputs:
                self._made_of.setdefault(address, []).append(composite.address)

    def all(self) -> list[PointUpdate]:
        """Those that have a reading."""
        return list(self._made(self._composites))

    def heard(self, updates: Iterable[PointUpdate]) -> list[PointUpdate]:
        """Those of which an input is among what was read, as they are after all of it."""
        if not self._composites:
            return []
        touched: dict[str, None] = {}
        for update in updates:
            if update.address not in self._made_of:
                self._meet(update)
            made = self._made_of.get(update.address)
            if made:
                self._latest[update.address] = update
                touched |= dict.fromkeys(made)
        return list(self._made(touched))

    def _meet(self, update: PointUpdate) -> None:
        """A point that was not there before may be one of a pattern's; those that are texts are not."""
        if update.value is None and update.text is not None:
            return
        made = self._made_of[update.address] = []
        for pattern, found, composite in self._patterns:
            if pattern.search(update.address):
                found.append(update.address)
                composite.inputs.setdefault(update.address, False)
                if composite.address not in made:
                    made.append(composite.address)

    def _made(self, addresses: Iterable[str]) -> Iterator[PointUpdate]:
        for address in addresses:
            reading = self._composites[address].reading(self._latest)
            if reading is not None:
                yield PointUpdate(address, reading.at, reading.value, reading.text, reading.quality)

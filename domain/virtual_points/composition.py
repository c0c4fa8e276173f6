"""What virtual points come down to: points that are measured, and in which order to compute what is made of them."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import points
from domain.actor import Permission
from domain.errors import LimitExceeded
from domain.expressions import Column, Expression, Shape, evaluated, parsed, regex
from domain.points import HOLD, LatestReading, Measured, PointUpdate, Quality
from domain.work import Work

INPUTS_MAX = 20_000

Definitions = Mapping[str, Expression]  # by address
Known = Mapping[str, LatestReading | PointUpdate]  # by address


@dataclass(frozen=True, slots=True)
class Composite:
    """A virtual point. Its `inputs` are measured, all of them; its `steps` are in the order of computation.

    A point that is named has to have a value; one that a pattern matches counts from its first reading on.
    """

    address: str
    point_id: UUID
    steps: Sequence[tuple[str, Expression]]
    inputs: dict[str, bool]  # by address whether it is named
    matches: dict[str, list[str]]  # those of each pattern

    @property
    def shape(self) -> Shape:
        return max(expression.shape for _, expression in self.steps)

    def values(self, columns: Mapping[str, Column], *, rows: int, since: Mapping[str, int]) -> Column:
        """Its column, made of those of its inputs; an input without a column has no values.

        `since` is the row from which on an input was there, of those that were not from the first.
        """
        known: dict[str, Column] = dict.fromkeys(self.inputs, [None] * rows)
        known |= columns
        for address, expression in self.steps:
            known[address] = evaluated(expression, known, self.matches, rows=rows, since=since)
        return known[self.address]

    def reading(self, latest: Known) -> LatestReading | None:
        """As of the newest reading of its inputs; an older one counts for as long as values stand, see `HOLD`.

        BAD where nothing comes out, UNCERTAIN where an input is, or is missing and something stood in for it.
        """
        read = {address: latest[address] for address in self.inputs if address in latest}
        if not read:
            return None
        at = max(reading.at for reading in read.values())
        standing = {address: reading for address, reading in read.items() if _stands(reading, at)}
        absent = {address: 1 for address in self.inputs if address not in read}
        (value,) = self.values(
            {address: [reading.value] for address, reading in standing.items()}, rows=1, since=absent
        )
        missing = any(named or address in read for address, named in self.inputs.items() if address not in standing)
        sure = not missing and all(one.quality is Quality.GOOD for one in standing.values())
        quality = Quality.BAD if value is None else Quality.GOOD if sure else Quality.UNCERTAIN
        return LatestReading(self.point_id, at, value, None, quality)


@dataclass(frozen=True, slots=True)
class Composed:
    """Virtual points, and the measured ones that they are made of, by address."""

    composites: Mapping[str, Composite]
    measured: Mapping[str, Measured]

    def by_address(self, latest: Mapping[UUID, LatestReading]) -> dict[str, LatestReading]:
        """What was read of the measured ones."""
        ids = {address: one.point_id for address, one in self.measured.items()}
        return {address: latest[point_id] for address, point_id in ids.items() if point_id in latest}


async def composed(work: Work, addresses: Collection[str] | None = None) -> Composed:
    """Of these addresses those that are virtual points; all of the tenant's where none are named."""
    work.require(Permission.VIEW)
    virtual = {point.address: point for point in await points.virtual(work)}
    wanted = virtual.keys() if addresses is None else virtual.keys() & set(addresses)
    if not wanted:
        return Composed({}, {})
    definitions = {address: parsed(point.expression) for address, point in virtual.items()}
    orders = {address: list(order(address, definitions)) for address in sorted(wanted)}
    expressions = [definitions[one] for steps in orders.values() for one in steps]
    named = {reference.address for one in expressions for reference in one.references} - definitions.keys()
    globs = {pattern.glob for one in expressions for pattern in one.patterns}
    measured = {one.address: one for one in await points.measured(work, named, {regex(glob) for glob in globs})}
    if len(measured) > INPUTS_MAX:
        raise LimitExceeded(f"virtual points that are made of more than {INPUTS_MAX} others")
    matches = {glob: list(matching(glob, measured)) for glob in globs}
    return Composed(
        {
            address: _composite(virtual[address], [(one, definitions[one]) for one in steps], matches)
            for address, steps in orders.items()
        },
        measured,
    )


def order(address: str, definitions: Definitions, found: dict[str, None] | None = None) -> dict[str, None]:
    """The virtual points that one is made of, each after those that it is made of itself, and then that one."""
    found = {} if found is None else found
    for reference in definitions[address].references:
        if reference.address in definitions and reference.address not in found:
            order(reference.address, definitions, found)
    found[address] = None
    return found


def matching(glob: str, addresses: Collection[str]) -> Iterator[str]:
    whole = re.compile(regex(glob))
    return (address for address in addresses if whole.search(address))


def _composite(
    point: points.Virtual, steps: Sequence[tuple[str, Expression]], matches: Mapping[str, Sequence[str]]
) -> Composite:
    own = {pattern.glob: list(matches[pattern.glob]) for _, one in steps for pattern in one.patterns}
    virtual = {address for address, _ in steps}
    named = [reference.address for _, one in steps for reference in one.references if reference.address not in virtual]
    inputs = dict.fromkeys((address for found in own.values() for address in found), False) | dict.fromkeys(named, True)
    return Composite(point.address, point.point_id, steps, inputs, own)


def _stands(reading: LatestReading | PointUpdate, at: datetime) -> bool:
    return reading.value is not None and reading.quality is not Quality.BAD and at - reading.at < HOLD

"""How readings travel on the bus: a batch of one owner is one message, since thousands of points change at once.

A waiting message is replaced by a newer one about exactly the same points, which is what chargers and meters send
time and again. Batches that overlap in part all arrive, and may do so out of order between processes: whoever
listens takes them through `Updates`, which lets nothing older pass.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, repeat
from operator import attrgetter
from typing import Any, NamedTuple, Self
from uuid import UUID

import orjson

from domain.bus import Message, Topic
from domain.points.columns import Columns, Moments, are_all
from domain.points.known import Roster, digest
from domain.points.latest import LatestReading, LatestReadings
from domain.points.models import Point
from domain.points.readings import Quality

KIND = "reading"
UNOWNED = "unowned"
READINGS_PER_MESSAGE = 1_000
_QUALITIES = {quality.value: quality for quality in Quality}  # to call the class costs five times as much


class Live(NamedTuple):
    """The newest reading of a point in a batch."""

    address: str
    owner_id: UUID | None
    latest: LatestReading


class Lives(Columns[Live]):
    """By column: addresses, owners, `LatestReadings`; with their roster, where they are one batch."""

    make = Live._make

    def __init__(self, *columns: Any, roster: Roster | None = None) -> None:
        super().__init__(*columns)
        self.roster = roster

    @property
    def is_one_message(self) -> bool:
        return len(self) <= READINGS_PER_MESSAGE and self.roster is not None and len(self.roster.owners) == 1

    @property
    def latest(self) -> LatestReadings:
        latest: LatestReadings = self.columns[2]
        return latest

    @classmethod
    def of(cls, items: Sequence[Live]) -> Self:
        if isinstance(items, cls) or not items:
            return items if isinstance(items, cls) else cls()
        addresses, owner_ids, latest = zip(*items, strict=True)
        return cls(addresses, owner_ids, LatestReadings.of(latest))


class PointUpdate(NamedTuple):
    """A point has a new latest reading."""

    address: str
    at: datetime
    value: float | None
    text: str | None
    quality: Quality


def topic(tenant_id: UUID, owner_id: UUID | None) -> Topic:
    """Where the readings of one owner's points are told; of all points that have no owner, where there is none."""
    return Topic(tenant_id, KIND, UNOWNED if owner_id is None else str(owner_id))


def topics(tenant_id: UUID, points: Iterable[Point]) -> list[Topic]:
    """What to listen to for these points."""
    return list(dict.fromkeys(topic(tenant_id, point.owner_id) for point in points))


def every_topic(tenant_id: UUID) -> Topic:
    """The readings of all points of a tenant."""
    return Topic(tenant_id, KIND)


def messages(tenant_id: UUID, readings: Sequence[Live]) -> list[Message]:
    if isinstance(readings, Lives) and readings.is_one_message:
        return [_message(topic(tenant_id, readings.columns[1][0]), readings)]
    by_owner: dict[UUID | None, list[Live]] = {}
    for owner_id, group in groupby(readings, key=attrgetter("owner_id")):
        by_owner.setdefault(owner_id, []).extend(group)
    return [
        _message(topic(tenant_id, owner_id), Lives.of(batch[start : start + READINGS_PER_MESSAGE]))
        for owner_id, batch in by_owner.items()
        for start in range(0, len(batch), READINGS_PER_MESSAGE)
    ]


def _message(heard_on: Topic, readings: Lives) -> Message:
    """Columns, since most of what is told of many readings is the same: then one stands for all."""
    addresses, _, latest = readings.columns
    _, moments, values, texts, qualities = latest.columns
    roster = readings.roster
    columns = (
        addresses if roster is None else roster.told,
        _told(moments),
        values.tolist() if isinstance(values, array) else values,
        None if are_all(texts, None) else texts,
        qualities[0] if are_all(qualities, qualities[0]) else qualities,
    )
    about = digest(addresses) if roster is None else roster.digest
    return Message(heard_on, orjson.dumps(columns), conflate=about)


def _told(moments: Moments) -> datetime | list[datetime]:
    times = moments.times[:1] if moments.is_one else moments.times
    told = [at if at.tzinfo is UTC else at.astimezone(UTC) for at in times]
    return told[0] if moments.is_one else told


class Updates:
    """One listener's view: the points it asked for (None: all), each never older than what it saw before."""

    def __init__(self, addresses: Collection[str] | None = None) -> None:
        self._addresses = None if addresses is None else frozenset(addresses)
        self._seen: dict[str, datetime] = {}

    def widen(self) -> None:
        """From now on it asks for all."""
        self._addresses = None

    def read(self, message: Message) -> Iterator[PointUpdate]:
        """The updates of a message from the bus that are news to this listener."""
        for address, at, value, text, quality in _items(message):
            if self._addresses is None or address in self._addresses:
                update = PointUpdate(address, datetime.fromisoformat(at), value, text, _QUALITIES[quality])
                if self.saw(update):
                    yield update

    def saw(self, update: PointUpdate) -> bool:
        """Whether it is no older than what was seen of its point; the first look is told here too."""
        before = self._seen.get(update.address)
        if before is not None and update.at < before:
            return False
        self._seen[update.address] = update.at
        return True


def _items(message: Message) -> Iterator[tuple[Any, ...]]:
    addresses, ats, values, texts, qualities = orjson.loads(message.payload)
    if isinstance(ats, str):
        ats = repeat(ats, len(addresses))
    if isinstance(qualities, str):
        qualities = repeat(qualities, len(addresses))
    return zip(addresses, ats, values, texts or repeat(None, len(addresses)), qualities, strict=True)

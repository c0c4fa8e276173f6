"""How readings travel on the bus: a batch of one owner is one message, since thousands of points change at once.

A waiting message is replaced by a newer one about exactly the same points, which is what chargers and meters send
time and again. Batches that overlap in part all arrive, and may do so out of order between processes: whoever
listens takes them through `Updates`, which lets nothing older pass.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby, repeat
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from domain.bus import Message, Topic
from domain.points.latest import LatestReading
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


def messages(tenant_id: UUID, readings: Iterable[Live]) -> list[Message]:
    by_owner: dict[UUID | None, list[Live]] = {}
    for owner_id, group in groupby(readings, key=attrgetter("owner_id")):
        by_owner.setdefault(owner_id, []).extend(group)
    return [
        _message(topic(tenant_id, owner_id), batch[start : start + READINGS_PER_MESSAGE])
        for owner_id, batch in by_owner.items()
        for start in range(0, len(batch), READINGS_PER_MESSAGE)
    ]


def _message(heard_on: Topic, readings: list[Live]) -> Message:
    """Columns, since most of what is told of many readings is the same."""
    addresses = [reading.address for reading in readings]
    latest = [reading.latest for reading in readings]
    texts = [one.text for one in latest]
    qualities = [one.quality for one in latest]
    columns = (
        addresses,
        [one.at if one.at.tzinfo is UTC else one.at.astimezone(UTC) for one in latest],
        [one.value for one in latest],
        None if texts.count(None) == len(texts) else texts,
        qualities[0] if qualities.count(qualities[0]) == len(qualities) else qualities,
    )
    about = blake2b("\n".join(sorted(addresses)).encode(), digest_size=12).hexdigest()
    return Message(heard_on, orjson.dumps(columns), conflate=about)


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
    if isinstance(qualities, str):
        qualities = repeat(qualities, len(addresses))
    return zip(addresses, ats, values, texts or repeat(None, len(addresses)), qualities, strict=True)

"""How entries travel on the bus: those that one process kept of one station at a time are one message.

They are kept in the table, so the bus keeps none of them: a message has a `conflate` of its own, which no other has.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import orjson

from domain.bus import Bus, Message, Topic
from domain.station_log.models import Direction, Entry, EntryKind

KIND = "station_log"
FOLLOWED = "station_log_followed"


def topic(tenant_id: UUID, station_id: UUID) -> Topic:
    return Topic(tenant_id, KIND, str(station_id))


def topics(tenant_id: UUID, station_id: UUID) -> list[Topic]:
    """What to listen to. On the second nothing is ever told: that somebody listens there says that it is worth asking
    of which stations."""
    return [topic(tenant_id, station_id), Topic(tenant_id, FOLLOWED)]


async def tell(bus: Bus, tenant_id: UUID, entries: Iterable[Entry]) -> None:
    """To those who follow, where anybody does. Raises `Unavailable`."""
    if not await bus.listened_to([Topic(tenant_id, FOLLOWED)]):
        return
    by_topic: dict[Topic, list[Entry]] = {}
    for entry in entries:
        by_topic.setdefault(topic(tenant_id, entry.station_id), []).append(entry)
    followed = await bus.listened_to(list(by_topic))
    if followed:
        await bus.publish([_message(one, by_topic[one]) for one in by_topic if one in followed])


def read(message: Message) -> Iterator[Entry]:
    for id_, station_id, at, direction, kind, *rest in orjson.loads(message.payload):
        yield Entry(
            UUID(id_), UUID(station_id), datetime.fromisoformat(at), Direction(direction), EntryKind(kind), *rest
        )


def _message(heard_on: Topic, entries: Sequence[Entry]) -> Message:
    return Message(
        heard_on, orjson.dumps([tuple(entry) for entry in entries], default=str), conflate=str(entries[0].id)
    )

"""Facts: few, durable, typed, in the past tense.

A slice declares its own in `domain/<slice>/events.py`. Declaring one registers it by name, which is how the
relay finds it again; a name is therefore unique and is never reused for another shape.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Self
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from domain.bus import Message, Topic

_REGISTER: dict[str, type["Event"]] = {}
_KINDS: set[str] = set()


class UnknownEvent(Exception):
    """Told by a process of another version, which has events that this one has not, or other fields of them."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Subclasses are frozen keyword-only dataclasses of JSON-able fields.

    `kind` is the topic it is told on; `key`, where it names a field, the narrower topic (such as a station's id).
    """

    kind: ClassVar[str]
    key: ClassVar[str | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__name__ in _REGISTER:
            raise TypeError(f"two events are called {cls.__name__}")
        _REGISTER[cls.__name__] = cls
        if hasattr(cls, "kind"):
            _KINDS.add(cls.kind)

    def topic(self, tenant_id: UUID) -> Topic:
        return Topic(tenant_id, self.kind, None if self.key is None else str(getattr(self, self.key)))


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event as it travels: `id` makes reactions idempotent, `at` is the clock of the work that emitted it."""

    id: UUID
    tenant_id: UUID
    at: datetime
    event: Event

    def encode(self) -> bytes:
        return orjson.dumps(
            {
                "id": self.id,
                "tenant_id": self.tenant_id,
                "at": self.at,
                "type": type(self.event).__name__,
                "event": asdict(self.event),
            },
            default=str,  # asyncpg's UUIDs are of a class of its own
        )

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Raises `UnknownEvent`."""
        raw = orjson.loads(payload)
        try:
            return cls(
                id=UUID(raw["id"]),
                tenant_id=UUID(raw["tenant_id"]),
                at=datetime.fromisoformat(raw["at"]),
                event=_adapter(raw["type"]).validate_python(raw["event"], strict=False),
            )
        except (KeyError, ValueError) as error:
            raise UnknownEvent(f"{raw.get('type')} is not known here") from error

    def message(self) -> Message:
        return Message(self.event.topic(self.tenant_id), self.encode())


def is_kind_of_facts(kind: str) -> bool:
    """Whether events are told on such a topic, and nothing that is conflated."""
    return kind in _KINDS


def event_type(name: str) -> type[Event]:
    return _REGISTER[name]


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_REGISTER[name])

"""The bus is for eyes: news of a tenant, delivered at most once, bounded, and honest about gaps.

What must not be lost goes through the outbox instead.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from domain.errors import Invalid

_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_ID_PART_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Topic:
    """Tenant + kind (+ key). Built from an actor's tenant, so nobody can name another's.

    News told with a key is heard on the kind alone too. A kind has no colon in it.
    """

    tenant_id: UUID
    kind: str
    key: str | None = None

    @property
    def channel(self) -> str:
        base = f"{self.tenant_id}:{self.kind}"
        return base if self.key is None else f"{base}:{self.key}"


@dataclass(frozen=True, slots=True)
class Message:
    """One piece of news. Where `conflate` is set, a waiting older message of the same value is replaced by it.

    What has no `conflate` is a fact. It is kept for a while, and whoever hears it learns its `id`: where it stands
    among the facts of its tenant and kind.
    """

    topic: Topic
    payload: bytes
    conflate: str | None = None
    id: str | None = field(default=None, compare=False)


def place(fact_id: str) -> tuple[int, int]:
    """Of a fact among those of its tenant and kind; what was told later has a greater one."""
    parts = _ID.fullmatch(fact_id)
    found = (int(parts[1]), int(parts[2])) if parts else (-1, -1)
    if not 0 <= max(found) <= _ID_PART_MAX:
        raise Invalid(f"after {fact_id!r} is no id of an event", field="after")
    return found


@dataclass(frozen=True, slots=True)
class Gap:
    """News may have been missed: look again."""


class Overflowed(Exception):
    """The listener was too slow for its bounded queue; what it missed is gone."""


class Ear(Protocol):
    """A bounded queue on one or more topics, for one reader.

    Iterating ends with `Overflowed` when it was too slow, and without an error when the bus stops. At most one `Gap`
    waits at a time; a message whose topic and `conflate` wait already takes the older one's place. A lost line costs
    facts nothing as long as they are kept; where they are not, and for whatever is conflated, there is a `Gap`.
    """

    def __aiter__(self) -> AsyncIterator[Message | Gap]: ...


class Bus(Protocol):
    """Carries messages between all processes of the cluster."""

    async def publish(self, messages: list[Message]) -> None:
        """Sent in order, which is kept within a topic. Raises `domain.errors.Unavailable` when the line is down."""
        ...

    def listen(self, *topics: Topic, limit: int = 256, after: str | None = None) -> AbstractAsyncContextManager[Ear]:
        """On entering, the subscription exists: whatever is published afterwards is heard once, or as a `Gap`.

        With `after`, the id of a fact of the first topic's kind, what came after that is heard first, as by `replay`,
        and then the news, each fact once. Raises `domain.errors.Unavailable` when the subscription is not confirmed
        in time, and `Invalid` for what is no id.
        """
        ...

    def replay(self, *topics: Topic, after: str) -> AsyncIterator[Message | Gap]:
        """The facts of these topics (of one kind) that came after the one with that id, in order.

        Where they are not all kept any more (nor the one with that id), it ends with a `Gap`. Raises `Invalid` for
        what is no id, and `Unavailable`.
        """
        ...

    async def listened_to(self, topics: Sequence[Topic]) -> set[Topic]:
        """Those of them that somebody in the cluster listens to just now, or did a moment ago. Raises `Unavailable`."""
        ...

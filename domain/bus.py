"""The bus is for eyes: news of a tenant, delivered at most once, bounded, and honest about gaps.

What must not be lost goes through the outbox instead.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


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
    """One piece of news. Where `conflate` is set, a waiting older message of the same value is replaced by it."""

    topic: Topic
    payload: bytes
    conflate: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """News may have been missed (the line to Redis was down): look again."""


class Overflowed(Exception):
    """The listener was too slow for its bounded queue; what it missed is gone."""


class Ear(Protocol):
    """A bounded queue on one or more topics, for one reader.

    Iterating ends with `Overflowed` when it was too slow, and without an error when the bus stops. At most one `Gap`
    waits at a time; a message whose topic and `conflate` wait already takes the older one's place.
    """

    def __aiter__(self) -> AsyncIterator[Message | Gap]: ...


class Bus(Protocol):
    """Carries messages between all processes of the cluster."""

    async def publish(self, messages: list[Message]) -> None:
        """Sent in order, which is kept within a topic. Raises `domain.errors.Unavailable` when the line is down."""
        ...

    def listen(self, *topics: Topic, limit: int = 256) -> AbstractAsyncContextManager[Ear]:
        """On entering, the subscription exists: whatever is published afterwards is heard once, or as a `Gap`.

        Raises `domain.errors.Unavailable` when that is not confirmed in time.
        """
        ...

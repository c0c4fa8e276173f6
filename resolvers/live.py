"""Listen, then look, then stream: the only subscription machinery.

The subscription is registered before the first look, so what changes in between is heard afterwards. Whoever names the
event that they have heard last is told what came after it instead of the first look. After a gap in the news it looks
again; who is too slow for a bounded queue is told to subscribe again (`RESYNC`), never left behind in silence.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from prometheus_client import Counter

from domain.actor import Actor
from domain.bus import Bus, Gap, Message, Overflowed, Topic, place
from domain.credentials import CredentialRevoked
from domain.errors import Resync, Unauthenticated
from domain.events import UnknownEvent
from resolvers.context import Context, Part

Item_co = TypeVar("Item_co", covariant=True)
Item = TypeVar("Item")

_TIME_MAX_S = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()  # who names a later event has heard of none

UNKNOWN = Counter("voltgraph_live_unknown_events", "Events of other versions that no subscriber here could be told of")


class Watch(Protocol[Item_co]):
    """One subscription's view of the news. It holds no Work while an item is on its way to the reader."""

    def look(self) -> AsyncGenerator[Item_co, None]:
        """What is true now. After a gap also what has ended since: it knows what it has shown."""
        ...

    def resume(self, since: datetime | None) -> Awaitable[Iterable[Item_co]]:
        """In place of a look: what has changed since that is no fact; without a time nothing. It knows afterwards what
        it would know of a look."""
        ...

    def translate(self, news: Message) -> Awaitable[Iterable[Item_co]]:
        """What a piece of news means to this listener."""
        ...


def live(
    context: Context, topics: Sequence[Topic], watch: Watch[Item], *, after: str | None = None
) -> AsyncGenerator[Item, None]:
    """`after` is the id of an event that is told on the first of the topics. Raises `Invalid` where it is none.

    Ends when the caller's credential is revoked.
    """
    after = None if context.part is Part.NEWS else context.after or after
    if after is not None:
        place(after)
    return _told(context, topics, watch, after)


async def _told(
    context: Context, topics: Sequence[Topic], watch: Watch[Item], after: str | None
) -> AsyncGenerator[Item, None]:
    """One generator for all, since each more is gone through for each piece of news."""
    try:
        async with _news(context, topics, after) as news:
            if context.part is Part.NEWS:
                await watch.resume(None)
            else:
                async with aclosing(_first(watch, after)) as looked:
                    async for item in looked:
                        yield item
            async for one in news:
                if isinstance(one, Gap):
                    async with aclosing(_first(watch, None)) as looked:
                        async for item in looked:
                            yield item
                elif one.topic.kind == CredentialRevoked.kind:
                    raise Unauthenticated("the credential was revoked")
                else:
                    try:
                        items = await watch.translate(one)
                    except UnknownEvent:
                        UNKNOWN.inc()
                        continue
                    for item in items:
                        yield item
    except Overflowed:
        raise Resync("news came faster than it was read, and some is lost: subscribe again") from None


@asynccontextmanager
async def _news(
    context: Context, topics: Sequence[Topic], after: str | None
) -> AsyncIterator[AsyncIterable[Message | Gap]]:
    """Heard from before the first look on. Whoever is to join a group hears there what is new, and here what it has
    missed."""
    bus = context.port(Bus)  # type: ignore[type-abstract]
    if context.part is Part.JOIN:
        facts = [topic for topic in topics if topic.kind == topics[0].kind]
        yield _nothing() if after is None else bus.replay(*facts, after=after)
        return
    revocation = [] if context.part is Part.NEWS else _revocation(context.caller)
    async with bus.listen(*topics, *revocation, after=after) as ear:
        context.listening()
        yield ear


async def _first(watch: Watch[Item], after: str | None) -> AsyncGenerator[Item, None]:
    if after is not None:
        for item in await watch.resume(_time_of(after)):
            yield item
        return
    async with aclosing(watch.look()) as items:
        async for item in items:
            yield item


async def _nothing() -> AsyncGenerator[Message | Gap, None]:
    return
    yield


def _time_of(fact_id: str) -> datetime:
    """When it was told, by Redis's clock."""
    return datetime.fromtimestamp(min(place(fact_id)[0] / 1000, _TIME_MAX_S), UTC)


def _revocation(caller: Actor) -> list[Topic]:
    """What is told of the credential that the caller has shown."""
    return [] if caller.id is None else [Topic(caller.tenant_id, CredentialRevoked.kind, str(caller.id))]

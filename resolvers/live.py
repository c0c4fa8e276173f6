"""Listen, then look, then stream: the only subscription machinery.

The subscription is registered before the first look, so what changes in between is heard afterwards. After a gap in
the news it looks again; who is too slow for a bounded queue is told to subscribe again (`RESYNC`), never left behind
in silence.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TypeVar

from domain.actor import Actor
from domain.bus import Bus, Gap, Message, Overflowed, Topic
from domain.credentials import CredentialRevoked
from domain.errors import Resync, Unauthenticated
from resolvers.context import Context

Item = TypeVar("Item")


async def live(
    context: Context,
    topics: Sequence[Topic],
    *,
    look: Callable[[], AsyncGenerator[Item, None]],
    translate: Callable[[Message], Awaitable[Iterable[Item]]],
) -> AsyncGenerator[Item, None]:
    """`look` tells what is true now, `translate` what a piece of news means to this listener.

    `look` is repeated after a gap, when it must also tell of what has ended since: it knows what it has shown.
    Neither holds a Work while an item is on its way to the reader. It ends when the caller's credential is revoked.
    """
    async with context.port(Bus).listen(*topics, *_revocation(context.caller)) as ear:  # type: ignore[type-abstract]
        async with aclosing(look()) as seen:
            async for item in seen:
                yield item
        try:
            async for news in ear:
                if isinstance(news, Gap):
                    async with aclosing(look()) as seen:
                        async for item in seen:
                            yield item
                elif news.topic.kind == CredentialRevoked.kind:
                    raise Unauthenticated("the credential was revoked")
                else:
                    for item in await translate(news):
                        yield item
        except Overflowed:
            raise Resync("news came faster than it was read, and some is lost: subscribe again") from None


def _revocation(caller: Actor) -> list[Topic]:
    """What is told of the credential that the caller has shown."""
    return [] if caller.id is None else [Topic(caller.tenant_id, CredentialRevoked.kind, str(caller.id))]

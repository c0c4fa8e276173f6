"""Listen, then look, then stream: the only subscription machinery.

The subscription is registered before the first look, so what changes in between is heard afterwards. After a gap in
the news it looks again; who is too slow for a bounded queue is told to subscribe again (`RESYNC`), never left behind
in silence.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from domain.bus import Bus, Gap, Message, Overflowed, Topic
from domain.errors import Resync
from domain.work import Work
from resolvers.context import Context

Item = TypeVar("Item")


async def live(
    context: Context,
    topics: Sequence[Topic],
    *,
    look: Callable[[Work], Awaitable[Sequence[Item]]],
    translate: Callable[[Message], Awaitable[Item | None]],
) -> AsyncGenerator[Item, None]:
    """`look` answers what is true now, `translate` what a piece of news means here (None: nothing).

    `look` is repeated after a gap, when it must also tell of what has ended since: it knows what it has shown.
    """
    async with context.port(Bus).listen(*topics) as ear:  # type: ignore[type-abstract]
        for item in await _looked(context, look):
            yield item
        try:
            async for news in ear:
                if isinstance(news, Gap):
                    for item in await _looked(context, look):
                        yield item
                elif (translated := await translate(news)) is not None:
                    yield translated
        except Overflowed:
            raise Resync("news came faster than it was read, and some is lost: subscribe again") from None


async def _looked(context: Context, look: Callable[[Work], Awaitable[Sequence[Item]]]) -> Sequence[Item]:
    async with context.read() as work:
        return await look(work)

"""Word to all processes that a point is not what it was, so that none goes on by what it remembers."""

import asyncio
from collections.abc import Iterable
from hashlib import blake2b
from uuid import UUID

import structlog

from domain.bus import Bus, Gap, Message, Overflowed, Topic
from domain.errors import Unavailable
from domain.points.known import DIRECTORY
from domain.work import Workplace

log = structlog.get_logger()

CHANGES = Topic(UUID(int=0), "point_changed")  # of the whole house: a process remembers points of every tenant
ADDRESSES_PER_MESSAGE = 1_000
_PAUSE_S = 1.0


def changed(tenant_id: UUID, addresses: Iterable[str]) -> list[Message]:
    """An address has no line break."""
    ordered = sorted(addresses)
    return [
        _message("\n".join([str(tenant_id), *ordered[start : start + ADDRESSES_PER_MESSAGE]]).encode())
        for start in range(0, len(ordered), ADDRESSES_PER_MESSAGE)
    ]


async def heed_changes(workplace: Workplace) -> None:
    """Forgets points as they change, and all of them when it may have missed something; until it is cancelled."""
    bus = workplace.port(Bus)  # type: ignore[type-abstract]
    while True:
        try:
            async with bus.listen(CHANGES) as ear:
                DIRECTORY.clear()
                async for news in ear:
                    _hear(news)
            return  # the bus has stopped
        except (Unavailable, Overflowed) as error:
            log.info("changes of points are not heard", reason=str(error) or type(error).__name__)
        await asyncio.sleep(_PAUSE_S)


def _hear(news: Message | Gap) -> None:
    if isinstance(news, Gap):
        DIRECTORY.clear()
        return
    tenant_id, *addresses = news.payload.decode().split("\n")
    known = DIRECTORY.of(UUID(tenant_id))
    for address in addresses:
        known.forget(address)


def _message(payload: bytes) -> Message:
    return Message(CHANGES, payload, conflate=blake2b(payload, digest_size=12).hexdigest())

"""The backend that broadcaster needs on redis-py 8: first subscribed, then ready, and never silently deaf."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

from broadcaster import BroadcastBackend, Event

from gateways.redis.line import PATIENCE, Command, Listener, Patience, Publisher

INTAKE = 4_096  # messages between the socket and `Broadcast`; when it is full, the socket waits


class RedisBroadcast(BroadcastBackend):
    """For `Broadcast(backend=…)`. The URL may be `redis://…`, `rediss://…` or `unix:///path`.

    Messages are bytes and stay bytes; broadcaster's own annotation says `str`, but it only hands them on.
    """

    def __init__(
        self,
        url: str,
        *,
        on_gap: Callable[[], None] = lambda: None,
        on_loss: Callable[[], None] = lambda: None,
        intake: int = INTAKE,
        patience: Patience = PATIENCE,
    ) -> None:
        self._intake: asyncio.Queue[Event] = asyncio.Queue(intake)
        self._listener = Listener(url, on_message=self._take_in, on_gap=on_gap, on_loss=on_loss, patience=patience)
        self._publisher = Publisher(url, patience=patience)

    @property
    def up(self) -> bool:
        return self._listener.up

    async def connect(self) -> None:
        await self._listener.start()

    async def disconnect(self) -> None:
        await self._listener.stop()
        await self._publisher.stop()

    async def subscribe(self, group: str) -> None:
        """Raises `Unavailable` when the server does not confirm in time."""
        await self._listener.subscribe(group)

    async def unsubscribe(self, group: str) -> None:
        self._listener.unsubscribe(group)

    async def publish(self, channel: str, message: Any) -> None:
        await self._publisher.send([(channel, message)])

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """In their order, in one round trip, on the line on which everything is published."""
        return await self._publisher.run(commands)

    def next_published(self) -> Coroutine[Any, Any, Event]:
        return self._intake.get()

    def _take_in(self, channel: str, message: bytes) -> Coroutine[Any, Any, None]:
        return self._intake.put(Event(channel, cast("str", message)))

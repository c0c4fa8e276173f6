"""Waiting for what PostgreSQL tells nobody."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.005)

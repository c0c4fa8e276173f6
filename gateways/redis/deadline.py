"""How long an answer is waited for, in time that the loop had: while it lags nobody could read one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_STEPS: Final = 10


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Raises `TimeoutError`. It is counted in steps, and one that comes late counts as one."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        timer: asyncio.TimerHandle

        def step(left: int) -> None:
            nonlocal timer
            if left:
                timer = loop.call_later(seconds / _STEPS, step, left - 1)
            else:
                limit.reschedule(loop.time())

        timer = loop.call_later(seconds / _STEPS, step, _STEPS - 1)
        try:
            yield
        finally:
            timer.cancel()

"""How fast one station's messages are taken in: a bucket of tokens in which nobody drowns, one only waits."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Haste:
    """Whether anything urgent waits; it is on while there is."""

    def __init__(self) -> None:
        self._urgent = 0
        self._on = asyncio.Event()

    def more(self, *, urgent: bool) -> None:
        if urgent:
            self._urgent += 1
            self._on.set()

    def fewer(self, *, urgent: bool) -> None:
        if urgent:
            self._urgent -= 1
            if self._urgent == 0:
                self._on.clear()

    async def begun(self) -> None:
        await self._on.wait()


class Pace:
    def __init__(self, rate_per_s: float | None, *, burst: int, clock: Callable[[], float] | None = None) -> None:
        """Without a rate nobody waits. `clock` counts seconds; the loop's own by default."""
        self._rate_per_s = rate_per_s
        self._burst = float(max(burst, 1))
        self._clock = clock or asyncio.get_running_loop().time
        self._tokens = self._burst
        self._counted_at = self._clock()

    async def wait(self, *, unless: Haste | None = None) -> None:
        """With haste the token is owed all the same, but nobody waits for it."""
        wait_s = self.take()
        if wait_s <= 0:
            return
        if unless is None:
            await asyncio.sleep(wait_s)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await unless.begun()

    def take(self) -> float:
        """Takes a token; answers for how many seconds it is owed. No more is ever owed than the bucket holds."""
        if self._rate_per_s is None:
            return 0.0
        now = self._clock()
        saved = min(self._burst, self._tokens + (now - self._counted_at) * self._rate_per_s)
        self._tokens = max(saved - 1, -self._burst)
        self._counted_at = now
        return max(0.0, -self._tokens / self._rate_per_s)

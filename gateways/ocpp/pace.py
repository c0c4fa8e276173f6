"""How fast one station's messages are taken in: a bucket of tokens in which nobody drowns, one only waits."""

import asyncio
from collections.abc import Callable


class Pace:
    def __init__(self, rate_per_s: float | None, *, burst: int, clock: Callable[[], float] | None = None) -> None:
        """Without a rate nobody waits. `clock` counts seconds; the loop's own by default."""
        self._rate_per_s = rate_per_s
        self._burst = float(max(burst, 1))
        self._clock = clock or asyncio.get_running_loop().time
        self._tokens = self._burst
        self._counted_at = self._clock()

    async def wait(self) -> None:
        wait_s = self.take()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def take(self) -> float:
        """Takes a token; answers for how many seconds it is owed."""
        if self._rate_per_s is None:
            return 0.0
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * self._rate_per_s) - 1
        self._counted_at = now
        return max(0.0, -self._tokens / self._rate_per_s)

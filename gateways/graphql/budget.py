"""What a caller may spend: so much a second, and a burst on top of what was saved.

All processes share it, and hardly ever ask for it: each draws a little ahead and spends that from memory.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from domain.errors import Unavailable
from gateways.graphql.limits import Limits, Refused, too_much

log = structlog.get_logger()

PER_S = 20_000  # with 20 µs for each, near half a core: a wall of dashboards takes a hundredth of it
BURST = 200_000  # twenty of the most expensive operations
LEASE_S = 10.0  # what was drawn and not spent until then is lost
AHEAD_S = 0.25  # drawn at once: enough for a hundred queries, and a fortieth of what may be lost
AWAY_S = 5.0  # between two attempts to reach the others
PRINCIPALS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was granted, 0 where it was too much; what is left; in how many seconds it would not be too much."""

    granted: int
    left: int
    wait_s: float = 0.0


class Budget(Protocol):
    """Buckets that all processes see. One is full at first."""

    async def draw(
        self, principal: str, amount: int, *, at_least: int, per_s: int, burst: int
    ) -> tuple[int, int, float]:
        """As much of `amount` as there is, but `at_least`, else nothing: the fields of `Drawn`. From a full bucket
        comes even what is more than it holds, and is owed. Raises `Unavailable`."""
        ...


class OwnBudget:
    """The same within one process. A bucket is the moment at which it will be full again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def draw(self, principal: str, amount: int, *, at_least: int, per_s: int, burst: int) -> Drawn:
        now = self._clock()
        full_at = max(self._full_at.pop(principal, now), now)
        left = math.floor(burst - (full_at - now) * per_s)
        needed = min(at_least, burst)
        granted = 0 if left < needed else max(min(amount, left), at_least)
        self._full_at[principal] = full_at + granted / per_s
        if len(self._full_at) > PRINCIPALS_MAX:
            self._full_at.popitem(last=False)
        return Drawn(granted, left - granted, 0.0 if granted else (needed - left) / per_s)


@dataclass(slots=True)
class _Account:
    """What this process has drawn for one principal, and what it saw in the bucket then."""

    lease: int
    ends_at: float
    left: int
    seen_at: float
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Purse:
    """Pays for operations from what it has drawn. While the others are away it pays on its own, at the same rate."""

    def __init__(
        self,
        shared: Budget | None = None,
        *,
        per_s: int = PER_S,
        burst: int = BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if per_s <= 0 or burst <= 0:
            raise ValueError("a budget is more than nothing: leave the purse out where there is none")
        self._shared = shared
        self._own = OwnBudget(clock)
        self._per_s = per_s
        self._burst = burst
        self._ahead = min(round(per_s * AHEAD_S), burst // 10)
        self._clock = clock
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._away_until: float | None = None

    def spend(self, principal: str, cost: int, limits: Limits) -> int | Awaitable[int]:
        """What remains afterwards, at once where it was drawn ahead. Raises `Refused`, which `limits` explains."""
        account = self._accounts.get(principal)
        if account is None or account.lease < cost or account.ends_at < self._clock():
            return self._drawn(principal, cost, limits)
        self._accounts.move_to_end(principal)
        account.lease -= cost
        return max(0, account.lease + account.left)

    async def _drawn(self, principal: str, cost: int, limits: Limits) -> int:
        account = self._account(principal)
        async with account.drawing:
            if account.ends_at < self._clock():
                account.lease = 0
            if account.lease < cost:
                await self._draw(account, principal, cost - account.lease)
            if account.lease < cost:
                raise self._refusal(account, cost, limits)
            account.lease -= cost
            return max(0, account.lease + account.left)

    async def _draw(self, account: _Account, principal: str, needed: int) -> None:
        """Adds what is granted. Nobody is asked where there was too little, and has not had the time to become more."""
        if self._wait_s(account, needed) > 0:
            return
        drawn = await self._from_all(principal, needed)
        now = self._clock()
        account.lease += drawn.granted
        account.ends_at = now + LEASE_S
        account.left = drawn.left
        account.seen_at = now

    async def _from_all(self, principal: str, needed: int) -> Drawn:
        amount = needed + self._ahead
        if self._shared is not None and self._tries_others():
            try:
                drawn = await self._shared.draw(
                    principal, amount, at_least=needed, per_s=self._per_s, burst=self._burst
                )
            except Unavailable as error:
                self._are_away(error)
            else:
                self._are_back()
                return Drawn(*drawn)
        return self._own.draw(principal, amount, at_least=needed, per_s=self._per_s, burst=self._burst)

    def _tries_others(self) -> bool:
        """While they are away one asks now and then, and nobody waits for them but that one."""
        if self._away_until is None:
            return True
        now = self._clock()
        if now < self._away_until:
            return False
        self._away_until = now + AWAY_S
        return True

    def _are_away(self, error: Unavailable) -> None:
        if self._away_until is None:
            log.warning("budgets are not shared now: each process grants its own", reason=error.message)
        self._away_until = self._clock() + AWAY_S

    def _are_back(self) -> None:
        if self._away_until is not None:
            log.info("budgets are shared again")
        self._away_until = None

    def _wait_s(self, account: _Account, needed: int) -> float:
        """Until there can be enough: others may have spent, but nobody adds faster than the rate."""
        missing = min(needed, self._burst) - account.left
        return missing / self._per_s - (self._clock() - account.seen_at)

    def _account(self, principal: str) -> _Account:
        account = self._accounts.get(principal)
        if account is None:
            account = self._accounts[principal] = _Account(0, 0.0, self._burst, self._clock())
            if len(self._accounts) > PRINCIPALS_MAX:
                self._accounts.popitem(last=False)
        return account

    def _refusal(self, account: _Account, cost: int, limits: Limits) -> Refused:
        wait_s = max(1, math.ceil(self._wait_s(account, cost - account.lease)))
        remaining = max(0, account.lease + account.left)  # less than nothing: something is owed
        message = f"the operation costs {cost}, of your budget there is {remaining}: try again in {wait_s} s"
        return too_much("budget", message, status=429, cost=limits.told(cost, remaining), retry_after_s=wait_s)

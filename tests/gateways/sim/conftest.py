import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from gateways.sim import Report, run_stations
from tests.gateways.sim.csms import Csms

FAST = 60.0


class Fleet:
    """A running simulation; `stopped` ends it and gives its report."""

    def __init__(self, csms: Csms, **options: Any) -> None:
        defaults: dict[str, Any] = {"count": 1, "version": "1.6", "speed": FAST, "seed": 7, "meter_interval_s": 0.1}
        self._stop = asyncio.Event()
        self._run = asyncio.create_task(run_stations(url=csms.url, stop=self._stop, **(defaults | options)))

    async def stopped(self) -> Report:
        self._stop.set()
        return await self._run


Simulate = Callable[..., AbstractAsyncContextManager[Fleet]]


@pytest.fixture
async def csms(anyio_backend: str) -> AsyncIterator[Csms]:
    async with Csms.running() as csms:
        yield csms


@pytest.fixture
def simulate(csms: Csms) -> Simulate:
    @asynccontextmanager
    async def fleet(**options: Any) -> AsyncIterator[Fleet]:
        running = Fleet(csms, **options)
        try:
            yield running
        finally:
            await running.stopped()

    return fleet

from collections.abc import AsyncIterator

import pytest

from tests.gateways.ocpp.wire import Csms


@pytest.fixture
async def csms(anyio_backend: str) -> AsyncIterator[Csms]:
    async with Csms.running() as csms:
        yield csms

from collections.abc import AsyncIterator

import pytest

from gateways.ocpp.v201 import transactions
from tests.gateways.ocpp.wire import Csms


@pytest.fixture
async def csms(anyio_backend: str) -> AsyncIterator[Csms]:
    async with Csms.running() as csms:
        yield csms


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stations are asked at once what became of messages that are missing."""
    monkeypatch.setattr(transactions, "PATIENCE_S", 0.0)

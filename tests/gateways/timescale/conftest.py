from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import count
from random import SystemRandom

import asyncpg
import pytest

from domain.points import HistoryStore
from gateways.timescale import TimescaleStore
from voltgraph.database import plain_url
from voltgraph.embedded import Urls

# Another store is one more line here: everything in test_every_store.py holds for it too.
STORES: dict[str, Callable[[Urls], AbstractAsyncContextManager[HistoryStore]]] = {
    "timescale": lambda urls: TimescaleStore(plain_url(urls.database)),
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, urls: Urls, anyio_backend: str) -> AsyncIterator[HistoryStore]:
    async with STORES[request.param](urls) as store:
        yield store


@pytest.fixture
async def timescale(urls: Urls, anyio_backend: str) -> AsyncIterator[TimescaleStore]:
    async with TimescaleStore(plain_url(urls.database)) as store:
        yield store


@pytest.fixture
async def application(urls: Urls, anyio_backend: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the role that the application has."""
    connection = await asyncpg.connect(plain_url(urls.database))
    yield connection
    await connection.close()


@pytest.fixture
async def owner(urls: Urls, anyio_backend: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the role that owns the tables."""
    connection = await asyncpg.connect(plain_url(urls.database_owner))
    yield connection
    await connection.close()


@pytest.fixture
def series() -> Iterator[int]:
    """Series that nobody has used: `next(series)`."""
    return count(SystemRandom().randrange(2**40, 2**60))

"""Real PostgreSQL and Valkey for every test; every test is two tenants of its own, `acme` and `rival`."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from uuid_utils.compat import uuid7

from domain import outbox
from domain.work import Workplace
from tests.tester import Clock, Tester, a_tester
from voltgraph import relay
from voltgraph.embedded import Urls, throwaway
from voltgraph.migrate import migrate_now
from voltgraph.settings import Settings, load
from voltgraph.wiring import House


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def urls() -> Iterator[Urls]:
    """The servers that the URLs of the environment name, else private ones for this worker; migrated from empty."""
    if "VOLTGRAPH_DATABASE_URL" in os.environ:
        given = load()
        assert given.database_url, "VOLTGRAPH_DATABASE_URL"
        assert given.database_owner_url, "VOLTGRAPH_DATABASE_OWNER_URL"
        assert given.redis_url, "VOLTGRAPH_REDIS_URL"
        migrate_now(given.database_owner_url, given.database_url)
        yield Urls(given.database_url, given.database_owner_url, given.redis_url)
        return
    with throwaway() as urls:
        migrate_now(urls.database_owner, urls.database)
        yield urls


@pytest.fixture(scope="session", autouse=True)
def own_queue() -> Iterator[None]:
    """Whoever shares the database, other workers of this run or servers, leaves our tests' events to our tests."""
    with pytest.MonkeyPatch.context() as patch:
        own = uuid7().hex[-12:]
        patch.setattr(outbox, "RELAY", f"relay-{own}")
        patch.setattr(relay, "REACTION", f"reaction-{own}")
        patch.setattr(relay, "SWEEP_LOCK", int(own, 16))
        yield


@pytest.fixture(scope="session")
def settings(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        database_url=urls.database,
        database_owner_url=urls.database_owner,
        redis_url=urls.redis,
        data_dir=tmp_path_factory.mktemp("settings"),
        station_policy="auto",
        station_ping_s=0,
        secret_key="a key of the tests alone",
    )


@pytest.fixture
async def house(settings: Settings, anyio_backend: str) -> AsyncIterator[House]:
    """Everything that a server process has, wired as `serve` wires it, without the server."""
    async with House.built(settings, clock=Clock()) as house:
        yield house


@pytest.fixture
def workplace(house: House) -> Workplace:
    return house.workplace


@pytest.fixture
async def acme(house: House) -> Tester:
    return await a_tester(house, f"acme-{uuid7().hex[-12:]}")


@pytest.fixture
async def rival(house: House) -> Tester:
    return await a_tester(house, f"rival-{uuid7().hex[-12:]}")

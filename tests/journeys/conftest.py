"""Servers as processes, on a database and a Valkey of their own: what other tests leave in the outbox is not theirs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server, awaited, running
from voltgraph.embedded import Urls, throwaway
from voltgraph.migrate import migrate_now


@pytest.fixture(scope="session")
def ground() -> Iterator[Urls]:
    with throwaway() as urls:
        migrate_now(urls.database_owner, urls.database)
        yield urls


@pytest.fixture(scope="session")
def environment(ground: Urls) -> dict[str, str]:
    """What servers on one ground have in common; those of one cluster hash secrets with one key."""
    return {
        "VOLTGRAPH_DATABASE_URL": ground.database,
        "VOLTGRAPH_DATABASE_OWNER_URL": ground.database_owner,
        "VOLTGRAPH_REDIS_URL": ground.redis,
        "VOLTGRAPH_SECRET_KEY": "a key of the journeys alone",
        "VOLTGRAPH_COMMAND_DEADLINE_S": "20",
        "VOLTGRAPH_STATION_BOOT_GRACE_S": "0",  # stations hear what their test orders, and nothing else
        "VOLTGRAPH_STATION_CONFIGURATION_DAYS": "0",
    }


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journeys")


@pytest.fixture(scope="session")
def server(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """One worker."""
    with running(Server(folder / "server", **environment)) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """Two workers, whose stations are missed soon."""
    lease = {"VOLTGRAPH_STATION_LEASE_S": "4"}
    two = ("serve", "--port", "0", "--workers", "2")
    with running(Server(folder / "cluster", *two, **environment, **lease)) as cluster:
        awaited(lambda: len(cluster.workers()) == 2, "two workers")
        yield cluster


@pytest.fixture(scope="session")
def tenant(folder: Path, environment: dict[str, str]) -> Tenant:
    """Made from the command line."""
    return Tenant.made(Server(folder / "command line", **environment))


@pytest.fixture
async def operator(server: Server, tenant: Tenant, anyio_backend: str) -> AsyncIterator[Operator]:
    async with Operator(server.url, tenant.secret) as operator:
        yield operator


@pytest.fixture
def base(server: Server, tenant: Tenant) -> str:
    """What a station's identity is appended to."""
    return f"{server.ocpp}/{tenant.slug}"


@pytest.fixture
def identity() -> str:
    """A name that no other station has."""
    return f"CP-{uuid7().hex[-10:]}"

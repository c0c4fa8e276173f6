"""The demo as `make run` starts it, for programs of others that know nothing of us."""

from collections.abc import Iterator

import pytest

from tests.clients.conftest import node_modules
from tests.conformance.owner import Owner
from tests.journeys.servers import Server, running

__all__ = ["node_modules"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With simulated stations at work, whose answers it awaits no longer than a moment, and without a budget."""
    told = {
        "VOLTGRAPH_COMMAND_DEADLINE_S": "2",
        "VOLTGRAPH_STATION_POLICY": None,
        "VOLTGRAPH_GRAPHQL_BUDGET_PER_S": "0",
    }
    with running(Server(tmp_path_factory.mktemp("conformance"), "demo", "--port", "0", **told)) as server:
        yield server


@pytest.fixture(scope="session")
def owner(server: Server) -> Iterator[Owner]:
    """The administrator of the demo's tenant."""
    owner = Owner(server.graphql, (server.data_dir / "demo.credential").read_text().strip())
    with owner.http:
        yield owner


@pytest.fixture(scope="session")
def nobody(server: Server) -> Iterator[Owner]:
    """Without a credential."""
    nobody = Owner(server.graphql, None)
    with nobody.http:
        yield nobody

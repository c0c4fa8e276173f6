"""Clients of others, which run in Node.js: what `package-lock.json` names, installed beside it once."""

import asyncio
import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.graphql.conftest import server as gateway  # noqa: F401 -- a fixture
from tests.journeys.clients import Tenant
from tests.journeys.servers import Server, running
from voltgraph.embedded import Urls

HERE = Path(__file__).parent
GUARD_S = 60.0
INSTALL_GUARD_S = 300.0


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Of whichever of the workers comes first."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no node, or no npm")
    lock = HERE / "package-lock.json"
    folder = HERE / "node_modules"
    stamp = folder / ".installed"
    with lock.open("rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        digest = hashlib.sha256(locked.read()).hexdigest()
        if not stamp.exists() or stamp.read_text() != digest:
            _install()
            stamp.write_text(digest)
    return folder


def _install() -> None:
    command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=INSTALL_GUARD_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm took more than {INSTALL_GUARD_S} s")
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["npm failed and did not say why"]
        pytest.skip(said[-1])


async def run(script: str, *arguments: str) -> list[Any]:
    """What a script of ours prints, a line of JSON each."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", str(HERE / script), *arguments, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(GUARD_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="session")
def application(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`voltgraph serve`, as it is installed."""
    environment = {
        "VOLTGRAPH_DATABASE_URL": urls.database,
        "VOLTGRAPH_DATABASE_OWNER_URL": urls.database_owner,
        "VOLTGRAPH_REDIS_URL": urls.redis,
        "VOLTGRAPH_SECRET_KEY": "a key of the clients alone",
    }
    with running(Server(tmp_path_factory.mktemp("clients"), **environment)) as server:
        yield server


@pytest.fixture(scope="session")
def tenant(application: Server) -> Tenant:
    return Tenant.made(application)

"""The programs that the documentation shows, run as a reader runs them."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.clients import GUARD_S, Operator, Tenant
from tests.journeys.servers import Server

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[2] / "docs"


@asynccontextmanager
async def program(path: str, *arguments: str, **environment: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(DOCS / path), *arguments, env={**os.environ, **environment}, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def told(process: Process, station: str, kind: str) -> Any:
    """The charge of a station, when that of it is printed."""
    assert process.stdout is not None
    async with asyncio.timeout(GUARD_S):
        async for line in process.stdout:
            update = json.loads(line)
            if (update["session"]["station"]["identity"], update["kind"]) == (station, kind):
                return update["session"]
    raise AssertionError("the program has ended")


async def test_the_tutorials_charger_is_followed_by_the_how_tos_client_until_it_is_stopped(
    server: Server, tenant: Tenant, operator: Operator, base: str, identity: str
) -> None:
    await operator.token(uid="DEMO")
    following = program(
        "how-to/follow_charges.py", f"ws://127.0.0.1:{server.port}/graphql", VOLTGRAPH_CREDENTIAL=tenant.secret
    )

    async with following as followed, program("tutorial/charger.py", f"{base}/{identity}"):
        begun = await told(followed, identity, "METERED")
        stopping = await operator.ask("mutation ($id: ID!) { stopSession(sessionId: $id) { status } }", id=begun["id"])
        stopped = await told(followed, identity, "STOPPED")

    assert stopping == {"status": "ACCEPTED"}
    assert (stopped["id"], stopped["status"]) == (begun["id"], "COMPLETED")
    assert stopped["energyWh"] >= 4

"""The client programs of the documentation, run as a reader runs them: they come again, and miss nothing."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from tests.clients.talking import Cable
from tests.journeys.chargers import Charger16
from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server

pytestmark = pytest.mark.anyio

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
GUARD_S = 30.0
CHECKED = ("--strict", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2022", "--types", "node")


@pytest.fixture(scope="session")
def compiled(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in TypeScript, whose types are right."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(node_modules)
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(HOW_TO / "follow-charges.ts", folder)
    compiler = ("node", str(node_modules / "typescript/bin/tsc"), *CHECKED, "follow-charges.ts")
    checked = subprocess.run(compiler, cwd=folder, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    return folder / "follow-charges.js"


@pytest.fixture(params=["follow_charges.py", "follow-charges.ts"])
def program(request: pytest.FixtureRequest) -> list[str]:
    if request.param.endswith(".py"):
        return [sys.executable, str(HOW_TO / request.param)]
    # Node.js has a WebSocket of its own, as browsers do; before version 22 it wants to be asked for it.
    return ["node", "--experimental-websocket", "--no-warnings", str(request.getfixturevalue("compiled"))]


@dataclass
class Example:
    process: Process
    told: list[Any] = field(default_factory=list)

    def of(self, charger: Charger16) -> list[Any]:
        """What it has printed of a charger; other tests have theirs."""
        return [one for one in self.told if one["session"]["station"]["identity"] == charger.identity]

    async def until(self, charger: Charger16, kind: str) -> Any:
        """The next of that kind that is printed, in time."""
        assert self.process.stdout is not None
        async with asyncio.timeout(GUARD_S):
            async for line in self.process.stdout:
                self.told.append(json.loads(line))
                if (printed := self.of(charger)[-1:]) == self.told[-1:] and printed[0]["kind"] == kind:
                    return printed[0]
        raise AssertionError("the program has ended")


@asynccontextmanager
async def running(command: list[str], port: int, secret: str) -> AsyncIterator[Example]:
    url = f"ws://127.0.0.1:{port}/graphql"
    environment = {**os.environ, "VOLTGRAPH_CREDENTIAL": secret}
    process = await asyncio.create_subprocess_exec(*command, url, env=environment, stdout=PIPE, stderr=PIPE)
    try:
        yield Example(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_follows_a_charge_and_what_it_missed_is_made_up_for(
    program: list[str], application: Server, tenant: Tenant
) -> None:
    base = f"{application.ocpp}/{tenant.slug}"
    async with (
        Operator(application.url, tenant.secret) as operator,
        Charger16.connected(base, f"CP-{uuid7().hex[-10:]}") as charger,
        Cable.to(application.port) as cable,
    ):
        uid = await operator.token()
        await charger.boot()
        await charger.start(uid, 1000)
        async with running(program, cable.port, tenant.secret) as example:
            first = await example.until(charger, "SNAPSHOT")
            await charger.meter(1300, 7000)
            metered = await example.until(charger, "METERED")
            await charger.stop(1500)
            await example.until(charger, "STOPPED")
            await cable.unplug()
            await charge(charger, uid, begins=2000)
            await charge(charger, uid, begins=3000)
            await cable.plug()
            for _ in range(2):
                await example.until(charger, "STOPPED")
            await charge(charger, uid, begins=4000)
            await example.until(charger, "STOPPED")

    assert (first["session"]["status"], metered["session"]["energyWh"]) == ("ACTIVE", 300)
    facts = [(one["kind"], one["session"]["id"]) for one in example.of(charger) if one["eventId"]]
    charges = list(dict.fromkeys(id for _, id in facts))
    assert facts == [(kind, id) for id in charges for kind in ("STARTED", "STOPPED")][1:]
    assert (len(charges), charges[0]) == (4, first["session"]["id"])


async def charge(charger: Charger16, uid: str, *, begins: int) -> None:
    await charger.start(uid, begins)
    await charger.meter(begins + 300, 7000)
    await charger.stop(begins + 500)


async def test_it_ends_with_a_credential_that_opens_nothing(
    program: list[str], application: Server, tenant: Tenant
) -> None:
    async with running(program, application.port, "nonsense") as example, asyncio.timeout(GUARD_S):
        _, said = await example.process.communicate()

    assert example.process.returncode == 1
    assert "4403 Forbidden" in said.decode()


async def test_it_ends_when_its_credential_is_revoked(program: list[str], application: Server, tenant: Tenant) -> None:
    made = 'mutation { createCredential(input: { name: "a wall", role: VIEWER }) { secret credential { id } } }'
    async with Operator(application.url, tenant.secret) as operator:
        credential = await operator.ask(made)
        base = f"{application.ocpp}/{tenant.slug}"
        async with Charger16.connected(base, f"CP-{uuid7().hex[-10:]}") as charger:
            await charger.boot()
            await charger.start(await operator.token(), 1000)
            async with running(program, application.port, credential["secret"]) as example:
                await example.until(charger, "SNAPSHOT")
                id = credential["credential"]["id"]
                await operator.ask("mutation ($id: ID!) { revokeCredential(id: $id) { id } }", id=id)
                async with asyncio.timeout(GUARD_S):
                    _, said = await example.process.communicate()

    assert example.process.returncode == 1
    assert "4403 credential revoked" in said.decode()

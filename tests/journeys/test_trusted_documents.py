"""From a client's documents to a server that runs nothing else: by the command line, for each role, over every way."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.journeys.chargers import Bare
from tests.journeys.clients import GUARD_S, Tenant
from tests.journeys.servers import Server, running

pytestmark = pytest.mark.anyio

DOCUMENTS = """
query Me { me { role } }
subscription Status { stationStatusUpdates { station { identity } } }
mutation Token($uid: String!) { createToken(input: { uid: $uid }) { ...Token } }
fragment Token on Token { uid }
"""
OTHER = "query Other { me { role name } }"
NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"


@pytest.fixture(scope="module")
def documents(folder: Path) -> Path:
    path = folder / "documents"
    path.mkdir()
    (path / "all.graphql").write_text(DOCUMENTS)
    return path


@pytest.fixture(scope="module")
def offline(folder: Path) -> Server:
    """Never started; its database is nowhere."""
    return Server(folder / "offline", VOLTGRAPH_DATABASE_URL=NOWHERE, VOLTGRAPH_REDIS_URL="redis://127.0.0.1:9")


@pytest.fixture(scope="module")
def manifest(folder: Path, documents: Path, offline: Server) -> Path:
    path = folder / "manifest.json"
    assert offline.said("documents", "manifest", str(documents), "-o", str(path)) == f"{path} has 3 documents"
    return path


@pytest.fixture(scope="module")
def ids(manifest: Path) -> dict[str, str]:
    """By the operation's name, as a client's build has them."""
    return {one["name"]: one["id"] for one in orjson.loads(manifest.read_bytes())["operations"]}


@pytest.fixture(scope="module")
def strict(folder: Path, environment: dict[str, str], manifest: Path) -> Iterator[Server]:
    modes = "enforce,ADMIN:off,OPERATOR:log"
    told = {"VOLTGRAPH_DOCUMENTS": str(manifest), "VOLTGRAPH_DOCUMENTS_MODE": modes}
    with running(Server(folder / "strict", **environment, **told)) as server:
        yield server


@pytest.fixture(scope="module")
def secrets(strict: Server, tenant: Tenant) -> dict[str, str]:
    return {
        role: strict.said("credential", "create", "--tenant", tenant.slug, "--role", role)
        for role in ("ADMIN", "OPERATOR", "VIEWER")
    }


@dataclass
class Client:
    """Somebody with a credential."""

    server: Server
    secret: str
    http: httpx2.AsyncClient

    async def posted(self, **asked: Any) -> Any:
        return (await self.http.post(self.server.graphql, json=asked)).json()

    async def got(self, **asked: str) -> Any:
        return (await self.http.get(self.server.graphql, params=asked)).json()

    async def first_event(self, **asked: Any) -> Any:
        headers = {"Accept": "text/event-stream"}
        async with self.http.stream("POST", self.server.graphql, json=asked, headers=headers) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    return orjson.loads(line[6:])
        raise AssertionError("no event came")

    async def first_message(self, **asked: Any) -> Any:
        url = self.server.graphql.replace("http", "ws", 1)
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            authorization = {"Authorization": f"Bearer {self.secret}"}
            await socket.send(orjson.dumps({"type": "connection_init", "payload": authorization}).decode())
            assert orjson.loads(await socket.recv()) == {"type": "connection_ack"}
            await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": asked}).decode())
            message = orjson.loads(await socket.recv())
        return message["payload"] if message["type"] == "next" else {"errors": message["payload"]}


@pytest.fixture(params=["ADMIN", "OPERATOR", "VIEWER"])
async def client(
    strict: Server, secrets: dict[str, str], request: pytest.FixtureRequest, anyio_backend: str
) -> AsyncIterator[tuple[str, Client]]:
    secret = secrets[request.param]
    one = httpx2.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=GUARD_S)
    async with one as http, asyncio.timeout(GUARD_S):
        yield request.param, Client(strict, secret, http)


async def test_what_is_in_the_manifest_runs_for_each_role_over_every_way(
    client: tuple[str, Client], ids: dict[str, str], strict: Server, tenant: Tenant, identity: str
) -> None:
    role, asking = client
    asked = {"documentId": ids["Me"]}

    for ask in (asking.posted, asking.got, asking.first_event, asking.first_message):
        assert (await ask(**asked))["data"] == {"me": {"role": role}}
    apollo = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": ids["Status"]}}}
    async with Bare.connected(f"{strict.ocpp}/{tenant.slug}", identity):
        for ask in (asking.first_event, asking.first_message):
            assert (await ask(**apollo))["data"]["stationStatusUpdates"]["station"]["identity"]


async def test_the_rest_runs_only_for_whom_it_may(client: tuple[str, Client], ids: dict[str, str]) -> None:
    role, asking = client
    for ask in (asking.posted, asking.got, asking.first_event, asking.first_message):
        answer = await ask(query=OTHER)
        if role == "VIEWER":
            assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "reason": "PERSISTED_QUERY_ONLY"}
        else:
            assert answer["data"]["me"]["role"] == role
        unknown = await ask(documentId="0" * 64)
        assert unknown["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_a_document_gives_no_right(client: tuple[str, Client], ids: dict[str, str]) -> None:
    role, asking = client
    answer = await asking.posted(documentId=ids["Token"], variables={"uid": f"TRUSTED{role}"})

    if role == "VIEWER":
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    else:
        assert answer["data"] == {"createToken": {"uid": f"TRUSTED{role}"}}


async def test_who_shows_no_credential_has_the_mode_of_all(strict: Server, ids: dict[str, str]) -> None:
    async with httpx2.AsyncClient() as nobody:
        other = (await nobody.post(strict.graphql, json={"query": "{ __typename }"})).json()
        known = (await nobody.post(strict.graphql, json={"documentId": ids["Me"]})).json()

    assert other["errors"][0]["extensions"]["reason"] == "PERSISTED_QUERY_ONLY"
    assert known["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_folder_is_checked_without_a_database(offline: Server, documents: Path, tmp_path: Path) -> None:
    good = offline.run("documents", "check", str(documents))
    (tmp_path / "bad.graphql").write_text("query Bad {\n  me { nam }\n}")
    bad = offline.run("documents", "check", str(tmp_path))

    assert (good.returncode, len(good.stdout.splitlines())) == (0, 3)
    assert (bad.returncode, bad.stderr) == (1, "")
    assert bad.stdout.startswith(f"{tmp_path}/bad.graphql:2:8: Cannot query field 'nam' on type 'Me'.")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_wrong_manifest_stops_the_start_with_one_line(
    folder: Path, tmp_path: Path, environment: dict[str, str], workers: str
) -> None:
    manifest = tmp_path / "wrong.json"
    manifest.write_text('{"a": "query Bad { nothing }"}')
    server = Server(folder / f"wrong {workers}", **environment, VOLTGRAPH_DOCUMENTS=str(manifest))

    ended = server.run("serve", "--port", "0", "--workers", workers)

    assert (ended.returncode, ended.stdout) == (2, "")
    told = f"voltgraph: VOLTGRAPH_DOCUMENTS: {manifest}: Bad (a): Cannot query field 'nothing' on type 'Query'."
    assert ended.stderr == f"{told} (line 1, column 13)\n"

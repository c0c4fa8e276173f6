"""Who may stay: what ends an upload or an export that is under way, and what is said then."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from starlette.applications import Starlette

from domain import imports, points
from domain.actor import Actor
from domain.errors import Unauthenticated, Unavailable
from domain.history import exporting
from domain.imports import Import, ImportStatus, Layout
from domain.points import Reading
from gateways.files import Doorman, routes, writing
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUERY = b"points=a&from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
HEAD = b"timestamp,address,value\n2026-03-01T12:00:00Z,a,1\n"


class House:
    """The two doors, and a doorman who knows one credential."""

    def __init__(self, tester: Tester, actor: Actor | None = None) -> None:
        self.actor = actor or replace(tester.actor, id=uuid4())
        self.answers: list[Actor | Exception] = []
        self.doorman = Doorman(self._authenticate, tester.clock)
        self.app = Starlette(routes=routes(tester.workplace, self.doorman))

    async def _authenticate(self, _authorization: str | None) -> Actor | None:
        answer = self.answers.pop(0) if self.answers else self.actor
        if isinstance(answer, Exception):
            raise answer
        return answer


class Line:
    """One request as a server hands it to the application; its reader reads when it is let."""

    def __init__(self, house: House, method: str, path: str, query: bytes = b"") -> None:
        self._scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query,
            "headers": [(b"authorization", b"Bearer known")],
        }
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.task = asyncio.create_task(self._run(house.app))

    async def _run(self, app: Callable[..., Awaitable[None]]) -> None:
        await app(self._scope, self.said.get, self._send)

    async def _send(self, message: Any) -> None:
        await self.reads.wait()
        await self.heard.put(message)

    def say(self, body: bytes) -> None:
        self.said.put_nowait({"type": "http.request", "body": body, "more_body": True})

    def leave(self) -> None:
        self.said.put_nowait({"type": "http.disconnect"})

    async def answer(self) -> tuple[int, str]:
        await self.task
        start, body = self.heard.get_nowait(), self.heard.get_nowait()
        return start["status"], orjson.loads(body["body"])["errors"][0]["extensions"]["code"]


async def uploading(tester: Tester, house: House) -> tuple[Import, Line]:
    """Of which the first rows have come."""
    async with tester.work() as work:
        begun = await imports.begin(work, layout=Layout())
    line = Line(house, "PUT", f"/imports/{begun.id}")
    line.say(HEAD)
    while (await now(tester, begun)).status is not ImportStatus.RUNNING:  # an import tells on the bus
        assert not line.task.done(), line.heard
        await asyncio.sleep(0.01)
    return begun, line


async def now(tester: Tester, begun: Import) -> Import:
    async with tester.work(read_only=True) as work:
        return await imports.by_id(work, begun.id)


async def nobody_asks(tester: Tester) -> None:
    """No connection of the history's is in use."""
    pool = tester.house.store._reading
    async with asyncio.timeout(20):
        while pool.get_idle_size() < pool.get_size():  # noqa: ASYNC110  # a pool tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
async def readings(acme: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a page of them."""
    monkeypatch.setattr(exporting, "PAGE_ROWS", 5_000)
    monkeypatch.setattr(writing, "ROWS_AT_ONCE", 100)
    async with acme.work() as work:
        await points.record(
            work, [Reading("a", NOON + timedelta(milliseconds=number), float(number)) for number in range(12_000)]
        )


async def test_a_revocation_ends_the_uploads_of_its_credential_alone(acme: Tester) -> None:
    house = House(acme)
    begun, line = await uploading(acme, house)
    house.doorman.revoked(uuid4())
    await asyncio.sleep(0)
    assert not line.task.done()

    house.doorman.revoked(house.actor.id)

    assert await line.answer() == (401, "UNAUTHENTICATED")
    ended = await now(acme, begun)
    assert (ended.status, ended.error) == (ImportStatus.INTERRUPTED, "the credential was revoked")


async def test_a_revocation_that_may_have_been_missed_is_asked_for_until_it_is_known(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.files.doors._ASK_AGAIN_S", 0.01)
    house = House(acme)
    _, line = await uploading(acme, house)
    house.answers = [Unavailable("who knows"), Unauthenticated("it is gone")]

    house.doorman.revoked(None)

    assert await line.answer() == (401, "UNAUTHENTICATED")


async def test_a_credential_that_expires_ends_an_upload(acme: Tester) -> None:
    soon = acme.clock() + timedelta(seconds=2)
    begun, line = await uploading(acme, House(acme, replace(acme.actor, expires_at=soon)))

    assert await line.answer() == (401, "UNAUTHENTICATED")
    assert (await now(acme, begun)).error == "the credential has expired"


async def test_a_server_that_stops_waits_for_no_file_and_takes_no_other(acme: Tester) -> None:
    house = House(acme)
    begun, line = await uploading(acme, house)

    house.doorman.close()

    assert await line.answer() == (503, "UNAVAILABLE")
    assert (await now(acme, begun)).status is ImportStatus.INTERRUPTED
    assert await Line(house, "PUT", f"/imports/{begun.id}").answer() == (503, "UNAVAILABLE")


async def test_a_client_that_goes_leaves_what_was_recorded(acme: Tester) -> None:
    begun, line = await uploading(acme, House(acme))
    line.leave()
    await line.task

    ended = await now(acme, begun)
    assert (ended.status, ended.error) == (ImportStatus.INTERRUPTED, "the upload was cut off")


@pytest.mark.usefixtures("readings")
async def test_an_export_that_is_not_read_holds_no_connection(acme: Tester) -> None:
    line = Line(House(acme), "GET", "/exports/readings", QUERY)
    assert (await line.heard.get())["status"] == 200
    assert (await line.heard.get())["body"].startswith(b"address,")
    line.reads.clear()
    await line.heard.get()

    await nobody_asks(acme)
    line.reads.set()
    line.said.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    await line.task
    rows = 1
    while not line.heard.empty():
        rows += line.heard.get_nowait()["body"].count(b"\n")
    assert rows > 11_000


@pytest.mark.usefixtures("readings")
async def test_an_export_ends_with_its_reader(acme: Tester) -> None:
    line = Line(House(acme), "GET", "/exports/readings", QUERY)
    await line.heard.get()
    line.reads.clear()
    line.leave()
    await line.task

    assert line.heard.qsize() < 110
    await nobody_asks(acme)


@pytest.mark.usefixtures("readings")
async def test_only_so_many_exports_of_a_tenant_run_at_once(acme: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateways.files.downloads.AT_ONCE", 1)
    house = House(acme)
    first = Line(house, "GET", "/exports/readings", QUERY)
    await first.heard.get()
    first.reads.clear()

    assert await Line(house, "GET", "/exports/readings", QUERY).answer() == (429, "LIMIT")
    first.leave()
    await first.task
    again = Line(house, "GET", "/exports/readings", QUERY)
    assert (await again.heard.get())["status"] == 200
    again.leave()
    await again.task


@pytest.mark.usefixtures("readings")
async def test_an_export_whose_credential_is_revoked_stops_without_an_end(acme: Tester) -> None:
    house = House(acme)
    line = Line(house, "GET", "/exports/readings", QUERY)
    await line.heard.get()
    line.reads.clear()
    house.doorman.revoked(house.actor.id)
    await line.task

    told = [line.heard.get_nowait() for _ in range(line.heard.qsize())]
    assert all(message["more_body"] for message in told)

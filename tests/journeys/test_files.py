"""Files of readings in and out, as a person with a command line moves them."""

import asyncio
import gzip
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.journeys.clients import Operator, Tenant
from tests.journeys.impatient import ImpatientServer
from tests.journeys.servers import Server, running

pytestmark = pytest.mark.anyio

BEGIN = "mutation ($input: ImportReadingsInput!) { importReadings(input: $input) { id uploadPath } }"
UPDATES = "subscription ($id: ID!) { importUpdates(importId: $id) { status recorded } }"
IMPORT = "query ($id: ID!) { import(id: $id) { status recorded failed error uploadPath } }"
CREDENTIAL = """
mutation ($input: CreateCredentialInput!) { createCredential(input: $input) { credential { id } secret } }
"""
REVOKE = "mutation ($id: ID!) { revokeCredential(id: $id) { revokedAt } }"
DAY = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
FILE = """\
address,timestamp,value,text,quality,unit,source,version\r
{0}/grid,2026-01-01T00:00:00Z,1500.25,,GOOD,W,IMPORTED,1\r
{0}/grid,2026-01-01T00:15:00.000001Z,0.1,,UNCERTAIN,W,IMPORTED,3\r
{0}/grid,2026-01-01T00:30:00Z,,,BAD,W,IMPORTED,1\r
{0}/mode,2026-01-01T00:00:00Z,2.0,"on, ""so to say""\r
and more",GOOD,,IMPORTED,1\r
{0}/mode,2026-01-01T01:00:00Z,,AUTO,GOOD,,IMPORTED,1\r
"""


@pytest.fixture(scope="module")
def slow_and_strict(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """Waits two seconds for a body, or for more of a file."""
    with running(ImpatientServer(folder / "strict", {"body_s": 2}, **environment)) as server:
        yield server


class Files:
    """What a person does with files, over connections of its own."""

    def __init__(self, url: str, secret: str | None) -> None:
        self.url = url
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        self.http = httpx2.AsyncClient(headers=headers, timeout=60)

    async def upload(self, path: str, content: Any, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.put(self.url + path, content=content, headers=named)

    async def export(self, points: list[str], **asked: str) -> httpx2.Response:
        return await self.http.get(self.url + "/exports/readings", params={"points": points, **DAY, **asked})


@pytest.fixture
async def files(server: Server, tenant: Tenant) -> AsyncIterator[Files]:
    files = Files(server.url, tenant.secret)
    async with files.http:
        yield files


async def begun(operator: Operator, **given: Any) -> Any:
    return await operator.ask(BEGIN, input=given)


def code(answer: httpx2.Response) -> str:
    (error,) = answer.json()["errors"]
    return str(error["extensions"]["code"])


async def test_a_file_goes_in_is_watched_and_comes_out_as_it_was(
    operator: Operator, files: Files, identity: str
) -> None:
    text, points = FILE.format(identity), [f"{identity}/grid", f"{identity}/mode"]
    one = await begun(operator, name="day.csv.gz")

    async with operator.watching(UPDATES, id=one["id"]) as watching:
        assert (await watching.next())["status"] == "WAITING"
        answer = await files.upload(one["uploadPath"], gzip.compress(text.encode()))
        assert await watching.until(lambda item: item["status"] == "COMPLETED") == {
            "status": "COMPLETED",
            "recorded": 5,
        }
    came_out = await files.export(points)

    assert (answer.status_code, answer.json()["import"]["recorded"]) == (200, 5)
    assert came_out.text == text
    assert came_out.headers["content-type"] == "text/csv; charset=utf-8"
    assert came_out.headers["content-disposition"] == 'attachment; filename="readings-2026-01-01-2026-01-02.csv"'
    assert came_out.headers["content-encoding"] == "gzip"
    assert came_out.headers["x-content-type-options"] == "nosniff"


async def test_what_came_out_goes_in_again(operator: Operator, files: Files, identity: str) -> None:
    points = [f"{identity}/grid", f"{identity}/mode"]
    await files.upload((await begun(operator))["uploadPath"], FILE.format(identity).encode())
    came_out = (await files.export(points)).content

    again = await begun(operator, layout={"prefix": "copy/"})
    answer = await files.upload(again["uploadPath"], came_out)
    copied = await files.export([f"copy/{point}" for point in points])

    assert answer.json()["import"]["failed"] == 0
    assert copied.text.replace("copy/", "") == came_out.decode()


async def test_a_line_per_reading_and_columns_of_buckets(operator: Operator, files: Files, identity: str) -> None:
    point = f"{identity}/grid"
    await files.upload((await begun(operator))["uploadPath"], FILE.format(identity).encode())

    lines = [json.loads(line) for line in (await files.export([point], format="jsonl")).text.splitlines()]
    good = await files.export([point], quality="good", format="jsonl")
    buckets = {"to": "2026-01-01T01:00:00Z", "resolution": "PT30M", "function": "max"}
    columns = await files.export([point], **buckets)
    objects = await files.export([point], format="jsonl", **buckets)

    assert lines[1] == {
        "address": point,
        "timestamp": "2026-01-01T00:15:00.000001Z",
        "value": 0.1,
        "text": None,
        "quality": "UNCERTAIN",
        "unit": "W",
        "source": "IMPORTED",
        "version": 3,
    }
    assert len(lines) == 3
    assert [json.loads(line)["value"] for line in good.text.splitlines()] == [1500.25]
    assert columns.text.splitlines() == [
        f"timestamp,{point} [W]",
        "2026-01-01T00:00:00Z,1500.25",
        "2026-01-01T00:30:00Z,",
    ]
    assert [json.loads(line)["values"] for line in objects.text.splitlines()] == [{point: 1500.25}, {point: None}]


@pytest.mark.parametrize(
    ("asked", "status", "wanted"),
    [
        ({"format": "xlsx"}, 400, "INVALID"),
        ({"from": "yesterday"}, 400, "INVALID"),
        ({"from": "2026-01-01T00:00:00"}, 400, "INVALID"),
        ({"to": "2025-01-01T00:00:00Z"}, 400, "INVALID"),
        ({"resolution": "1h"}, 400, "INVALID"),
        ({"function": "MAX"}, 400, "INVALID"),
        ({"color": "red"}, 400, "INVALID"),
        ({"points": "no/such/point"}, 404, "NOT_FOUND"),
    ],
)
async def test_what_cannot_be_exported_is_told_before_anything_is(
    operator: Operator, files: Files, asked: dict[str, str], status: int, wanted: str
) -> None:
    await operator.ask(BEGIN, input={"content": "at,address,value\n2026-01-01T00:00:00Z,exported,1\n"})

    answer = await files.http.get(files.url + "/exports/readings", params={"points": "exported", **DAY, **asked})

    assert (answer.status_code, code(answer)) == (status, wanted)


async def test_a_file_that_is_none_has_failed(operator: Operator, files: Files) -> None:
    answers = [
        await files.upload((await begun(operator))["uploadPath"], content)
        for content in (
            b"",
            b"this\nis none\n",
            gzip.compress(b"at,address,value\n" * 9)[:-9],
            b"at,address,value\nx,y,z\n",
        )
    ]

    assert [(answer.status_code, code(answer)) for answer in answers] == [(422, "INVALID")] * 4
    assert {answer.json()["import"]["status"] for answer in answers} == {"FAILED"}


async def test_a_body_that_is_no_file_leaves_the_import_waiting(operator: Operator, files: Files) -> None:
    one = await begun(operator)
    path = one["uploadPath"]

    assert (await files.upload(path, b"x", Content_Type="multipart/form-data; boundary=x")).status_code == 415
    assert (await files.upload(path, b"x", Content_Encoding="br")).status_code == 415
    assert (await files.http.get(files.url + path)).status_code == 405
    assert (await files.http.post(files.url + "/exports/readings")).status_code == 405
    assert (await operator.ask(IMPORT, id=one["id"]))["status"] == "WAITING"


async def test_an_import_takes_one_file_and_nothing_takes_none(operator: Operator, files: Files) -> None:
    one = await begun(operator)
    assert (await files.upload(one["uploadPath"], b"at,address,value\n2026-01-01,a,1\n")).status_code == 200

    again = await files.upload(one["uploadPath"], b"at,address,value\n2026-01-01,a,1\n")
    nowhere = await files.upload("/imports/none", b"at,address,value\n")

    assert (again.status_code, code(again)) == (409, "CONFLICT")
    assert (nowhere.status_code, code(nowhere)) == (404, "NOT_FOUND")


async def test_who_shows_nothing_or_another_tenants_credential_gets_nothing(
    server: Server, operator: Operator, files: Files, identity: str
) -> None:
    one, rival = await begun(operator), Tenant.made(server)
    await operator.ask(BEGIN, input={"content": f"at,address,value\n2026-01-01T00:00:00Z,{identity},1\n"})

    async def refused(secret: str | None) -> list[tuple[int, str]]:
        stranger = Files(server.url, secret)
        async with stranger.http:
            answers = [
                await stranger.upload(one["uploadPath"], b"at,address,value\n"),
                await stranger.export([identity]),
            ]
        return [(answer.status_code, code(answer)) for answer in answers]

    assert await refused(None) == [(401, "UNAUTHENTICATED")] * 2
    assert await refused("nonsense") == [(401, "UNAUTHENTICATED")] * 2
    assert await refused(rival.secret) == [(404, "NOT_FOUND")] * 2
    assert (await operator.ask(IMPORT, id=one["id"]))["status"] == "WAITING"


async def test_who_may_only_look_takes_out_and_brings_nothing_in(
    server: Server, operator: Operator, identity: str
) -> None:
    one = await begun(operator)
    await operator.ask(BEGIN, input={"content": f"at,address,value\n2026-01-01T00:00:00Z,{identity},1\n"})
    made = await operator.ask(CREDENTIAL, input={"name": "viewer", "role": "VIEWER"})
    viewer = Files(server.url, made["secret"])
    async with viewer.http:
        brought = await viewer.upload(one["uploadPath"], b"at,address,value\n")
        taken = await viewer.export([identity])

    assert (brought.status_code, code(brought)) == (403, "FORBIDDEN")
    assert len(taken.text.splitlines()) == 2


async def test_a_credential_that_is_revoked_ends_an_upload_and_keeps_what_came(
    server: Server, operator: Operator, identity: str
) -> None:
    made = await operator.ask(CREDENTIAL, input={"name": "uploader", "role": "OPERATOR"})
    one, has_begun, rest = await begun(operator), asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"at,address,value\n"
        yield f"2026-01-01T00:00:00Z,{identity},1\n".encode()
        has_begun.set()
        await rest.wait()

    uploader = Files(server.url, made["secret"])
    async with uploader.http, operator.watching(UPDATES, id=one["id"]) as watching:
        uploading = asyncio.ensure_future(uploader.upload(one["uploadPath"], body()))
        await has_begun.wait()
        await watching.until(lambda item: item["status"] == "RUNNING")
        await operator.ask(REVOKE, id=made["credential"]["id"])
        await watching.until(lambda item: item["status"] == "INTERRUPTED")
        rest.set()
        try:
            answer = await uploading
        except httpx2.HTTPError:  # the server hangs up on what it does not read
            answer = None
    ended = await operator.ask(IMPORT, id=one["id"])

    assert answer is None or (answer.status_code, code(answer)) == (401, "UNAUTHENTICATED")
    assert (ended["error"], ended["uploadPath"]) == ("the credential was revoked", one["uploadPath"])


async def test_a_file_may_take_longer_than_other_requests_while_it_goes_on_and_a_silent_one_is_cut_off(
    slow_and_strict: Server, operator: Operator, tenant: Tenant, identity: str
) -> None:
    going_on, silent = await begun(operator), await begun(operator)

    async def body() -> AsyncIterator[bytes]:
        yield b"at,address,value\n"
        for minute in range(40):
            await asyncio.sleep(0.1)
            yield f"2026-01-01T00:{minute:02}:00Z,{identity},1\n".encode()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"at,address,value\n"
        await asyncio.Event().wait()

    files = Files(slow_and_strict.url, tenant.secret)
    async with files.http, operator.watching(UPDATES, id=silent["id"]) as watching:
        stalling = asyncio.ensure_future(files.upload(silent["uploadPath"], stalled()))
        answer = await files.upload(going_on["uploadPath"], body())
        await watching.until(lambda item: item["status"] == "INTERRUPTED")
        stalling.cancel()

    assert answer.json()["import"]["recorded"] == 40


async def test_a_server_that_stops_leaves_an_upload_to_be_sent_to_another(
    folder: Path, environment: dict[str, str], operator: Operator, files: Files, tenant: Tenant, identity: str
) -> None:
    one, has_begun = await begun(operator), asyncio.Event()
    file = f"at,address,value\n2026-01-01T00:00:00Z,{identity},1\n".encode()

    async def body() -> AsyncIterator[bytes]:
        yield file
        has_begun.set()
        await asyncio.Event().wait()

    with running(Server(folder / "stops", **environment)) as stops:
        uploader = Files(stops.url, tenant.secret)
        async with uploader.http, operator.watching(UPDATES, id=one["id"]) as watching:
            uploading = asyncio.ensure_future(uploader.upload(one["uploadPath"], body()))
            await has_begun.wait()
            await watching.until(lambda item: item["status"] == "RUNNING")
            stops.signal(signal.SIGTERM)
            await watching.until(lambda item: item["status"] == "INTERRUPTED")
            uploading.cancel()
    answer = await files.upload(one["uploadPath"], file)

    assert (answer.status_code, answer.json()["import"]["recorded"]) == (200, 1)


async def test_a_client_that_goes_leaves_the_import_to_be_taken_up_again(
    operator: Operator, files: Files, identity: str
) -> None:
    one, has_begun = await begun(operator), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield f"at,address,value\n2026-01-01T00:00:00Z,{identity},1\n".encode()
        has_begun.set()
        await asyncio.Event().wait()

    async with operator.watching(UPDATES, id=one["id"]) as watching:
        uploading = asyncio.ensure_future(files.upload(one["uploadPath"], body()))
        await has_begun.wait()
        await watching.until(lambda item: item["status"] == "RUNNING")
        uploading.cancel()
        await watching.until(lambda item: item["status"] == "INTERRUPTED")
    answer = await files.upload(one["uploadPath"], f"at,address,value\n2026-01-01T00:00:00Z,{identity},1\n".encode())

    assert answer.json()["import"]["recorded"] == 1

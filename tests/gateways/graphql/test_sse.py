"""Server-sent events: graphql-sse's protocol in distinct connections mode."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson
import pytest

from domain.errors import Unavailable
from gateways.graphql import Answer, Engine, Terms, sse
from tests.gateways.graphql.conftest import (
    CREDENTIAL,
    GUARD_S,
    Brief,
    Reader,
    Revoked,
    Server,
    a_schema,
    received,
    serving,
    subscribe,
    the_board,
    until,
)

pytestmark = pytest.mark.anyio

EVENTS = {"Accept": "text/event-stream"}
TICKS = "subscription { ticks(count: 2) { number } }"
FOREVER = "subscription { forever }"
COMPLETE: tuple[str, Any] = ("complete", {})


@asynccontextmanager
async def stream(
    server: Server, query: str, method: str = "POST", headers: dict[str, str] = EVENTS, *, bearer: str = "ada"
) -> AsyncIterator[httpx2.Response]:
    asked: Any = {"params": {"query": query}} if method in ("GET", "HEAD") else {"json": {"query": query}}
    async with server.http(bearer) as client, client.stream(method, server.url, headers=headers, **asked) as answer:
        yield answer


async def events(answer: httpx2.Response) -> AsyncIterator[tuple[str, Any]]:
    """What a browser's EventSource would tell of, but for what it costs."""
    name = ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            told = orjson.loads(value) if value else {}
            yield name, {entry: told[entry] for entry in told if entry != "extensions"}


async def heard(server: Server, query: str, method: str = "POST") -> list[tuple[str, Any]]:
    async with stream(server, query, method) as answer:
        assert answer.status_code == 200
        return [event async for event in events(answer)]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_subscription_streams_until_it_is_complete(server: Server, method: str) -> None:
    ticks = [("next", {"data": {"ticks": {"number": number}}}) for number in range(2)]

    assert await heard(server, TICKS, method) == [*ticks, COMPLETE]


async def test_nothing_on_the_way_may_keep_a_stream(server: Server) -> None:
    async with stream(server, TICKS) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["vary"] == "Accept"


async def test_the_words_are_those_of_the_protocol(server: Server) -> None:
    async with stream(server, TICKS) as answer:
        said = await answer.aread()

    first, *others = said.split(b"\n\n")
    assert first == b":"
    assert others[0].startswith(b'event: next\ndata: {"data":{"ticks":{"number":0}}')
    assert others[1:] == [b'event: next\ndata: {"data":{"ticks":{"number":1}}}', b"event: complete\ndata: ", b""]


async def test_queries_and_mutations_go_this_way_too(server: Server) -> None:
    assert await heard(server, "{ name }") == [("next", {"data": {"name": "ada"}}), COMPLETE]
    assert await heard(server, "{ name }", "GET") == [("next", {"data": {"name": "ada"}}), COMPLETE]
    assert await heard(server, "mutation { act }") == [("next", {"data": {"act": True}}), COMPLETE]


@pytest.mark.parametrize(
    ("query", "method"), [("{", "POST"), ("subscription { nothing }", "GET"), ("mutation { act }", "GET")]
)
async def test_an_operation_that_is_refused_is_told_so_in_the_stream(server: Server, query: str, method: str) -> None:
    """A browser's EventSource shows a page nothing of an answer that is none."""
    (name, refusal), end = await heard(server, query, method)

    assert (name, end) == ("next", COMPLETE)
    assert "data" not in refusal
    assert refusal["errors"]


async def test_what_is_no_request_is_refused_before_a_stream_begins(server: Server) -> None:
    async with server.http("ada") as client:
        malformed = await client.post(server.url, json={"query": 3}, headers=EVENTS)
        plain = await client.post(server.url, content="{}", headers={**EVENTS, "Content-Type": "text/plain"})

    assert (malformed.status_code, plain.status_code) == (400, 415)
    assert malformed.headers["content-type"] == "application/json; charset=utf-8"
    assert malformed.json()["errors"][0]["extensions"] == {"code": "INVALID"}


async def test_a_credential_that_opens_nothing_starts_no_stream(server: Server) -> None:
    async with server.http("mallory") as client:
        answer = await client.post(server.url, json={"query": TICKS}, headers=EVENTS)

    assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (401, {"code": "UNAUTHENTICATED"})


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_single_connection_mode_is_not_offered(server: Server, method: str) -> None:
    async with server.http("ada") as client:
        answer = await client.request(method, server.url, headers=EVENTS)

    assert answer.status_code == 405


async def test_head_starts_nothing(server: Server) -> None:
    async with stream(server, FOREVER, "HEAD") as answer:
        assert (answer.status_code, await answer.aread()) == (200, b"")

    assert not Reader.left.is_set()


async def test_a_reader_who_leaves_ends_the_operation(server: Server) -> None:
    async with stream(server, FOREVER) as answer:
        assert await anext(events(answer)) == ("next", {"data": {"forever": 0}})

    async with asyncio.timeout(5):
        await Reader.left.wait()


async def test_a_reader_who_leaves_a_silent_stream_ends_it_too(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with stream(server, "subscription { silent }") as answer:
        assert await anext(answer.aiter_lines()) == ":"

    async with asyncio.timeout(5):
        await Reader.left.wait()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_silent_stream_is_kept_warm(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.05)
    async with stream(server, "subscription { silent }") as answer:
        lines = answer.aiter_lines()
        comments = [await anext(lines) for _ in range(6)]

    assert comments == [":", ""] * 3


async def test_streams_end_when_the_server_closes_and_their_readers_may_come_again(server: Server) -> None:
    async with stream(server, FOREVER) as answer:
        said = events(answer)
        await anext(said)
        server.view.close()
        rest = [name async for name, _ in said]

    assert "complete" not in rest
    assert Reader.left.is_set()


async def test_many_streams_share_a_server(server: Server) -> None:
    everything = await asyncio.gather(*(heard(server, TICKS) for _ in range(20)))

    assert all(len(one) == 3 for one in everything)


NOTICES = "subscription { notices { text eventId } }"


async def told(said: AsyncIterator[tuple[str, Any]]) -> Any:
    name, answer = await anext(said)
    assert name == "next"
    return answer["data"]["notices"]["text"] if "data" in answer else answer["errors"][0]["extensions"]


async def test_streams_and_sockets_that_ask_for_the_same_share_its_execution(server: Server) -> None:
    async with stream(server, NOTICES) as answer, server.acknowledged({"Authorization": "Bearer bob"}) as socket:
        said = events(answer)
        assert await told(said) == "so far 0"
        await subscribe(socket, NOTICES)
        await received(socket)
        the_board().post("hello")

        assert await told(said) == "hello"
        assert (await received(socket))["payload"]["data"]["notices"]["text"] == "hello"
        assert (the_board().heard, len(server.view.groups)) == (1, 1)
    await until(lambda: len(server.view.groups) == len(server.view.sockets) == 0)


async def test_a_fact_has_an_id_and_who_shows_it_goes_on_after_it(server: Server) -> None:
    """As a browser's EventSource does by itself."""
    async with stream(server, NOTICES) as answer:
        lines = answer.aiter_lines()
        while not (await anext(lines)).startswith("data: "):
            pass
        event_id = the_board().post("one")
        block = [line async for line in _block(lines)]
    the_board().post("two")
    the_board().put("power", "3 kW")
    async with stream(server, NOTICES, headers={**EVENTS, "Last-Event-ID": event_id}) as answer:
        said = events(answer)
        assert [await told(said) for _ in range(2)] == ["3 kW", "two"]
        the_board().post("three")
        assert await told(said) == "three"

    assert block[:2] == [f"id: {event_id}", "event: next"]


async def _block(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        if line.startswith("data: "):
            yield line
            return
        if line:
            yield line


async def test_what_is_no_fact_has_no_id(server: Server) -> None:
    async with stream(server, NOTICES) as answer:
        lines = answer.aiter_lines()
        seen = [line async for line in _block(lines)]
        the_board().put("power", "3 kW")
        seen += [line async for line in _block(lines)]

    assert [line for line in seen if line.startswith("id")] == []


async def test_a_cursor_that_is_wrong_is_told_so_in_the_stream(server: Server) -> None:
    async with stream(server, NOTICES, headers={**EVENTS, "Last-Event-ID": "nonsense"}) as answer:
        said = [event async for event in events(answer)]

    assert [name for name, _ in said] == ["next", "complete"]
    assert said[0][1]["errors"][0]["extensions"] == {"code": "INVALID"}


async def test_what_fails_is_told_in_a_last_event(server: Server) -> None:
    async with stream(server, NOTICES) as answer:
        said = events(answer)
        await told(said)
        the_board().end(Unavailable("Redis is gone"))

        assert await told(said) == {"code": "UNAVAILABLE"}
        assert await anext(said) == COMPLETE


async def test_what_cannot_be_told_ends_with_an_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def unspeakable(_answer: Answer) -> bytes:
        raise TypeError("there is no word for it")

    monkeypatch.setattr(Answer, "encoded", unspeakable)
    (name, last), end = await heard(server, "subscription { letters { text } }")

    assert (name, end) == ("next", COMPLETE)
    assert [error["message"] for error in last["errors"]] == ["there is no word for it"]


async def test_a_credential_that_is_revoked_ends_its_streams(server: Server) -> None:
    async with stream(server, NOTICES, bearer="admin") as answer:
        said = events(answer)
        await told(said)
        server.view.sockets.revoked(CREDENTIAL)

        assert await told(said) == {"code": "UNAUTHENTICATED"}
        assert await anext(said) == COMPLETE


async def test_a_credential_that_expires_ends_its_streams(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brief, "lasts_s", 0.3)
    async with stream(server, NOTICES, bearer="brief") as answer:
        said = events(answer)
        await told(said)

        assert await told(said) == {"code": "UNAUTHENTICATED"}


async def test_where_a_revocation_may_have_been_missed_streams_are_asked_about_again(server: Server) -> None:
    async with stream(server, NOTICES) as answer, stream(server, NOTICES, bearer="bob") as other:
        said, heard_by_other = events(answer), events(other)
        await told(said)
        await told(heard_by_other)
        Revoked.credentials.add("Bearer ada")
        server.view.sockets.revoked(None)

        assert await told(said) == {"code": "UNAUTHENTICATED"}
        assert await anext(said) == COMPLETE
        the_board().post("still here")
        assert await told(heard_by_other) == "still here"


async def test_a_credential_that_is_revoked_while_the_request_still_comes_starts_no_stream_that_lasts(
    server: Server,
) -> None:
    body = orjson.dumps({"query": NOTICES})
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\nAccept: text/event-stream\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:5])
    await asyncio.sleep(0.1)
    Revoked.credentials.add("Bearer admin")
    server.view.sockets.revoked(CREDENTIAL)
    writer.write(body[5:])
    async with asyncio.timeout(GUARD_S):
        said = await reader.readuntil(b"event: complete")
    writer.close()

    assert b"UNAUTHENTICATED" in said


async def test_no_stream_lives_for_ever_where_none_is_to_and_its_reader_comes_again() -> None:
    async with serving(Engine(a_schema()), terms=Terms(lifetime_s=0.3)) as server, stream(server, NOTICES) as answer:
        said = events(answer)

        assert await told(said) == "so far 0"
        assert [event async for event in said] == []


async def test_a_stream_that_waits_holds_two_tasks_at_most(server: Server) -> None:
    """Its request's, and one that waits for its reader to leave."""
    async with stream(server, NOTICES) as first:
        await told(events(first))
        before = len(asyncio.all_tasks())
        async with stream(server, NOTICES) as second:
            await told(events(second))
            await until(lambda: len(asyncio.all_tasks()) <= before + 2)


async def test_a_reader_who_falls_behind_is_told_so_in_the_stream() -> None:
    async with serving(Engine(a_schema())) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = orjson.dumps({"query": NOTICES})
        head = "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\nAccept: text/event-stream\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        while b"so far" not in await reader.readline():
            pass
        async with asyncio.timeout(GUARD_S):
            while len(server.view.groups):
                the_board().post("x" * 100_000)
                await asyncio.sleep(0)
        said = bytearray()
        async with asyncio.timeout(GUARD_S):
            while b"event: complete" not in said[-100:]:
                said += await reader.read(1_000_000)
        writer.close()
    ids = [line.removeprefix(b"id: ").decode() for line in said.splitlines() if line.startswith(b"id: ")]
    last = [line.removeprefix(b"data: ") for line in said.splitlines() if line.startswith(b"data: {")][-1]
    error = orjson.loads(last)["errors"][0]["extensions"]

    assert (error["code"], error["gap"]["after"]) == ("RESYNC", ids[-1])
    assert ids == [fact.event_id for fact in the_board().facts[: len(ids)]]

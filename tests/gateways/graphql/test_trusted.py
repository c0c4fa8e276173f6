"""Documents that the server was started with: by id and as text, over every transport, in each mode."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import md5, sha256
from itertools import product
from typing import Any

import httpx2
import orjson
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from domain.actor import Actor, Role
from domain.errors import Forbidden
from gateways.graphql import BadManifest, Call, Engine, Limits, Mode, Purse, Rights, Trusted
from gateways.graphql.manifest import written
from gateways.graphql.trusted import LOGGED_MAX
from tests.gateways.graphql.conftest import Caller, Server, a_schema, received, send, serving, the_board

pytestmark = pytest.mark.anyio

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENTS = "text/event-stream"

KNOWN = 'query Known($text: String = "hello") { name echo(text: $text) }'
TICKS = "subscription Ticks { ticks(count: 2) { number } }"
NOTICES = "subscription Notices { notices { text } }"
ACT = "mutation Act { act }"
TWO = "query One { name } query Two { deeper { name } }"
SCHEMA = "query Schema { __schema { queryType { name } } }"
OTHER = "query Other { name }"

BEARERS = {Mode.OFF: "admin", Mode.LOG: None, Mode.ENFORCE: "ada"}
NOT_FOUND = ("PersistedQueryNotFound", {"code": "NOT_FOUND", "reason": "PERSISTED_QUERY_NOT_FOUND"})
NOT_SUPPORTED = ("PersistedQueryNotSupported", {"code": "INVALID", "reason": "PERSISTED_QUERY_NOT_SUPPORTED"})
ONLY = (
    "only documents that the server was started with are run for this caller",
    {"code": "FORBIDDEN", "reason": "PERSISTED_QUERY_ONLY"},
)

Results = list[dict[str, Any]]
Way = Callable[[Server, str | None, dict[str, Any]], Awaitable[Results]]


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def a_manifest(*texts: str) -> bytes:
    """As Relay and GraphQL Codegen write it."""
    return orjson.dumps({digest(text): text for text in texts})


def trusted(*texts: str, **limits: int) -> Trusted:
    found = Trusted(CORE, Limits(**limits))
    found.add(a_manifest(*texts))
    return found


SCHEMA_OF_ALL = a_schema()
CORE = SCHEMA_OF_ALL._schema


def an_engine(**given: Any) -> Engine:
    return Engine(SCHEMA_OF_ALL, **{"trusted": trusted(KNOWN, TICKS, NOTICES, ACT, TWO, SCHEMA), **given})


def rights(actor: Actor | None, host: str | None) -> Rights:
    """Without a credential it is logged; a viewer has the manifest alone, an administrator is free."""
    if actor is None:
        return Rights("nobody", documents=Mode.LOG)
    if actor.role is Role.ADMIN:
        return Rights(actor.name)
    return Rights(actor.name, documents=Mode.ENFORCE, introspection=Forbidden("this role may not introspect"))


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[Server]:
    async with serving(an_engine(), rights=rights) as server:
        yield server


def in_url(asked: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in asked.items()}


async def posted(server: Server, bearer: str | None, asked: dict[str, Any]) -> Results:
    async with server.http(bearer) as client:
        return [(await client.post(server.url, json=asked)).json()]


async def got(server: Server, bearer: str | None, asked: dict[str, Any]) -> Results:
    async with server.http(bearer) as client:
        return [(await client.get(server.url, params=in_url(asked))).json()]


async def streamed(server: Server, bearer: str | None, asked: dict[str, Any]) -> Results:
    async with server.http(bearer) as client:
        return events(await client.post(server.url, json=asked, headers={"Accept": EVENTS}))


async def streamed_by_get(server: Server, bearer: str | None, asked: dict[str, Any]) -> Results:
    async with server.http(bearer) as client:
        return events(await client.get(server.url, params=in_url(asked), headers={"Accept": EVENTS}))


def events(answer: httpx2.Response) -> Results:
    assert answer.headers["content-type"].startswith(EVENTS)
    return [orjson.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


async def by_socket(server: Server, bearer: str | None, asked: dict[str, Any]) -> Results:
    shown = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    results: Results = []
    async with server.acknowledged(shown) as socket:
        await send(socket, id="1", type="subscribe", payload=asked)
        while (message := await received(socket))["type"] == "next":
            results.append(message["payload"])
        if message["type"] == "error":
            results.append({"errors": message["payload"]})
    return results


each_way = pytest.mark.parametrize("way", [posted, got, streamed, streamed_by_get, by_socket])
each_stream = pytest.mark.parametrize("way", [streamed, streamed_by_get, by_socket])


def by_id(text: str) -> dict[str, Any]:
    return {"documentId": digest(text)}


def by_prefixed_id(text: str) -> dict[str, Any]:
    """As the appendix of GraphQL over HTTP has it."""
    return {"documentId": f"sha256:{digest(text)}"}


def by_extension(text: str) -> dict[str, Any]:
    """As Apollo's and urql's clients have it."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}}


def by_text(text: str) -> dict[str, Any]:
    return {"query": text}


def by_both(text: str) -> dict[str, Any]:
    return by_text(text) | by_extension(text)


IDS = (by_id, by_prefixed_id, by_extension)
NAMINGS = (*IDS, by_text, by_both)


def data(results: Results) -> list[Any]:
    assert all("errors" not in result for result in results), results
    return [result["data"] for result in results]


def refusal(results: Results) -> tuple[str, dict[str, Any]]:
    """The message and extensions of the one error, of what was not executed."""
    (result,) = results
    (error,) = result["errors"]
    assert "data" not in result
    return error["message"], error["extensions"]


def counted(mode: Mode, source: str) -> float:
    return REGISTRY.get_sample_value("voltgraph_graphql_sources_total", {"mode": mode, "source": source}) or 0


@each_way
async def test_a_document_of_the_manifest_runs_for_all(server: Server, way: Way) -> None:
    for mode, named in product(Mode, NAMINGS):
        answers = await way(server, BEARERS[mode], named(KNOWN) | {"variables": {"text": "Ω"}})

        assert data(answers) == [{"name": BEARERS[mode], "echo": "Ω"}]


@each_stream
async def test_a_subscription_of_the_manifest_streams_for_all(server: Server, way: Way) -> None:
    for mode, named in product(Mode, NAMINGS):
        answers = await way(server, BEARERS[mode], named(TICKS))

        assert data(answers) == [{"ticks": {"number": number}} for number in range(2)]


@each_way
async def test_another_document_runs_unless_only_the_manifest_may(server: Server, way: Way) -> None:
    for more in ({}, by_id(OTHER), by_extension(OTHER)):
        asked = by_text(OTHER) | more

        assert data(await way(server, BEARERS[Mode.OFF], asked)) == [{"name": BEARERS[Mode.OFF]}]
        assert data(await way(server, BEARERS[Mode.LOG], asked)) == [{"name": BEARERS[Mode.LOG]}]
        assert refusal(await way(server, BEARERS[Mode.ENFORCE], asked)) == ONLY


@each_way
async def test_who_has_the_manifest_alone_is_refused_before_anything_is_read(
    server: Server, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("it was read")

    for name in ("scan", "parse", "validate"):
        monkeypatch.setattr(f"gateways.graphql.documents.{name}", never)

    for text in ("{", "{ nothing }", "{ __typename }", SCHEMA + " ", "{ " * 1_000, "a" * 40_000):
        assert refusal(await way(server, "ada", by_text(text))) == ONLY


@each_way
async def test_an_id_that_nobody_knows_is_told_as_clients_understand_it(server: Server, way: Way) -> None:
    for mode, named in product(Mode, IDS):
        assert refusal(await way(server, BEARERS[mode], named(OTHER))) == NOT_FOUND


@each_way
async def test_where_there_is_no_manifest_clients_are_told_to_send_texts(anyio_backend: str, way: Way) -> None:
    async with serving(Engine(SCHEMA_OF_ALL)) as server:
        for named in IDS:
            assert refusal(await way(server, "ada", named(KNOWN))) == NOT_SUPPORTED
            assert data(await way(server, "ada", by_text(KNOWN) | named(KNOWN))) == [{"name": "ada", "echo": "hello"}]


@each_way
async def test_an_id_beside_the_text_of_another_document_is_no_request(server: Server, way: Way) -> None:
    for mode in Mode:
        message, extensions = refusal(await way(server, BEARERS[mode], by_text(OTHER) | by_id(KNOWN)))

        assert (message, extensions["code"]) == ("the query is not the document that the id stands for", "INVALID")


@pytest.mark.parametrize(
    ("asked", "status"),
    [(by_id(OTHER), 404), (by_text(OTHER), 403), (by_text(OTHER) | by_id(KNOWN), 400), (by_id(KNOWN), 200)],
)
async def test_the_status_says_so_to_whom_it_may(server: Server, asked: dict[str, Any], status: int) -> None:
    """`application/json` has 200 for what was understood."""
    async with server.http("ada") as client:
        telling = await client.post(server.url, json=asked, headers={"Accept": GRAPHQL_RESPONSE})
        plain = await client.post(server.url, json=asked, headers={"Accept": JSON})

    assert (telling.status_code, plain.status_code) == (status, 200)


@pytest.mark.parametrize("named", [by_id, by_extension])
async def test_a_get_by_id_only_reads_and_is_no_page(server: Server, named: Callable[[str], dict[str, Any]]) -> None:
    async with server.http("ada") as client:
        acting = await client.get(server.url, params=in_url(named(ACT)))
        browsing = await client.get(server.url, params=in_url(named(KNOWN)), headers={"Accept": "text/html,*/*;q=0.8"})

    assert acting.status_code == 405
    assert browsing.json()["data"] == {"name": "ada", "echo": "hello"}


async def test_of_several_operations_one_is_named(server: Server) -> None:
    for name, told in (("One", {"name": "ada"}), ("Two", {"deeper": {"name": "ada"}})):
        assert data(await posted(server, "ada", by_id(TWO) | {"operationName": name})) == [told]
    assert refusal(await posted(server, "ada", by_id(TWO)))[1] == {"code": "INVALID"}


async def test_the_manifest_opens_no_field(server: Server) -> None:
    (answer,) = await posted(server, "ada", by_id(SCHEMA))

    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    assert data(await posted(server, "admin", by_id(SCHEMA))) == [{"__schema": {"queryType": {"name": "Query"}}}]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"query": None},
        {"extensions": {}},
        {"extensions": {"persistedQuery": None}},
        {"extensions": {"persistedQuery": digest(KNOWN)}},
        {"extensions": {"persistedQuery": {"sha256Hash": digest(KNOWN)}}},
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": digest(KNOWN)}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": [digest(KNOWN)]}}},
        {"documentId": 3},
        {"documentId": ["x"], "query": KNOWN},
        {"query": 3, "documentId": digest(KNOWN)},
    ],
)
async def test_neither_a_text_nor_an_id_is_no_request(server: Server, asked: dict[str, Any]) -> None:
    async with server.http("ada") as client:
        answer = await client.post(server.url, json=asked)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (400, {"code": "INVALID"})

    with pytest.raises(ConnectionClosed) as error:
        await by_socket(server, "ada", asked)
    assert error.value.rcvd is not None
    assert error.value.rcvd.code == 4400


async def test_an_empty_text_is_none(server: Server) -> None:
    assert refusal(await posted(server, "ada", {"query": ""})) == ("there is no query", {"code": "INVALID"})
    assert data(await posted(server, "ada", {"query": "", **by_id(KNOWN)})) == [{"name": "ada", "echo": "hello"}]
    assert refusal(await posted(server, "ada", {"documentId": ""})) == NOT_FOUND


async def test_who_asks_by_id_shares_with_who_asks_by_text(server: Server) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        for operation, asked in (("id", by_id(NOTICES)), ("text", by_text(NOTICES))):
            await send(socket, id=operation, type="subscribe", payload=asked)
            assert (await received(socket))["payload"]["data"] == {"notices": {"text": "so far 0"}}
        board = the_board()
        await asyncio.sleep(0)
        board.post("news")
        told = [await received(socket) for _ in range(2)]

    assert {message["id"] for message in told} == {"id", "text"}
    assert board.heard == 1


async def test_what_is_trusted_still_has_its_cost(anyio_backend: str) -> None:
    dear = an_engine(trusted=trusted(KNOWN, cost=1), limits=Limits(cost=1))
    answer = await dear.execute(Call(None, document_id=digest(KNOWN)), Caller(None), Rights("ada"))

    assert [error.extensions for error in answer.errors or ()] == [{"code": "LIMIT", "limit": "cost"}]


async def test_what_is_trusted_is_paid_for_but_not_its_reading(anyio_backend: str) -> None:
    engine = an_engine(purse=Purse(per_s=1, burst=1_000))
    told = [
        await engine.execute(call, Caller(None), Rights(principal))
        for principal, call in (("ada", Call(None, document_id=digest(KNOWN))), ("bob", Call(OTHER)))
    ]

    costs = [(answer.extensions or {})["cost"] for answer in told]
    assert [cost["requested"] for cost in costs] == [2, 1]
    assert costs[0]["remaining"] == 998
    assert costs[1]["remaining"] < 975


async def test_what_is_trusted_is_ready_and_is_not_looked_up_in_what_is_forgotten(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = an_engine()
    call = Call(None, document_id=digest(KNOWN))
    found = engine._trusted
    assert found is not None
    document = found.find(None, digest(KNOWN), Mode.OFF)
    assert document is not None
    assert "plan" in vars(document.operation())

    monkeypatch.setattr(engine.documents, "find", None)
    for asked in (call, Call(KNOWN)):
        assert (await engine.execute(asked, Caller(None), Rights("ada"))).data == {"name": None, "echo": "hello"}
    assert found.find(KNOWN, None, Mode.OFF) is document


async def test_the_log_has_each_document_that_is_missing_once(server: Server) -> None:
    with capture_logs() as lines:
        for asked in (by_text(OTHER), by_text(OTHER), by_text("{"), by_id(KNOWN), by_text(KNOWN), by_id(OTHER)):
            await posted(server, None, asked)
        await posted(server, "admin", by_text("query Free { name }"))

    assert [line for line in lines if "manifest" in line["event"]] == [
        {
            "event": "a document that is not in the manifest",
            "log_level": "warning",
            "sha256": digest(OTHER),
            "operations": ["Other"],
            "principal": "nobody",
        }
    ]


async def test_what_is_logged_has_an_end(anyio_backend: str) -> None:
    engine = an_engine()
    with capture_logs() as lines:
        for number in range(LOGGED_MAX + 10):
            text = f"query Q{number} {{ name }}"
            await engine.execute(Call(text), Caller(None), Rights("nobody", documents=Mode.LOG))

    assert len(lines) == LOGGED_MAX + 1
    assert lines[-1]["event"].startswith("more documents")


@pytest.mark.parametrize("mode", Mode)
async def test_what_is_asked_is_counted(server: Server, mode: Mode) -> None:
    sources = ("id", "text", "untrusted", "unknown_id")
    before = [counted(mode, source) for source in sources]

    for asked in (by_id(KNOWN), by_text(KNOWN), by_both(KNOWN), by_text(OTHER), by_id(OTHER), by_both(OTHER)):
        await posted(server, BEARERS[mode], asked)

    after = [counted(mode, source) for source in sources]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 2, 1]


async def found(manifest: bytes, id: str) -> Any:
    one = Trusted(CORE, Limits())
    one.add(manifest)
    return one.find(None, id, Mode.ENFORCE)


async def test_ids_may_be_of_any_kind_and_the_hash_is_one_in_any_case() -> None:
    """Relay's are MD5 by default, Codegen's SHA-1."""
    own = md5(KNOWN.encode(), usedforsecurity=False).hexdigest()
    for id in (own, digest(KNOWN), f"sha256:{digest(KNOWN)}"):
        assert (await found(orjson.dumps({own: KNOWN}), id)).text == KNOWN


async def test_what_is_written_is_read() -> None:
    manifest = written({"Ticks": ("subscription", TICKS), "Known": ("query", KNOWN)})

    assert [one["name"] for one in orjson.loads(manifest)["operations"]] == ["Known", "Ticks"]
    for text in (KNOWN, TICKS):
        assert (await found(manifest, digest(text))).text == text


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (b"", "is not JSON"),
        (b"[]", "is not an object of ids and documents"),
        (b'{"format": "other", "operations": []}', "is neither apollo-persisted-query-manifest 1"),
        (b'{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}', "is neither"),
        (
            b'{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [1]}',
            "an operation is an object",
        ),
        (b'{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "a"}]}', "a: is not"),
        (b'{"a": {"text": "{ name }"}}', "a: is not the id of a text"),
        (b'{"": "{ name }"}', ": is not the id of a text"),
        (orjson.dumps({digest(KNOWN): OTHER}), f"Other ({digest(KNOWN)}): the id is not the SHA-256 of the text"),
        (orjson.dumps({f"sha256:{digest(KNOWN)}": "{ name }"}), f"sha256:{digest(KNOWN)}: the id is not the SHA-256"),
        (b'{"a": "query A {\\n  nam\\n}"}', "A (a): Cannot query field 'nam' on type 'Query'. Did you mean 'name'?"),
        (b'{"a": "query A {\\n  nam\\n}"}', "(line 2, column 3)"),
        (b'{"a": "query A {"}', "A (a): Syntax Error: Expected Name, found <EOF>. (line 1, column 10)"),
        (b'{"a": ""}', "a: Syntax Error"),
        (b'{"a": "fragment F on Query { name }"}', "a: Fragment 'F' is never used."),
        (b'{"a": "type A { a: Int }"}', "a: The 'A' definition is not executable."),
        (orjson.dumps({"a": "{ " + "deeper { " * 16 + "name" + " }" * 17}), "a: fields are nested more than 15 levels"),
        (
            orjson.dumps(
                {
                    "format": "apollo-persisted-query-manifest",
                    "version": 1,
                    "operations": [{"id": "a", "body": KNOWN}, {"id": "a", "body": OTHER}],
                }
            ),
            "Other (a): the id stands for two documents",
        ),
    ],
)
async def test_a_wrong_manifest_is_told_in_one_line(manifest: bytes, told: str) -> None:
    with pytest.raises(BadManifest) as mistake:
        Trusted(CORE, Limits()).add(manifest)

    assert told in str(mistake.value)
    assert "\n" not in str(mistake.value)


async def test_several_manifests_are_one() -> None:
    """Of several clients, and of releases of them that are still in use."""
    both = Trusted(CORE, Limits())
    both.add(a_manifest(KNOWN, TICKS))
    both.add(written({"Known": ("query", KNOWN), "Act": ("mutation", ACT)}))

    assert len(both) == 3

"""GraphQL over HTTP, as a client sees it that takes nothing for granted."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest

from gateways.graphql import Engine, Purse
from tests.gateways.graphql.conftest import BODY_MAX_BYTES, Server, a_schema, serving

pytestmark = pytest.mark.anyio

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
MUTATION = "mutation { act }"
SUBSCRIPTION = "subscription { ticks { number } }"
COERCED = {"query": "query ($text: String!) { echo(text: $text) }", "variables": {"text": None}}

each_medium = pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE])


def told(answer: httpx2.Response) -> tuple[int, list[str]]:
    """The status and codes of a request that was not executed."""
    body = answer.json()
    assert answer.headers["content-type"] in (f"{JSON}; charset=utf-8", f"{GRAPHQL_RESPONSE}; charset=utf-8")
    assert answer.headers["vary"] == "Accept"
    assert "data" not in body
    assert all(error["message"] for error in body["errors"])
    return answer.status_code, [error["extensions"]["code"] for error in body["errors"]]


def data(answer: httpx2.Response) -> Any:
    """Of an operation that went well; what it cost is told beside it."""
    body = answer.json()
    assert (answer.status_code, set(body) - {"extensions"}) == (200, {"data"}), body
    return body["data"]


async def posted(server: Server, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, str | bytes) else orjson.dumps(body)
    given = {"Content-Type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with server.http("ada") as client:
        return await client.post(server.url, content=content, headers=given)


async def got(server: Server, accept: str = JSON, **parameters: str) -> httpx2.Response:
    async with server.http("ada") as client:
        return await client.get(server.url, params=parameters, headers={"Accept": accept})


async def test_a_query_is_answered_by_post_and_by_get(server: Server) -> None:
    by_post, by_get = await posted(server, {"query": "{ name }"}), await got(server, query="{ name }")

    assert data(by_post) == data(by_get) == {"name": "ada"}
    assert by_post.headers["content-type"] == by_get.headers["content-type"] == "application/json; charset=utf-8"
    assert by_post.headers["cache-control"] == by_get.headers["cache-control"] == "no-store"


async def test_without_a_credential_it_is_each_fields_matter(server: Server) -> None:
    async with server.http() as client:
        answer = await client.post(server.url, json={"query": "{ name }"})

    assert data(answer) == {"name": None}


async def test_a_credential_that_opens_nothing_is_refused_before_all_else(server: Server) -> None:
    async with server.http("mallory") as client:
        answer = await client.post(server.url, content="this is not read")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_who_cannot_be_asked_about_is_not_refused_for_good(server: Server) -> None:
    async with server.http("down") as client:
        answer = await client.post(server.url, json={"query": "{ name }"})

    assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (503, {"code": "UNAVAILABLE"})


@each_medium
async def test_an_answer_comes_in_the_medium_that_was_asked_for(server: Server, accept: str) -> None:
    answer = await posted(server, {"query": "{ name }"}, Accept=accept)

    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{accept}; charset=utf-8")
    assert answer.headers["vary"] == "Accept"


async def test_several_accept_headers_are_one(server: Server) -> None:
    headers = [("Accept", "image/png"), ("Accept", GRAPHQL_RESPONSE)]
    async with server.http("ada") as client:
        answer = await client.post(server.url, json={"query": "{ name }"}, headers=headers)

    assert answer.headers["content-type"].startswith(GRAPHQL_RESPONSE)


async def test_who_takes_none_of_our_media_is_told_which_there_are(server: Server) -> None:
    answer = await posted(server, {"query": "{ name }"}, Accept="image/png")

    assert told(answer) == (406, ["INVALID"])
    assert GRAPHQL_RESPONSE in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("request_", [{"query": "{"}, {"query": "{ nothing }"}, COERCED])
async def test_an_operation_that_is_wrong_has_no_data(server: Server, request_: dict[str, Any]) -> None:
    """`application/json` may have come from anybody on the way, unless it is 200."""
    plain = await posted(server, request_, Accept=JSON)
    telling = await posted(server, request_, Accept=GRAPHQL_RESPONSE)

    assert (plain.status_code, telling.status_code) == (200, 400)
    assert plain.json() == telling.json()
    assert "data" not in plain.json()
    assert plain.json()["errors"]


@each_medium
async def test_a_field_that_fails_leaves_the_answer_one(server: Server, accept: str) -> None:
    answer = await posted(server, {"query": "{ name breaks }"}, Accept=accept)

    assert (answer.status_code, answer.json()["data"]) == (200, {"name": "ada", "breaks": None})
    assert answer.json()["errors"][0]["extensions"] == {"code": "CONFLICT"}


@each_medium
@pytest.mark.parametrize("query", [MUTATION, SUBSCRIPTION])
async def test_a_get_only_reads(server: Server, query: str, accept: str) -> None:
    answer = await got(server, accept, query=query)

    assert told(answer) == (405, ["INVALID"])
    assert answer.headers["allow"] == "POST"


async def test_of_several_operations_the_named_one_decides_whether_a_get_may(server: Server) -> None:
    query = f"query Read {{ name }} {MUTATION.replace('mutation', 'mutation Write')}"

    assert data(await got(server, query=query, operationName="Read")) == {"name": "ada"}
    assert (await got(server, query=query, operationName="Write")).status_code == 405


@each_medium
async def test_a_subscription_has_no_single_answer(server: Server, accept: str) -> None:
    assert told(await posted(server, {"query": SUBSCRIPTION}, Accept=accept)) == (406, ["INVALID"])


@each_medium
async def test_who_has_spent_all_is_told_when_to_come_again(anyio_backend: str, accept: str) -> None:
    async with serving(Engine(a_schema(), purse=Purse(per_s=1, burst=50))) as poor:
        first, *_, last = [await posted(poor, {"query": "{ name }"}, Accept=accept) for _ in range(60)]

    assert data(first) == {"name": "ada"}
    assert told(last) == (429, ["LIMIT"])
    assert int(last.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/graphql", "text/json", ""],
)
async def test_what_a_page_of_others_can_send_is_not_taken(server: Server, content_type: str) -> None:
    """A browser sends most of these to anybody without asking first."""
    assert told(await posted(server, {"query": MUTATION}, Content_Type=content_type)) == (415, ["INVALID"])


async def test_a_form_is_not_taken(server: Server) -> None:
    async with server.http("ada") as client:
        form = await client.post(server.url, data={"query": MUTATION})
        upload = await client.post(server.url, files={"operations": b'{"query": "mutation { act }"}'})
        nameless = await client.post(server.url, content=orjson.dumps({"query": MUTATION}))

    assert told(form) == told(upload) == told(nameless) == (415, ["INVALID"])


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"'])
async def test_a_body_is_utf_8_whether_it_says_so_or_not(server: Server, charset: str) -> None:
    asked = {"query": '{ echo(text: "Run🏃Swim🏊 Ω ") }'}
    silent, telling = (
        await posted(server, asked),
        await posted(server, asked, Content_Type=f"{JSON}; charset={charset}"),
    )

    assert data(silent) == data(telling) == {"echo": "Run🏃Swim🏊 Ω "}


async def test_another_charset_is_not_taken(server: Server) -> None:
    body = '{"query": "{ echo(text: \\"é\\") }"}'.encode("latin-1")

    assert told(await posted(server, body, Content_Type=f"{JSON}; charset=iso-8859-1")) == (415, ["INVALID"])
    assert told(await posted(server, body)) == (400, ["INVALID"])


async def test_a_url_is_utf_8(server: Server) -> None:
    assert data(await got(server, query='{ echo(text: "Run🏃 + Ω") }')) == {"echo": "Run🏃 + Ω"}
    async with server.http() as client:
        assert told(await client.get(f"{server.url}?query=%FF%FE")) == (400, ["INVALID"])


@each_medium
@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ("", ["the body is empty"]),
        ("{", ["the body is not JSON"]),
        ("\x00", ["the body is not JSON"]),
        ('{"query": NaN}', ["the body is not JSON"]),
        ("[" * 5_000, ["the body is not JSON"]),
        ('[{"query": "{ name }"}]', ["a request is one operation: batches are not taken"]),
        ("[]", ["a request is one operation: batches are not taken"]),
        ('"{ name }"', ["the body must be a JSON object"]),
        ("null", ["the body must be a JSON object"]),
        ("{}", ["query is missing"]),
        ('{"query": null}', ["query is missing"]),
        ('{"query": 3}', ["query must be a string, not a number"]),
        ('{"query": ["{ name }"]}', ["query must be a string, not an array"]),
        ('{"query": "{ name }", "variables": []}', ["variables must be an object, not an array"]),
        ('{"query": "{ name }", "variables": "{}"}', ["variables must be an object, not a string"]),
        ('{"query": "{ name }", "operationName": {}}', ["operationName must be a string, not an object"]),
        ('{"query": "{ name }", "extensions": false}', ["extensions must be an object, not a boolean"]),
        (
            '{"variables": 1, "operationName": 2, "extensions": 3.5}',
            ["query is missing"]
            + [
                f"{name} must be {wanted}, not a number"
                for name, wanted in (
                    ("variables", "an object"),
                    ("operationName", "a string"),
                    ("extensions", "an object"),
                )
            ],
        ),
    ],
)
async def test_a_body_that_is_no_request_is_told_all_that_is_wrong(
    server: Server, body: str, problems: list[str], accept: str
) -> None:
    answer = await posted(server, body, Accept=accept)

    assert told(answer) == (400, ["INVALID"] * len(problems))
    messages = [error["message"] for error in answer.json()["errors"]]
    assert all(message.startswith(problem) for message, problem in zip(messages, problems, strict=True)), messages


@pytest.mark.parametrize(
    ("query_string", "problem"),
    [
        ("", "query is missing"),
        ("query=", "query is missing"),
        ("query={name}&variables={", "variables is not JSON"),
        ("query={name}&variables=[]", "variables must be an object, not an array"),
        ("query={name}&extensions=true", "extensions must be an object, not a boolean"),
        ("query={name}&query={deeper{name}}", "a parameter is given twice"),
        ("query={name}&" + "&".join(f"a{number}=1" for number in range(60)), "the URL's query is not form-encoded"),
    ],
)
async def test_a_url_that_is_no_request_is_told_what_is_wrong(server: Server, query_string: str, problem: str) -> None:
    async with server.http("ada") as client:
        answer = await client.get(f"{server.url}?{query_string}")

    assert told(answer) == (400, ["INVALID"])
    assert answer.json()["errors"][0]["message"].startswith(problem)


@pytest.mark.parametrize("parameter", ["variables", "operationName", "extensions"])
async def test_null_is_as_good_as_nothing(server: Server, parameter: str) -> None:
    assert data(await posted(server, {"query": "{ name }", parameter: None})) == {"name": "ada"}
    assert data(await got(server, query="{ name }", **{parameter: ""})) == {"name": "ada"}


async def test_null_is_a_name_in_a_url(server: Server) -> None:
    query = "query null { name } query other { __typename }"

    assert data(await got(server, query=query, operationName="null")) == {"name": "ada"}


async def test_variables_go_both_ways(server: Server) -> None:
    query = "query ($text: String!) { echo(text: $text) }"
    expected = {"echo": "Ω"}

    assert data(await posted(server, {"query": query, "variables": {"text": "Ω"}})) == expected
    assert data(await got(server, query=query, variables='{"text": "Ω"}')) == expected


async def test_what_the_specification_does_not_know_is_not_looked_at(server: Server) -> None:
    assert data(await posted(server, {"query": "{ name }", "id": 7})) == {"name": "ada"}
    assert data(await got(server, query="{ name }", utm_source="mail")) == {"name": "ada"}


async def test_the_url_of_a_post_asks_for_nothing(server: Server) -> None:
    async with server.http("ada") as client:
        answer = await client.post(f"{server.url}?query={{deeper{{name}}}}", json={"query": "{ name }"})

    assert data(answer) == {"name": "ada"}


async def test_a_body_may_come_in_parts(server: Server) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for byte in orjson.dumps({"query": '{ echo(text: "🏃") }'}):
            yield bytes([byte])
            await asyncio.sleep(0)

    async with server.http("ada") as client:
        answer = await client.post(server.url, content=parts(), headers={"Content-Type": JSON})

    assert data(answer) == {"echo": "🏃"}


async def test_a_body_that_is_too_big_is_refused_however_it_comes(server: Server) -> None:
    fits, too_big = (orjson.dumps({"query": "{ name }"}).ljust(BODY_MAX_BYTES + more) for more in (0, 1))

    async def parts() -> AsyncIterator[bytes]:
        yield too_big[:70_000]
        yield too_big[70_000:]

    async with server.http("ada") as client:
        taken = await client.post(server.url, content=fits, headers={"Content-Type": JSON})
        at_once = await client.post(server.url, content=too_big, headers={"Content-Type": JSON})
        in_parts = await client.post(server.url, content=parts(), headers={"Content-Type": JSON})

    assert data(taken) == {"name": "ada"}
    assert told(at_once) == told(in_parts) == (413, ["LIMIT"])


async def test_who_goes_in_the_middle_of_a_request_is_no_news(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: 1000\r\n\r\n"
    writer.write(head.encode() + b'{"query"')
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert data(await posted(server, {"query": "{ name }"})) == {"name": "ada"}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert await reader.read() == b""


async def test_head_is_get_without_the_answer(server: Server) -> None:
    async with server.http("ada") as client:
        by_get = await client.get(server.url, params={"query": "{ name }"})
        by_head = await client.head(server.url, params={"query": "{ name }"})
        writing = await client.head(server.url, params={"query": MUTATION})

    assert (by_head.status_code, by_head.content) == (200, b"")
    assert by_head.headers["content-length"] == by_get.headers["content-length"]
    assert writing.status_code == 405


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "QUERY"])
async def test_other_methods_are_no_way_to_ask(server: Server, method: str) -> None:
    async with server.http("ada") as client:
        answer = await client.request(method, server.url, params={"query": "{ name }"}, json={"query": "{ name }"})

    assert told(answer) == (405, ["INVALID"])
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_options_names_the_methods_and_lets_no_page_of_others_in(server: Server) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    async with server.http() as client:
        answer = await client.options(server.url, headers=preflight)

    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_browsers_get_a_page_and_others_do_not(server: Server) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    async with server.http() as client:
        page = await client.get(server.url, headers=browser)
        rather = await client.get(server.url, headers={"Accept": "application/json, text/html;q=0.5"})
        anything = await client.get(server.url, headers={"Accept": "*/*"})
        link = await client.get(server.url, params={"query": "{ name }"}, headers=browser)
        sent = await client.post(server.url, json={"query": "{ name }"}, headers=browser)

    assert page.headers["content-type"].startswith("text/html")
    assert told(rather) == told(anything) == (400, ["INVALID"])
    assert data(link) == data(sent) == {"name": None}

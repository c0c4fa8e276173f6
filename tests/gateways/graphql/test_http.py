import pytest

from tests.gateways.graphql.conftest import Server

pytestmark = pytest.mark.anyio


async def test_a_query_is_answered_by_post_and_by_get(server: Server) -> None:
    async with server.http("ada") as client:
        posted = await client.post(server.url, json={"query": "{ name }"})
        got = await client.get(server.url, params={"query": "{ name }"})

    assert posted.json() == got.json() == {"data": {"name": "ada"}}
    assert posted.headers["content-type"] == "application/json"


async def test_without_a_credential_it_is_each_fields_matter(server: Server) -> None:
    async with server.http() as client:
        answer = await client.post(server.url, json={"query": "{ name }"})

    assert (answer.status_code, answer.json()) == (200, {"data": {"name": None}})


async def test_a_credential_that_opens_nothing_is_refused_before_all_else(server: Server) -> None:
    async with server.http("mallory") as client:
        answer = await client.post(server.url, content="this is not read")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_who_cannot_be_asked_about_is_not_refused_for_good(server: Server) -> None:
    async with server.http("down") as client:
        answer = await client.post(server.url, json={"query": "{ name }"})

    assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (503, {"code": "UNAVAILABLE"})


async def test_a_mutation_does_not_go_by_get(server: Server) -> None:
    async with server.http("ada") as client:
        answer = await client.get(server.url, params={"query": "mutation { act }"})

    assert answer.status_code == 400


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_what_a_page_of_others_can_send_is_not_taken(server: Server, content_type: str) -> None:
    """A browser sends these to anybody without asking first."""
    async with server.http("ada") as client:
        answer = await client.post(server.url, content='{"query": "{ name }"}', headers={"Content-Type": content_type})

    assert answer.status_code == 400


@pytest.mark.parametrize("body", ["", "{", "[]", '{"query": 3}', '{"query": "{ name }", "variables": []}', "\x00"])
async def test_a_body_that_is_no_request_is_refused(server: Server, body: str) -> None:
    async with server.http("ada") as client:
        answer = await client.post(server.url, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400


async def test_a_subscription_streams_as_server_sent_events(server: Server) -> None:
    async with server.http("ada") as client:
        query = {"query": "subscription { ticks(count: 2) { number } }"}
        async with client.stream("POST", server.url, json=query, headers={"Accept": "text/event-stream"}) as answer:
            lines = [line async for line in answer.aiter_lines() if line and not line.startswith(":")]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert lines == [
        "event: next",
        'data: {"data":{"ticks":{"number":0}}}',
        "event: next",
        'data: {"data":{"ticks":{"number":1}}}',
        "event: complete",
        "data: ",
    ]


async def test_browsers_get_graphiql_and_others_do_not(server: Server) -> None:
    async with server.http() as client:
        page = await client.get(server.url, headers={"Accept": "text/html,application/xhtml+xml"})
        anything = await client.get(server.url, headers={"Accept": "*/*"})

    assert page.headers["content-type"].startswith("text/html")
    assert "GraphiQL.createFetcher" in page.text
    assert anything.status_code == 400

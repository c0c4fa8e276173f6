"""Server-sent events by the reference client, graphql-sse."""

import asyncio

import pytest

from tests.clients.conftest import run
from tests.gateways.graphql.conftest import Reader, Server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("node_modules")]


async def test_it_reads_a_subscription_to_its_end(gateway: Server) -> None:
    heard = await run("events.mjs", gateway.url, "ada", "subscription { ticks(count: 3) { number } }")

    assert heard == [*({"data": {"ticks": {"number": number}}} for number in range(3)), "over"]


async def test_it_leaves_when_it_has_enough(gateway: Server) -> None:
    assert await run("events.mjs", gateway.url, "ada", "subscription { forever }", "2") == [
        {"data": {"forever": 0}},
        {"data": {"forever": 1}},
        "over",
    ]
    async with asyncio.timeout(5):
        await Reader.left.wait()


async def test_it_has_queries_answered(gateway: Server) -> None:
    assert await run("events.mjs", gateway.url, "ada", "{ name }") == [{"data": {"name": "ada"}}, "over"]


async def test_it_is_told_what_is_wrong_with_an_operation(gateway: Server) -> None:
    refusal, end = await run("events.mjs", gateway.url, "ada", "subscription { nothing }")

    assert (list(refusal), end) == (["errors"], "over")
    assert "nothing" in refusal["errors"][0]["message"]


async def test_it_is_told_when_its_credential_opens_nothing(gateway: Server) -> None:
    (refusal,) = await run("events.mjs", gateway.url, "mallory", "{ name }")

    assert refusal["status"] == 401

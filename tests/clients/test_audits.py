"""GraphQL over HTTP by the audits of graphql-http: all of them, the SHOULD and the MAY too."""

import httpx2
import pytest

from gateways.graphql.view import BODY_MAX_BYTES
from tests.clients.conftest import run
from tests.gateways.graphql.conftest import Server as Gateway
from tests.journeys.clients import Tenant
from tests.journeys.servers import Server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("node_modules")]

AUDITS = 61


async def failed(*arguments: str) -> dict[str, str]:
    """The audits that fail, and why."""
    (results,) = await run("audits.mjs", *arguments)
    assert len(results) == AUDITS
    return {one["id"]: f"{one['name']}: {one['reason']}" for one in results if one["status"] != "ok"}


async def test_the_gateway_passes_every_audit(gateway: Gateway) -> None:
    assert await failed(gateway.url, "ada") == {}
    assert await failed(gateway.url) == {}


async def test_the_application_passes_every_audit(application: Server, tenant: Tenant) -> None:
    assert await failed(f"{application.url}/graphql", tenant.secret) == {}


async def test_the_application_passes_every_audit_of_a_stranger_too(application: Server) -> None:
    assert await failed(f"{application.url}/graphql") == {}


async def test_the_application_tells_of_a_body_that_is_too_big_as_of_anything(
    application: Server, tenant: Tenant
) -> None:
    headers = {"Authorization": f"Bearer {tenant.secret}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(headers=headers) as client:
        answer = await client.post(f"{application.url}/graphql", content=b" " * (BODY_MAX_BYTES + 1))

    assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (413, {"code": "LIMIT"})

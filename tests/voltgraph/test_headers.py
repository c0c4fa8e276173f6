"""What browsers are told with every answer, and whose pages may read one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from voltgraph.app import create_app
from voltgraph.headers import BrowserHeaders
from voltgraph.settings import Settings

pytestmark = pytest.mark.anyio

UI = "https://ui.example"
ELSEWHERE = "https://elsewhere.example"


async def answer(request: Request) -> Response:
    return JSONResponse({}, headers={"Vary": "Accept", "Retry-After": "1"})


async def page(request: Request) -> Response:
    return Response("", headers={"Content-Security-Policy": "default-src 'self'", "Cache-Control": "no-cache"})


async def failure(request: Request) -> Response:
    raise RuntimeError("on purpose")


def an_app(*origins: str) -> Starlette:
    """Ours before its start, with answers of the tests' own."""
    app = create_app(Settings(allowed_origins=origins))
    app.router.routes[:] = [
        Route("/answer", answer, methods=["GET", "POST"]),
        Route("/page", page),
        Route("/failure", failure),
    ]
    return app


@asynccontextmanager
async def asking(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://ours") as client:
        yield client


def shared(told: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in told.headers.items() if name.startswith("access-control-")}


async def preflight(client: httpx2.AsyncClient, origin: str) -> httpx2.Response:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    return await client.options("/answer", headers={"Origin": origin, **asked})


@pytest.mark.parametrize(("path", "status"), [("/answer", 200), ("/nowhere", 404), ("/failure", 500)])
async def test_every_answer_tells_browsers_to_make_nothing_of_it(path: str, status: int) -> None:
    async with asking(an_app()) as client:
        told = await client.get(path)

    assert told.status_code == status
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["referrer-policy"] == "no-referrer"
    assert told.headers["cross-origin-resource-policy"] == "same-origin"
    assert told.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert told.headers["cache-control"] == "no-store"


async def test_a_page_says_for_itself_what_it_loads_and_how_long_it_is_good() -> None:
    async with asking(an_app()) as client:
        told = await client.get("/page")

    assert told.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert told.headers.get_list("cache-control") == ["no-cache"]
    assert told.headers["x-content-type-options"] == "nosniff"


async def test_headers_that_answers_have_in_common_stay_as_they_are() -> None:
    common = [(b"content-type", b"text/plain")]
    start = {"type": "http.response.start", "status": 200, "headers": common}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body"})

    async with asking(BrowserHeaders(app)) as client:
        told = [await client.get("/") for _ in range(2)]

    assert told[0].headers == told[1].headers
    assert start["headers"] is common
    assert len(common) == 1


async def test_a_listed_page_may_ask_and_read() -> None:
    async with asking(an_app(UI, "https://second.example")) as client:
        asked = await preflight(client, UI)
        told = await client.post("/answer", headers={"Origin": UI})

    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == UI
    assert asked.headers["access-control-allow-methods"] == "GET, POST, PUT"
    allowed = asked.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "last-event-id", "traceparent"} <= set(allowed)
    assert shared(told) == {
        "access-control-allow-origin": UI,
        "access-control-expose-headers": "Content-Disposition, Retry-After, WWW-Authenticate",
    }
    assert told.headers["vary"] == "Accept, Origin"
    assert told.headers["x-content-type-options"] == "nosniff"


async def test_a_listed_page_may_read_failures() -> None:
    async with asking(an_app(UI)) as client:
        told = await client.get("/failure", headers={"Origin": UI})

    assert (told.status_code, told.headers["access-control-allow-origin"]) == (500, UI)


@pytest.mark.parametrize("origin", [ELSEWHERE, "null", f"{UI}.example", "http://ui.example", f"{UI}:8443"])
async def test_other_pages_may_not(origin: str) -> None:
    async with asking(an_app(UI)) as client:
        asked = await preflight(client, origin)
        told = await client.post("/answer", headers={"Origin": origin})

    assert not asked.is_success
    assert shared(asked) == shared(told) == {}


async def test_without_the_setting_no_other_origins_page_may() -> None:
    async with asking(an_app()) as client:
        asked = await preflight(client, UI)
        told = await client.post("/answer", headers={"Origin": UI})

    assert asked.status_code == 405
    assert shared(asked) == shared(told) == {}


async def test_a_star_is_every_page() -> None:
    async with asking(an_app("*")) as client:
        asked = await preflight(client, ELSEWHERE)
        told = await client.post("/answer", headers={"Origin": ELSEWHERE})

    assert asked.headers["access-control-allow-origin"] == "*"
    assert told.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in told.headers


async def test_who_is_no_page_is_told_nothing_of_origins() -> None:
    async with asking(an_app(UI)) as client:
        assert shared(await client.post("/answer")) == {}


async def test_sockets_go_through_untouched() -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    async def nothing() -> dict[str, object]:
        return {}

    async def send(message: object) -> None: ...

    scope: Scope = {"type": "websocket", "headers": [(b"origin", UI.encode())]}
    await BrowserHeaders(app, allowed_origins=[UI])(scope, nothing, send)

    assert seen == [scope, nothing, send]

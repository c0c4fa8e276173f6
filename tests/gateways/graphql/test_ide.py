"""GraphiQL's page: what it loads, from where, and what a browser lets it do."""

import gzip
import hashlib
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from structlog.testing import capture_logs

from gateways.graphql.ide import ASSETS, PAGE, PATH, Ide

pytestmark = pytest.mark.anyio

SCRIPT = b"run('it');"
STYLE = b"body { margin: 0 }"
ROOT = Path(__file__).parents[3]


def pinned(path: str, content: bytes) -> str:
    digest = b64encode(hashlib.sha384(content).digest()).decode()
    return f'"https://unpkg.com/{path}" integrity="sha384-{digest}"'


SMALL = (
    f'<script nonce="{{nonce}}" src={pinned("ide@1.0.0/ide.js", SCRIPT)}></script>'
    f'<link nonce="{{nonce}}" rel="stylesheet" href={pinned("ide@1.0.0/ide.css", STYLE)} />'
)


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """As `make web` leaves them; the license is there for whoever passes them on."""
    folder = tmp_path / "assets" / "ide@1.0.0"
    folder.mkdir(parents=True)
    (folder / "ide.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "ide.css.gz").write_bytes(gzip.compress(STYLE))
    (folder / "LICENSE").write_text("do what you like")
    (tmp_path / "secret.key").write_text("ours")
    return tmp_path / "assets"


@asynccontextmanager
async def browser(ide: Ide) -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=[Route("/graphql", ide), ide.route])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://ours") as client:
        yield client


def sources(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page)


async def test_what_is_there_comes_from_us_alone(assets: Path) -> None:
    async with browser(Ide(page=SMALL, assets=assets)) as client:
        page = (await client.get("/graphql")).text
        answers = {source: await client.get(source) for source in sources(page)}

    assert list(answers) == [f"{PATH}ide@1.0.0/ide.js", f"{PATH}ide@1.0.0/ide.css"]
    script, style = answers.values()
    assert (script.content, script.headers["content-type"]) == (SCRIPT, "text/javascript; charset=utf-8")
    assert (style.content, style.headers["content-type"]) == (STYLE, "text/css; charset=utf-8")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-encoding"] == "gzip"
    assert script.headers["vary"] == "Accept-Encoding"


async def test_who_cannot_unpack_gets_it_unpacked(assets: Path) -> None:
    async with browser(Ide(page=SMALL, assets=assets)) as client:
        script = await client.get(f"{PATH}ide@1.0.0/ide.js", headers={"Accept-Encoding": "identity"})

    assert script.content == SCRIPT
    assert "content-encoding" not in script.headers


async def test_what_is_not_there_comes_from_the_web_pinned(assets: Path) -> None:
    (assets / "ide@1.0.0/ide.css.gz").unlink()
    async with browser(Ide(page=SMALL, assets=assets)) as client:
        page = (await client.get("/graphql")).text
        script = await client.get(f"{PATH}ide@1.0.0/ide.js")

    assert sources(page) == ["https://unpkg.com/ide@1.0.0/ide.js", "https://unpkg.com/ide@1.0.0/ide.css"]
    assert script.status_code == 404


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"steal('it');"), gzip.compress(SCRIPT)[:-9], b"no archive"],
    ids=["another", "half", "no archive"],
)
async def test_what_is_not_as_the_page_pins_it_is_not_given_away(assets: Path, content: bytes) -> None:
    (assets / "ide@1.0.0/ide.js.gz").write_bytes(content)
    with capture_logs() as logs:
        ide = Ide(page=SMALL, assets=assets)
    async with browser(ide) as client:
        page = (await client.get("/graphql")).text
        script = await client.get(f"{PATH}ide@1.0.0/ide.js")

    assert "make web" in logs[0]["event"]
    assert sources(page)[0] == "https://unpkg.com/ide@1.0.0/ide.js"
    assert script.status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "",
        "ide@1.0.0/LICENSE",
        "ide@1.0.0/ide.js.gz",
        "%2e%2e/secret.key",
        "ide@1.0.0/%2e%2e/ide@1.0.0/ide.js",
        "%2fetc/passwd",
        "ide@1.0.0/ide.js%00",
    ],
)
async def test_nothing_is_given_away_that_the_page_does_not_name(assets: Path, path: str) -> None:
    async with browser(Ide(page=SMALL, assets=assets)) as client:
        assert (await client.get(PATH + path)).status_code == 404


async def test_only_what_carries_the_answers_own_nonce_runs() -> None:
    async with browser(Ide()) as client:
        answers = [await client.get("/graphql") for _ in range(2)]

    policies = [answer.headers["content-security-policy"] for answer in answers]
    nonces = [re.findall(r"'nonce-([^']+)'", policy)[0] for policy in policies]
    assert nonces[0] != nonces[1]
    page = answers[0].text
    tags: list[str] = re.findall(r"<(?:script|style|link rel=\"style|link(?=\s+nonce))[^>]*>", page)
    assert len(tags) == 6
    assert all(f'nonce="{nonces[0]}"' in tag for tag in tags)
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", page)
    assert "{nonce}" not in page
    assert "unsafe" not in policies[0]
    directives = dict(directive.split(" ", 1) for directive in policies[0].split("; "))
    assert directives == {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonces[0]}'",
        "style-src": f"'nonce-{nonces[0]}'",
        "connect-src": "'self'",
        "font-src": "data:",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answers[0].headers["cache-control"] == "no-store"


def test_the_page_pins_every_script_in_the_versions_that_are_fetched() -> None:
    packages = json.loads((ROOT / "web/package.json").read_text())["dependencies"]
    named = [re.match(r"https://unpkg\.com/([\w-]+)@([\d.]+)/", source) for source in sources(PAGE)]

    assert {found.groups() for found in named if found} == set(packages.items())
    assert len(re.findall(r'integrity="sha384-[\w+/]{64}"', PAGE)) == len(named) == 4


@pytest.mark.skipif(not ASSETS.exists(), reason="GraphiQL's scripts are not here: `make web` fetches them")
async def test_what_was_fetched_is_what_the_page_pins() -> None:
    async with browser(Ide()) as client:
        page = (await client.get("/graphql")).text
        answers = [await client.get(source) for source in sources(page)]

    assert [answer.status_code for answer in answers] == [200] * 4

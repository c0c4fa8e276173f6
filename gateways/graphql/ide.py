"""GraphiQL: one page for browsers; its scripts come from us where `make web` has fetched them, else from the web."""

import gzip
import hashlib
import re
import secrets
import zlib
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

log = structlog.get_logger()

ASSETS = Path(__file__).with_name("assets")
PAGE = Path(__file__).with_name("graphiql.html").read_text(encoding="utf-8")
PATH = "/graphiql/"

_CDN = "https://unpkg.com/"
_PINNED = re.compile(rf'"{_CDN}([^"]+)"\s+integrity="sha384-([^"]+)"')
_TYPES = {".css": "text/css", ".js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "connect-src 'self'; font-src data:; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FOREVER = "public, max-age=31536000, immutable"  # a path names the version


class Ide:
    """The page as an application, which the view calls for browsers, and `route`, under which its scripts are."""

    def __init__(self, *, page: str = PAGE, assets: Path = ASSETS) -> None:
        pins = dict(_PINNED.findall(page))
        self._packed = _packed(assets, pins)
        self._page = page.replace(_CDN, PATH) if self._packed else page
        self.route = Route(PATH + "{path:path}", self._asset)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        nonce = secrets.token_urlsafe(16)
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY.replace("{nonce}", nonce),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
            "Vary": "Accept",
        }
        await HTMLResponse(self._page.replace("{nonce}", nonce), headers=headers)(scope, receive, send)

    async def _asset(self, request: Request) -> Response:
        path = request.path_params["path"]
        packed = self._packed.get(path)
        if packed is None:
            return PlainTextResponse("Not Found", status_code=404)
        headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
        media_type = _TYPES[Path(path).suffix]
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(gzip.decompress(packed), headers=headers, media_type=media_type)
        return Response(packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=media_type)


def _packed(assets: Path, pins: Mapping[str, str]) -> dict[str, bytes]:
    """Every script, if all are there as the page pins them; else none, for the page takes all from one place."""
    try:
        packed = {path: (assets / f"{path}.gz").read_bytes() for path in pins}
        wrong = [path for path, content in packed.items() if _digest(gzip.decompress(content)) != pins[path]]
    except FileNotFoundError:
        return {}
    except (OSError, EOFError, zlib.error) as error:
        wrong = [str(error)]
    if wrong:
        log.warning("GraphiQL's scripts are not those that its page pins: `make web` fetches them", wrong=wrong)
        return {}
    return packed


def _digest(content: bytes) -> str:
    return b64encode(hashlib.sha384(content).digest()).decode()

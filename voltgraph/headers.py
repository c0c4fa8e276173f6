"""What browsers are told with every answer, and which other origins' pages may read one."""

from collections.abc import Awaitable, Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# A page says for itself what it may load, and an asset how long it is good.
UNLESS_TOLD = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
_BOTH = ALWAYS + UNLESS_TOLD
_OWN = frozenset(name for name, _ in UNLESS_TOLD)

REQUEST_HEADERS = ("Authorization", "Content-Encoding", "Content-Type", "Last-Event-ID", "traceparent", "tracestate")
EXPOSED_HEADERS = ("Content-Disposition", "Retry-After", "WWW-Authenticate")
_PREFLIGHT_KEPT_S = 7200  # Chromium keeps none longer


class BrowserHeaders:
    """Around everything, so that refusals and failures have them too. Strict-Transport-Security is the business of
    whoever ends TLS: it binds every port of the host."""

    def __init__(self, app: ASGIApp, *, allowed_origins: Sequence[str] = ()) -> None:
        self._app = app
        self._shared = _shared(app, allowed_origins)
        self._origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        def completed(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _complete(message.get("headers", ()))}
            return send(message)

        app = self._shared if self._origins and self._is_allowed(scope) else self._app
        await app(scope, receive, completed)

    def _is_allowed(self, scope: Scope) -> bool:
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None)
        return origin is not None and ("*" in self._origins or origin in self._origins)


def _shared(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """No cookies here, so no credentials mode: a page shows the credential that it was given."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT"),
        allow_headers=REQUEST_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=_PREFLIGHT_KEPT_S,
    )


def _complete(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    told = {name for name, _ in headers} & _OWN
    if not told:
        return [*headers, *_BOTH]
    return [*headers, *ALWAYS, *(header for header in UNLESS_TOLD if header[0] not in told)]

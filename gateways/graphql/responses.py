"""What goes back over HTTP where the answer is one: status, headers and body, in the medium agreed on."""

import math
from collections.abc import Iterable
from http import HTTPStatus

import orjson
from starlette.responses import Response
from starlette.types import Send

from gateways.graphql.engine import Answer
from gateways.graphql.negotiation import Medium

Headers = list[tuple[bytes, bytes]]

_METHODS = b"GET, HEAD, OPTIONS, POST"
_DEMANDED: dict[int, Headers] = {  # by HTTP, of such a status
    HTTPStatus.UNAUTHORIZED: [(b"www-authenticate", b"Bearer")],
    HTTPStatus.METHOD_NOT_ALLOWED: [(b"allow", _METHODS)],
}

_OF_THE_OPERATION = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


class Rejected(Exception):
    """A request that is not looked into; `problems` tell its sender what is wrong with it, one each."""

    def __init__(self, *problems: str, status: int = HTTPStatus.BAD_REQUEST, code: str = "INVALID") -> None:
        super().__init__(*problems)
        self.problems = problems
        self.status = status
        self.code = code

    def body(self) -> bytes:
        """As GraphQL tells errors."""
        extensions = {"code": self.code}
        return orjson.dumps({"errors": [{"message": one, "extensions": extensions} for one in self.problems]})


def _headers(name: bytes) -> Headers:
    return [(b"content-type", name + b"; charset=utf-8"), (b"vary", b"Accept"), (b"cache-control", b"no-store")]


_JSON = _headers(Medium.JSON.value)
_GRAPHQL_RESPONSE = _headers(Medium.GRAPHQL_RESPONSE.value)


async def send_answer(answer: Answer, medium: Medium | None, send: Send, *, reads: bool) -> None:
    status = _status(answer, medium, reads=reads)
    more: Headers = []
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        more.append((b"allow", b"POST"))
    if answer.retry_after_s is not None:
        more.append((b"retry-after", b"%d" % max(1, math.ceil(answer.retry_after_s))))
    await _send(status, answer.encoded(), medium, send, more)


def _status(answer: Answer, medium: Medium | None, *, reads: bool) -> int:
    """To whom `application/json` is all they take, an operation that is wrong is 200: anybody may have sent a 400.

    A POST that is no way for a subscription is not so by its method, but by what it accepts.
    """
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED and not reads:
        return HTTPStatus.NOT_ACCEPTABLE
    if answer.status in _OF_THE_OPERATION and medium is Medium.JSON:
        return HTTPStatus.OK
    return answer.status


async def send_rejection(rejected: Rejected, medium: Medium | None, send: Send) -> None:
    await _send(rejected.status, rejected.body(), medium, send, _DEMANDED.get(rejected.status, ()))


def denial(rejected: Rejected) -> Response:
    """The answer to a WebSocket that is not to be one."""
    response = Response(rejected.body(), rejected.status, media_type="application/json")
    response.raw_headers.extend(_DEMANDED.get(rejected.status, ()))
    return response


async def send_methods(send: Send) -> None:
    """What OPTIONS asks for."""
    await send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": [(b"allow", _METHODS)]})
    await send({"type": "http.response.body", "body": b""})


async def _send(
    status: int, body: bytes, medium: Medium | None, send: Send, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    agreed = _GRAPHQL_RESPONSE if medium is Medium.GRAPHQL_RESPONSE else _JSON
    headers = [*agreed, (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

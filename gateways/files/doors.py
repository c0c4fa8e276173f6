"""`/imports/{id}` and `/exports/readings`: who comes, who may stay, and what is said to whoever may not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from domain.actor import Actor
from domain.errors import DomainError, Invalid, Unauthenticated, Unavailable

log = structlog.get_logger()

Authenticate = Callable[[str | None], Awaitable[Actor | None]]

_STATUSES = {
    "INVALID": HTTPStatus.BAD_REQUEST,
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
    "FORBIDDEN": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "CONFLICT": HTTPStatus.CONFLICT,
    "LIMIT": HTTPStatus.TOO_MANY_REQUESTS,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "TIMEOUT": HTTPStatus.SERVICE_UNAVAILABLE,
}
_ASK_AGAIN_S = 1.0


class NoSuchMethod(Invalid):
    """By HTTP."""


class Unsupported(Invalid):
    """A body of another kind."""


def refusal(error: DomainError, **more: Any) -> Response:
    """As GraphQL tells errors."""
    status = _STATUSES.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {}
    match error:
        case NoSuchMethod():
            status, headers = HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": error.details["allowed"]}
        case Unsupported():
            status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        case Unauthenticated():
            headers = {"WWW-Authenticate": "Bearer"}
    if "retry_after_s" in error.details:
        headers["Retry-After"] = str(error.details["retry_after_s"])
    problem = {"message": error.message, "extensions": {"code": error.code}}
    return as_json({"errors": [problem], **more}, status, headers)


def as_json(
    content: Mapping[str, Any], status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


@dataclass(eq=False, slots=True)
class _Transfer:
    actor: Actor
    authorization: str | None
    task: asyncio.Task[Any]
    reason: DomainError | None = field(default=None)

    def end(self, reason: DomainError) -> None:
        if self.reason is None:
            self.reason = reason
            self.task.cancel(reason.message)


class Doorman:
    """Lets in whoever shows a credential, and ends what they do when it opens nothing any more, or the server stops."""

    def __init__(self, authenticate: Authenticate, clock: Callable[[], datetime]) -> None:
        self._authenticate = authenticate
        self._clock = clock
        self._transfers: set[_Transfer] = set()
        self._asking: asyncio.Task[None] | None = None
        self._is_closing = False

    @asynccontextmanager
    async def let_in(self, request: Request) -> AsyncIterator[Actor]:
        """Raises `Unauthenticated`, also within and at any time."""
        authorization = request.headers.get("authorization")
        actor = await self._authenticate(authorization)
        if actor is None:
            raise Unauthenticated("show a credential: `Authorization: Bearer …`")
        task = asyncio.current_task()
        if self._is_closing or task is None:
            raise Unavailable("the server restarts", retry_after_s=5)
        transfer = _Transfer(actor, authorization, task)
        expiry = self._expiry(transfer)
        self._transfers.add(transfer)
        try:
            yield actor
        except asyncio.CancelledError:
            if transfer.reason is None:
                raise
            task.uncancel()
            raise transfer.reason from None
        finally:
            self._transfers.discard(transfer)
            if expiry is not None:
                expiry.cancel()

    def _expiry(self, transfer: _Transfer) -> asyncio.TimerHandle | None:
        if transfer.actor.expires_at is None:
            return None
        within_s = (transfer.actor.expires_at - self._clock()).total_seconds()
        return asyncio.get_running_loop().call_later(
            max(0.0, within_s), transfer.end, Unauthenticated("the credential has expired")
        )

    def revoked(self, credential_id: UUID | None) -> None:
        """The credential of whoever has it is; None: anybody's may be."""
        if credential_id is None:
            if self._transfers and (self._asking is None or self._asking.done()):
                self._asking = asyncio.create_task(self._ask_again(), name="transfers' credentials")
            return
        for transfer in list(self._transfers):
            if transfer.actor.id == credential_id:
                transfer.end(Unauthenticated("the credential was revoked"))

    async def _ask_again(self) -> None:
        """For as long as nobody knows."""
        doubtful = list(self._transfers)
        while doubtful:
            transfer = doubtful.pop()
            try:
                await self._authenticate(transfer.authorization)
            except Unauthenticated as error:
                transfer.end(error)
            except Unavailable:
                doubtful.append(transfer)
                await asyncio.sleep(_ASK_AGAIN_S)
            doubtful = [one for one in doubtful if one in self._transfers]

    def close(self) -> None:
        """A server that stops waits for no file: what was recorded stays, and the rest can be sent again."""
        self._is_closing = True
        for transfer in list(self._transfers):
            transfer.end(Unavailable("the server restarts: send it again", retry_after_s=5))

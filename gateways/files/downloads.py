"""`GET /exports/readings`: readings, or what buckets of them come to, streamed as a file."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import structlog
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from domain import history
from domain.actor import Actor
from domain.errors import DomainError, Invalid, LimitExceeded
from domain.history import Function
from domain.points import Quality
from domain.work import Workplace
from gateways.files.doors import Doorman, NoSuchMethod, refusal
from gateways.files.writing import COLUMNS, MEDIA_TYPES, READINGS, Format, packed

log = structlog.get_logger()

Choice = TypeVar("Choice", bound=StrEnum)

AT_ONCE = 8
_ONCE = frozenset({"from", "to", "format", "resolution", "timezone", "function", "quality", "asOf"})
_OF_BUCKETS = frozenset({"timezone", "function"})


class Downloads:
    """At most `AT_ONCE` of a tenant on one process."""

    def __init__(self, workplace: Workplace, doorman: Doorman) -> None:
        self._workplace = workplace
        self._doorman = doorman
        self._under_way: Counter[UUID] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What breaks when it has begun ends the connection, so that nobody takes a part for the whole."""
        request = Request(scope, receive)
        has_begun = False

        async def begun(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            if request.method not in ("GET", "HEAD"):
                raise NoSuchMethod("an export is asked for by GET", allowed="GET, HEAD")
            async with self._doorman.let_in(request) as actor, self._place(actor):
                response = await self._response(request, actor)
                await response(scope, receive, begun)
        except DomainError as error:
            if has_begun:
                log.info("an export was broken off", reason=error.message)
            else:
                await refusal(error)(scope, receive, send)

    @asynccontextmanager
    async def _place(self, actor: Actor) -> AsyncIterator[None]:
        if self._under_way[actor.tenant_id] >= AT_ONCE:
            raise LimitExceeded(f"{AT_ONCE} exports run already: wait for one of them to end", retry_after_s=10)
        self._under_way[actor.tenant_id] += 1
        try:
            yield
        finally:
            self._under_way[actor.tenant_id] -= 1
            if not self._under_way[actor.tenant_id]:
                del self._under_way[actor.tenant_id]

    async def _response(self, request: Request, actor: Actor) -> Response:
        asked = request.query_params
        _check(asked)
        format = _chosen(Format, asked, "format") or Format.CSV
        parts = await self._parts(asked, actor, format)
        headers = {
            "Content-Disposition": f'attachment; filename="{_name(asked)}.{format}"',
            "Content-Type": MEDIA_TYPES[format],
            "Vary": "Accept-Encoding",
        }
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            parts = packed(parts)
            headers["Content-Encoding"] = "gzip"
        return Response(headers=headers) if request.method == "HEAD" else StreamingResponse(parts, headers=headers)

    async def _parts(self, asked: QueryParams, actor: Actor, format: Format) -> AsyncIterator[bytes]:
        question: dict[str, Any] = {
            "addresses": asked.getlist("points"),
            "from_": _moment(asked, "from"),
            "to": _moment(asked, "to"),
            "quality": _chosen(Quality, asked, "quality"),
            "as_of": _moment(asked, "asOf") if "asOf" in asked else None,
        }
        if "resolution" not in asked:
            return READINGS[format].text(await history.readings(self._workplace, actor, **question))
        pages = await history.buckets(
            self._workplace,
            actor,
            resolution=asked["resolution"],
            timezone=asked.get("timezone"),
            function=_chosen(Function, asked, "function") or Function.MEAN,
            **question,
        )
        return COLUMNS[format].text(pages)


def _check(asked: QueryParams) -> None:
    for name, _ in asked.multi_items():
        if name != "points" and name not in _ONCE:
            known = ", ".join(["points", *sorted(_ONCE)])
            raise Invalid(f"{name} is no parameter: there are {known}", field=name)
        if name in _ONCE and len(asked.getlist(name)) > 1:
            raise Invalid(f"{name} is given more than once", field=name)
        if name in _OF_BUCKETS and "resolution" not in asked:
            raise Invalid(f"{name} is of a resolution, which is not given", field=name)


def _moment(asked: QueryParams, name: str) -> datetime:
    given = asked.get(name)
    if given is None:
        raise Invalid(f"{name} is missing", field=name)
    try:
        return datetime.fromisoformat(given)
    except ValueError:
        raise Invalid(f"{name} {given!r} is no RFC 3339 time (in a URL, + is %2B)", field=name) from None


def _chosen(choices: type[Choice], asked: QueryParams, name: str) -> Choice | None:
    given = asked.get(name)
    if given is None:
        return None
    for choice in choices:
        if choice.casefold() == given.casefold():
            return choice
    raise Invalid(f"{name} is one of {', '.join(choices)}, not {given!r}", field=name)


def _name(asked: QueryParams) -> str:
    days = (_moment(asked, name).date().isoformat() for name in ("from", "to"))
    return "-".join(["readings", *days])


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.split(","):
        coding, _, weight = part.partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False

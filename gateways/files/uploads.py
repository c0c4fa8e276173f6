"""`PUT /imports/{id}`: the file of an import, as the body. Answers when it is imported."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain import imports
from domain.errors import DomainError, Invalid, NotFound
from domain.imports import Import, ImportStatus
from domain.work import Workplace
from gateways.files.doors import Doorman, NoSuchMethod, as_json, refusal
from gateways.files.unpacking import file_in

_LAST = {"Connection": "close"}  # whoever is refused may have a file on the line that nobody reads


class Uploads:
    def __init__(self, workplace: Workplace, doorman: Doorman) -> None:
        self._workplace = workplace
        self._doorman = doorman

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            if request.method not in ("PUT", "POST"):
                raise NoSuchMethod("a file is sent by PUT", allowed="PUT, POST")
            async with self._doorman.let_in(request) as actor:
                done = await imports.receive(
                    self._workplace, actor, import_id=_import_id(request), parts=file_in(request)
                )
        except DomainError as error:
            response = refusal(error)
            response.headers.update(_LAST)
        else:
            response = _answer(done)
        await response(scope, receive, send)


def _answer(done: Import) -> Response:
    shown = _shown(done)
    if done.status is ImportStatus.COMPLETED:
        return as_json({"import": shown})
    response = refusal(Invalid(done.error or "it cannot be imported"), **{"import": shown})
    response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    response.headers.update(_LAST)
    return response


def _shown(done: Import) -> dict[str, Any]:
    """By the names that GraphQL has for it."""
    return {
        "id": str(done.id),
        "name": done.name,
        "status": done.status,
        "columns": done.columns,
        "bytesRead": done.bytes_read,
        "rowsRead": done.rows_read,
        "recorded": done.recorded,
        "failed": done.failed,
        "errors": done.errors,
        "error": done.error,
    }


def _import_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["import_id"])
    except ValueError:
        raise NotFound("an upload goes to the address that importReadings has answered") from None

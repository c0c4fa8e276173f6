"""What went wrong, as clients see it: the message and `extensions.code`; nothing of what they need not know."""

from collections.abc import Iterator

import structlog
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError, StrawberryInputCoercionError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from uuid_utils.compat import uuid7

from domain.errors import DomainError

log = structlog.get_logger()

INVALID = "INVALID"
INTERNAL = "INTERNAL"

_OF_THE_REQUEST = (
    StrawberryInputCoercionError,
    MissingQueryError,
    CannotGetOperationTypeError,
    InvalidOperationTypeError,
)


def show(error: GraphQLError, *, tenant: str | None = None) -> None:
    """Make an error of the engine's fit for the outside, in place. Doing it again changes nothing."""
    if error.extensions and "code" in error.extensions:
        return
    causes = list(_causes(error))
    cause = causes[-1]
    if isinstance(cause, DomainError):
        error.message = cause.message
        error.extensions = {**cause.details, "code": cause.code}
    elif _is_the_clients(error, causes):
        error.extensions = {"code": INVALID}
    else:
        _mask(error, cause, tenant)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it wraps, the innermost last."""
    yield error
    if isinstance(error, GraphQLError) and error.original_error is not None:
        yield from _causes(error.original_error)


def _is_the_clients(error: GraphQLError, causes: list[BaseException]) -> bool:
    """Syntax, validation and variables fail before there is an answer to have a path in: in the engine alone, or at a
    place in the document. While fields are answered, only an argument's error has a place of its own."""
    if isinstance(causes[-1], _OF_THE_REQUEST):
        return True
    if error.path is None:
        return bool(error.nodes) or all(isinstance(cause, GraphQLError) for cause in causes)
    return any(isinstance(cause, GraphQLError) and cause.nodes for cause in causes[1:])


def _mask(error: GraphQLError, cause: BaseException, tenant: str | None) -> None:
    """Nobody outside learns more than the id under which the log has the rest."""
    error_id = uuid7().hex
    path = None if error.path is None else ".".join(str(part) for part in error.path)
    log.error("a field failed", error_id=error_id, path=path, tenant=tenant, reason=error.message, exc_info=cause)
    error.message = f"internal error {error_id}"
    error.extensions = {"code": INTERNAL, "id": error_id}

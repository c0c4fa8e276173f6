"""What went wrong, as clients see it: the message and `extensions.code`; nothing of what they need not know."""

from typing import Any

import structlog
from graphql import GraphQLError
from uuid_utils.compat import uuid7

from domain.errors import DomainError

log = structlog.get_logger()

INVALID = "INVALID"
INTERNAL = "INTERNAL"


def show(error: GraphQLError, *, tenant: str | None = None) -> None:
    """Make an error of the engine's fit for the outside, in place. Doing it again changes nothing."""
    if error.extensions and "code" in error.extensions:
        return
    cause = _cause(error)
    if isinstance(cause, DomainError):
        error.message = cause.message
        error.extensions = {**cause.details, "code": cause.code}
    elif _is_the_clients(error, cause):
        error.extensions = {"code": INVALID}
    else:
        _mask(error, cause, tenant)


def _cause(error: GraphQLError) -> BaseException | None:
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _is_the_clients(error: GraphQLError, cause: BaseException | None) -> bool:
    """Syntax, validation and variables have no path in the answer; an argument's error knows where it was written."""
    if error.path is None:
        return cause is None or isinstance(cause, ValueError)
    wrapped = error.original_error
    return cause is None and isinstance(wrapped, GraphQLError) and wrapped.nodes is not None


def _mask(error: GraphQLError, cause: BaseException | None, tenant: str | None) -> None:
    """Nobody outside learns more than the id under which the log has the rest."""
    error_id = uuid7().hex
    path: Any = None if error.path is None else ".".join(str(part) for part in error.path)
    log.error("a field failed", error_id=error_id, path=path, tenant=tenant, reason=error.message, exc_info=cause)
    error.message = f"internal error {error_id}"
    error.extensions = {"code": INTERNAL, "id": error_id}

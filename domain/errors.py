"""What can go wrong, in families; each outside (GraphQL, OCPP, JSON-RPC) translates a family once."""

from typing import Any, ClassVar


class DomainError(Exception):
    """The message is meant for the caller and names what is wrong; `details` are machine-readable."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Unauthenticated(DomainError):
    """Nobody we know is asking."""

    code = "UNAUTHENTICATED"


class Forbidden(DomainError):
    """We know who is asking, and they may not."""

    code = "FORBIDDEN"


class NotFound(DomainError):
    """No such row for this tenant; another tenant's row looks exactly the same."""

    code = "NOT_FOUND"


class Conflict(DomainError):
    """The state of the world does not allow it now."""

    code = "CONFLICT"


class Invalid(DomainError):
    """The request is wrong in itself; `field` names the part."""

    code = "INVALID"


class Unavailable(DomainError):
    """Something we depend on (a station, Redis, a partner) is not there."""

    code = "UNAVAILABLE"


class TimedOut(Unavailable):
    """It was there and did not answer in time."""

    code = "TIMEOUT"


class LimitExceeded(DomainError):
    """More than the caller's share."""

    code = "LIMIT"


class Resync(DomainError):
    """News was lost for this listener: subscribe again, which starts with a fresh look."""

    code = "RESYNC"

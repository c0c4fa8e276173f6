"""What PostgreSQL and asyncpg call a fault, in the domain's words."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from domain.errors import Invalid, TimedOut, Unavailable

LOST = (
    OSError,  # nobody listens, or the line broke; TimeoutError is one
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,  # shut down, terminated, starting up
    asyncpg.exceptions.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.InternalClientError,
)
AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
DATA_CLASSES = ("22", "23")  # SQLSTATE: data exception, integrity violation


def is_lost(error: Exception) -> bool:
    """The line or the server failed: what was asked may or may not have happened."""
    if isinstance(error, asyncpg.InterfaceError):  # a closed connection or pool, unless it is about an argument
        return not isinstance(error, ValueError)
    return isinstance(error, LOST)


def is_passing(error: Exception) -> bool:
    """Asking again may help."""
    return is_lost(error) or isinstance(error, AGAIN)


def is_of_data(error: Exception) -> bool:
    """A value among those sent cannot be kept, whoever asks."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "")[:2] in DATA_CLASSES
    return isinstance(error, (ValueError, TypeError, OverflowError, LookupError, AttributeError))


@contextmanager
def translated() -> Iterator[None]:
    """For questions."""
    try:
        yield
    except TimeoutError as error:
        raise TimedOut("the history store takes too long to answer: ask for less") from error
    except asyncpg.NumericValueOutOfRangeError as error:
        raise Invalid("the values of this period are too large to add up") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        if is_lost(error):
            raise Unavailable("the history store is not reachable") from error
        raise

"""A Work within a Work: in a context that knows of none."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TypeVar

from domain.errors import Unavailable
from domain.work import Work

Found = TypeVar("Found")


async def apart(work: Work, doing: Callable[[Work], Awaitable[Found]]) -> Found:
    """In a Work of its own. The caller's has not begun, so nobody holds one connection for another.

    Committed when this returns, whatever becomes of the caller's.
    """

    async def done() -> Found:
        async with work.workplace.open_work(work.actor) as own:
            return await doing(own)

    try:
        return await asyncio.create_task(done(), name="points apart", context=Context())
    except OSError as error:
        raise Unavailable("the database is not reachable") from error

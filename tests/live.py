"""What a subscriber saw last must be what a query says now."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tests.tester import Tester

GUARD_S = 20.0
QUIET_S = 0.3  # after which nothing more is taken to come


async def assert_live(
    tester: Tester,
    subscription: tuple[str, str],
    action: Callable[[], Awaitable[object]],
    query: tuple[str, str],
    *,
    variables: dict[str, Any] | None = None,
    snapshot: int = 0,
) -> list[Any]:
    """Subscribe, act, and compare. Answers every item that was seen.

    `subscription` and `query` are a document each and the dotted path in its data of what must be equal. `snapshot` is
    how many items come before anything has happened: they are awaited before the action.
    """
    document, path = subscription
    question, question_path = query
    async with tester.subscribe(document, variables) as items, asyncio.timeout(GUARD_S):
        seen = [await anext(items) for _ in range(snapshot)]
        await action()
        truth = at(await tester.gql(question, _asked(question, variables)), question_path)
        assert not seen or at(seen[-1], path) != truth, "the action changed nothing that is looked at"
        while not seen or at(seen[-1], path) != truth:
            seen.append(await anext(items))
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(QUIET_S):
                    seen.append(await anext(items))
        assert at(seen[-1], path) == truth
    return seen


def at(data: Any, path: str) -> Any:
    for name in path.split("."):
        data = data[int(name)] if isinstance(data, list) else data[name]
    return data


def _asked(question: str, variables: dict[str, Any] | None) -> dict[str, Any]:
    """Those of the variables that the question knows."""
    return {name: value for name, value in (variables or {}).items() if f"${name}" in question}

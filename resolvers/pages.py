"""What every connection answers, and lists read to their end."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlmodel import SQLModel

from domain import page
from domain.page import FIRST_MAX, Page, PageRequest
from domain.work import Work
from resolvers.context import Context, Info

Row = TypeVar("Row", bound=SQLModel)
Item = TypeVar("Item")


def in_parts(asked: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """A client's own list in statements of a size that keeps nobody waiting."""
    return (asked[start : start + FIRST_MAX] for start in range(0, len(asked), FIRST_MAX))


def page_info(root: Page[Any]) -> object:
    return root


async def total_count(root: Page[Any], info: Info) -> int:
    async with info.context.read() as work:
        return await page.total(work, root.query)


async def every_page(
    context: Context, ask: Callable[[Work, PageRequest], Awaitable[Page[Row]]]
) -> AsyncGenerator[Sequence[Row], None]:
    """A whole list, page by page, each in a Work of its own."""
    after: str | None = None
    while True:
        async with context.read() as work:
            found = await ask(work, PageRequest(first=FIRST_MAX, after=after))
        yield found.rows
        if not found.has_next:
            return
        after = found.end_cursor

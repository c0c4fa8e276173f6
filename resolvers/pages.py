"""What every connection answers."""

from typing import Any

from domain import page
from domain.page import Page
from resolvers.context import Info


def page_info(root: Page[Any]) -> Page[Any]:
    return root


async def total_count(root: Page[Any], info: Info) -> int:
    async with info.context.read() as work:
        return await page.total(work, root.query)

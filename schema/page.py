"""Keyset connections over `domain.page.Page`."""

from typing import Generic, TypeVar

from domain import page
from resolvers import pages
from schema import limits
from schema.view import answer, attribute, view

Node = TypeVar("Node")


@view(page.Page)
class PageInfo:
    """Where a page ends and whether more follows."""

    has_next: bool = attribute("Whether there are rows after this page.", name="hasNextPage")
    end_cursor: str | None = attribute("What to give as `after` for the next page.")


@view(page.Page)
class Connection(Generic[Node]):
    """One page of a list, newest first."""

    rows: list[Node] = attribute("The rows of this page.", name="nodes")
    page_info: PageInfo = answer(pages.page_info, "Where this page ends.", cost=limits.NOTHING)
    total_count: int = answer(
        pages.total_count, "How many rows there are on all pages; counted when asked for.", cost=limits.COUNT
    )

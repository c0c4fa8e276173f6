"""Keyset pages: newest first, by (a time, id), stable while rows arrive."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import func, tuple_
from sqlmodel import SQLModel, select
from sqlmodel.sql.expression import SelectOfScalar

from domain.errors import Invalid
from domain.work import Work

Row = TypeVar("Row", bound=SQLModel)

FIRST_DEFAULT = 50
FIRST_MAX = 500


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`first` rows after the row that the cursor `after` names."""

    first: int = FIRST_DEFAULT
    after: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.first <= FIRST_MAX:
            raise Invalid(f"first must be 1 to {FIRST_MAX}, not {self.first}", field="first")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`total` asks the database only when somebody wants it."""

    rows: Sequence[Row]
    has_next: bool
    end_cursor: str | None
    query: SelectOfScalar[Row]


async def page(work: Work, query: SelectOfScalar[Row], request: PageRequest, *, at: Any, row_id: Any) -> Page[Row]:
    """One page of `query`, ordered by the columns `at` and `row_id`, newest first."""
    window = query
    if request.after is not None:
        window = window.where(tuple_(at, row_id) < tuple_(*_decode(request.after)))
    window = window.order_by(at.desc(), row_id.desc()).limit(request.first + 1)
    rows = (await work.session.exec(window)).all()
    shown = rows[: request.first]
    cursor = _encode(getattr(shown[-1], at.key), getattr(shown[-1], row_id.key)) if shown else None
    return Page(rows=shown, has_next=len(rows) > request.first, end_cursor=cursor, query=query)


async def total(work: Work, query: SelectOfScalar[Row]) -> int:
    """How many rows the whole of `query` has."""
    return (await work.session.exec(select(func.count()).select_from(query.order_by(None).subquery()))).one()


def _encode(at: datetime, row_id: UUID | int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([at.isoformat(), str(row_id)])).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, row_id = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return datetime.fromisoformat(at), UUID(row_id)
    except (ValueError, TypeError) as error:
        raise Invalid("after is not a cursor of ours", field="after") from error

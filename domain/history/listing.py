"""Every reading of points as columns: what it said in words, how sure it was of it, how it came."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from domain.actor import Actor
from domain.history import questions
from domain.history.exporting import Readings, pages_of
from domain.points import HistoryStore, Point, Quality, Row, Source, ValueType
from domain.work import Workplace


@dataclass(frozen=True, slots=True)
class ReadingColumns:
    """Of one point, in the order of time; all columns are of the same length."""

    address: str
    unit: str | None
    value_type: ValueType
    timestamps: Sequence[datetime]
    values: Sequence[float | None]
    texts: Sequence[str | None]
    qualities: Sequence[Quality]
    sources: Sequence[Source]
    versions: Sequence[int]


async def reading_columns(
    workplace: Workplace,
    actor: Actor,
    *,
    addresses: Sequence[str],
    from_: datetime,
    to: datetime,
    quality: Quality | None = None,
    as_of: datetime | None = None,
) -> list[ReadingColumns]:
    """All readings in [from_, to) as `readings` pages them. Raises `LimitExceeded` where they are too many at once."""
    async with workplace.open_work(actor, read_only=True) as work:
        asked = await questions.understood(work, addresses=addresses, from_=from_, to=to, as_of=as_of)
    store = workplace.port(HistoryStore)  # type: ignore[type-abstract]
    each = {point.address: point for point in asked.points}  # who names one twice reads it once
    found: dict[str, list[Row]] = {address: [] for address in each}
    left = questions.VALUES_MAX
    pages = pages_of(store, list(each.values()), asked.composed, from_, to, quality or Quality.BAD, as_of)
    async with aclosing(cast("AsyncGenerator[Readings, None]", pages)) as parts:
        async for page in parts:
            left -= len(page.rows)
            if left < 0:
                raise questions.too_many()
            found[page.point.address] += page.rows
    return [_columns(point, found[point.address]) for point in asked.points]


def _columns(point: Point, rows: Sequence[Row]) -> ReadingColumns:
    _, timestamps, values, texts, qualities, sources, versions = zip(*rows, strict=True) if rows else ((),) * 7
    return ReadingColumns(
        point.address, point.unit, point.value_type, timestamps, values, texts, qualities, sources, versions
    )

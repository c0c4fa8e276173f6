"""A few plain types over data in memory, and what is asked of them: both sides run the same."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import strawberry
from graphql.execution import Executor
from strawberry.extensions import ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig

from schema import Schema
from schema.scalars import SCALARS

UNLIMITED = 1_000_000_000  # cost is reckoned and paid as ever, only there is enough
METERS = 1_000
SERIES = 10
VALUES = 1_440
START = datetime(2026, 6, 1, tzinfo=UTC)


@strawberry.enum
class Kind(Enum):
    GRID = "grid"
    SOLAR = "solar"
    STORAGE = "storage"


@strawberry.type
class Meter:
    id: strawberry.ID
    name: str
    power_w: int
    factor: float
    online: bool
    kind: Kind
    seen_at: datetime
    note: str | None

    @strawberry.field
    def parent(self) -> "Meter":
        return self

    @strawberry.field
    def children(self, first: int = 10) -> list["Meter"]:
        return DATA.meters[:first]


@strawberry.type
class Series:
    name: str
    values: list[float | None]


@strawberry.type
class History:
    """As our own schema has it: one column of times for all series."""

    timestamps: list[datetime]
    series: list[Series]


@dataclass(frozen=True)
class Data:
    meters: list[Meter]
    history: History


def _meter(number: int) -> Meter:
    return Meter(
        id=strawberry.ID(str(number)),
        name=f"meter {number}",
        power_w=number * 11,
        factor=number / METERS,
        online=number % 3 > 0,
        kind=tuple(Kind)[number % 3],
        seen_at=START + timedelta(seconds=number),
        note=None if number % 2 else f"row {number}",
    )


def _series(number: int) -> Series:
    values = [None if minute % 100 == 99 else minute / 7 + number for minute in range(VALUES)]
    return Series(name=f"meter/{number}", values=values)


def _history() -> History:
    timestamps = [START + timedelta(minutes=minute) for minute in range(VALUES)]
    return History(timestamps=timestamps, series=[_series(number) for number in range(SERIES)])


DATA = Data([_meter(number) for number in range(METERS)], _history())


@strawberry.type
class Query:
    @strawberry.field
    def meter(self, id: strawberry.ID) -> Meter | None:
        return DATA.meters[int(id)]

    @strawberry.field
    def meters(self, first: int = METERS) -> list[Meter]:
        return DATA.meters[:first]

    @strawberry.field
    def history(self) -> History:
        return DATA.history


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def meter_updates(self, events: int) -> AsyncIterator[Meter]:
        for number in range(events):
            yield DATA.meters[number % METERS]


FIELDS = "id name powerW factor online kind seenAt note"
SMALL = "query Meter($id: ID!) { meter(id: $id) { id name powerW online } }"
SMALL_VARIABLES = {"id": "7"}
LIST = f"{{ meters {{ {FIELDS} }} }}"
COLUMNS = "{ history { timestamps series { name values } } }"
EVENTS = f"subscription Updates($events: Int!) {{ meterUpdates(events: $events) {{ {FIELDS} }} }}"

CACHES: tuple[Callable[[], SchemaExtension], ...] = (ParserCache, ValidationCache)


def build(
    *, executor: type[Executor[Any]] | None = None, extensions: tuple[Callable[[], SchemaExtension], ...] = ()
) -> strawberry.Schema:
    """Stock Strawberry, unless it is given our executor; then errors, too, are shown as ours are."""
    kind = strawberry.Schema if executor is None else Schema
    return kind(
        query=Query,
        subscription=Subscription,
        execution_context_class=executor,
        extensions=extensions,
        config=StrawberryConfig(scalar_map=SCALARS),
    )

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import strawberry

from domain import history
from domain.history import Base, Downsampling, DropKind, Fill, Function
from domain.points import Quality
from resolvers import points as _named  # noqa: F401  # Quality is described there
from resolvers.context import Info

strawberry.enum(Function, name="HistoryFunction", description="What the numbers of a period come to.")
strawberry.enum(Fill, description="What stands where nothing was measured; nothing is filled beyond now.")
strawberry.enum(Downsampling, description="How the rows for a plot are chosen.")
strawberry.enum(Base, name="RegisterBase", description="What a register showed before its first reading.")
strawberry.enum(
    DropKind,
    name="RegisterDropKind",
    description="RESET: it counts from 0 again. ROLLOVER: it has passed its last digit. CORRECTION: less than a tenth "
    "less, which is taken off.",
)

Points = Annotated[list[str], strawberry.argument(description="Addresses; the answer keeps their order.")]
From = Annotated[datetime, strawberry.argument(name="from", description="The beginning, included.")]
To = Annotated[datetime, strawberry.argument(description="The end, excluded.")]
Timezone = Annotated[
    str | None, strawberry.argument(description="IANA; where days and months begin. Null: the tenant's.")
]
AsOf = Annotated[
    datetime | None,
    strawberry.argument(name="asOf", description="What was recorded by then, as if it were now. Null: all."),
]

FromRegister = Annotated[
    Base,
    strawberry.argument(
        description="FIRST: what it shows then, since meters count before they are read; ZERO: it began then."
    ),
]
WorstEnergy = Annotated[Quality, strawberry.argument(description="The worst that counts.")]


async def columns(
    info: Info,
    points: Points,
    from_: From,
    to: To,
    resolution: Annotated[
        str | None,
        strawberry.argument(description="A value for each such period (ISO 8601: PT15M, P1D, P1M); null: raw."),
    ] = None,
    timezone: Timezone = None,
    function: Annotated[Function, strawberry.argument(description="Which value.")] = Function.MEAN,
    fill: Annotated[Fill, strawberry.argument(description="What stands in gaps.")] = Fill.NONE,
    quality: Annotated[
        Quality | None,
        strawberry.argument(description="The worst that counts. Null: BAD for raw values, else UNCERTAIN."),
    ] = None,
    as_of: AsOf = None,
    max_points: Annotated[
        int | None,
        strawberry.argument(description="At most so many rows, at least 10 for each point; null: all there are."),
    ] = None,
    downsampling: Annotated[
        Downsampling, strawberry.argument(description="How rows are chosen where there are more than `maxPoints`.")
    ] = Downsampling.MIN_MAX,
) -> history.History:
    context = info.context
    return await history.history(
        context.workplace,
        context.caller,
        addresses=points,
        from_=from_,
        to=to,
        resolution=resolution,
        timezone=timezone,
        function=function,
        fill=fill,
        quality=quality,
        as_of=as_of,
        max_points=max_points,
        downsampling=downsampling,
    )


async def readings(
    info: Info,
    points: Points,
    from_: From,
    to: To,
    quality: Annotated[Quality, strawberry.argument(description="The worst that counts.")] = Quality.BAD,
    as_of: AsOf = None,
) -> Sequence[history.ReadingColumns]:
    context = info.context
    return await history.reading_columns(
        context.workplace, context.caller, addresses=points, from_=from_, to=to, quality=quality, as_of=as_of
    )


async def energy(
    info: Info,
    points: Points,
    from_: From,
    to: To,
    base: FromRegister = Base.FIRST,
    quality: WorstEnergy = Quality.UNCERTAIN,
    as_of: AsOf = None,
) -> history.Energy:
    context = info.context
    return await history.energy(
        context.workplace,
        context.caller,
        addresses=points,
        from_=from_,
        to=to,
        base=base,
        quality=quality,
        as_of=as_of,
    )


async def energy_per_period(
    info: Info,
    points: Points,
    from_: From,
    to: To,
    resolution: Annotated[str, strawberry.argument(description="ISO 8601: PT15M, P1D, P1M.")],
    timezone: Timezone = None,
    base: FromRegister = Base.FIRST,
    quality: WorstEnergy = Quality.UNCERTAIN,
    as_of: AsOf = None,
) -> history.EnergyPerPeriod:
    context = info.context
    return await history.energy_per_period(
        context.workplace,
        context.caller,
        addresses=points,
        from_=from_,
        to=to,
        resolution=resolution,
        timezone=timezone,
        base=base,
        quality=quality,
        as_of=as_of,
    )

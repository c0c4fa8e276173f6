from datetime import datetime
from typing import Annotated

import strawberry

from domain import history
from resolvers.context import Info


async def columns(
    info: Info,
    points: Annotated[list[str], strawberry.argument(description="Addresses; the answer keeps their order.")],
    from_: Annotated[datetime, strawberry.argument(name="from", description="The beginning, included.")],
    to: Annotated[datetime, strawberry.argument(description="The end, excluded.")],
    resolution: Annotated[
        str | None,
        strawberry.argument(description="The mean of each such period (ISO 8601: PT15M, P1D, P1M); null: raw."),
    ] = None,
    timezone: Annotated[
        str | None, strawberry.argument(description="IANA; where days and months begin. Null: the tenant's.")
    ] = None,
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
    )

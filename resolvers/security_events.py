from collections.abc import Awaitable
from datetime import datetime

import strawberry

from domain import security_events, stations
from domain.page import FIRST_DEFAULT, Page, PageRequest
from domain.security_events import SecurityEvent
from resolvers.arguments import optional_id
from resolvers.context import Info


@strawberry.input(description="Which events; all that is given must hold.")
class SecurityEventFilter:
    station_id: strawberry.ID | None = None
    types: list[str] | None = strawberry.field(
        default=None, description="One of these, in OCPP's words: `TamperDetectionActivated`, `InvalidTLSVersion`, …"
    )
    from_: datetime | None = strawberry.field(default=None, name="from", description="Then or later.")
    to: datetime | None = strawberry.field(default=None, description="Before.")


async def listed(
    info: Info, filter: SecurityEventFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[SecurityEvent]:
    wanted = filter or SecurityEventFilter()
    async with info.context.read() as work:
        return await security_events.listed(
            work,
            PageRequest(first, after),
            station_id=optional_id(wanted.station_id, "filter.stationId"),
            types=wanted.types,
            from_=wanted.from_,
            to=wanted.to,
        )


def station(root: SecurityEvent, info: Info) -> Awaitable[stations.Station | None]:
    return info.context.loaders.station.load(root.station_id)

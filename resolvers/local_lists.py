from collections.abc import Awaitable, Sequence

import strawberry

from domain import local_lists, stations
from domain.local_lists import LocalListPolicy, LocalListStatus
from resolvers.arguments import row_ids
from resolvers.context import Info

strawberry.enum(
    LocalListPolicy,
    description="OFF: none is kept, what it held is taken out once. ALL_TOKENS: every token that means something at "
    "the station, those that may not charge among them, to be refused when it is offline.",
)
strawberry.enum(
    LocalListStatus,
    description="PENDING: to be looked at. CURRENT: as it should be. NOT_SUPPORTED: the station keeps none; tried "
    "again with another firmware. FAILED: it was not taken; tried again.",
)


async def set_policy(
    info: Info, policy: LocalListPolicy, station_ids: list[strawberry.ID] | None = None
) -> Sequence[stations.Station]:
    wanted = None if station_ids is None else row_ids(station_ids, "stationIds")
    async with info.context.write() as work:
        return await local_lists.set_policy(work, station_ids=wanted, policy=policy)


def of_station(root: stations.Station, info: Info) -> Awaitable[local_lists.LocalList | None]:
    return info.context.loaders.local_list.load(root.id)

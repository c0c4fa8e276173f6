from datetime import datetime

import strawberry

from domain import local_lists
from domain.local_lists import LocalListPolicy, LocalListStatus
from resolvers import local_lists as door
from schema import limits
from schema.stations import Station
from schema.view import answer, attribute, view


@view(local_lists.LocalList)
class LocalList:
    """What a station keeps of tokens, to charge without asking."""

    policy: LocalListPolicy = attribute("What it is to hold.")
    status: LocalListStatus = attribute("Whether it does.")
    version: int = attribute("That the station has taken; 0: none.")
    wanted_version: int = attribute("Of the last message that was to go out.")
    size: int | None = attribute("Tokens in it; null where nobody knows.")
    omitted: int = attribute("Tokens for which the station has no room.")
    error: str | None = attribute("Why it is not as it should be.")
    updated_at: datetime = attribute("When something of this last changed.")


@strawberry.type
class LocalListMutation:
    set_local_list_policy: list[Station] | None = answer(
        door.set_policy,
        "Say what the lists of these stations are to hold, of all that there are where none is named; kept in step "
        "from then on, also with stations that are away now.",
        cost=limits.TRANSACTION,
    )

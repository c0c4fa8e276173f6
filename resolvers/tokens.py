from datetime import datetime
from typing import Any

import strawberry
from strawberry import Maybe

from domain import locations, tokens
from domain.page import FIRST_DEFAULT, Page, PageRequest
from domain.tokens import IdTokenType, TokenStatus, TokenType, Weekday
from resolvers.arguments import changes, row_id, row_ids
from resolvers.context import Info

strawberry.enum(TokenType, description="What carries a token (OCPI).")
strawberry.enum(TokenStatus, description="Whether a token may charge.")
strawberry.enum(
    IdTokenType,
    description="How a station comes by a token. OCPP 1.6 makes no difference; DIRECT_PAYMENT, EVCCID, VIN are 2.1's.",
)

strawberry.enum(Weekday, description="A day of the week.")

_HOURS = "When it may charge, by the clock of the place, or the tenant's where that has none; null: at any time."
_PLUGS = (
    "At which plugs it may charge: words of OCPP 2.0.1 such as cCCS2 or sType2; null: at any. Where a station has not "
    "told what its plugs are, at those too."
)
_WHERE = "Where it may charge; null: anywhere."
_SHOWN_AS = "As what OCPP 2.x stations are told of it; null: ISO14443 for RFID, CENTRAL for the rest."


@strawberry.input(description="Some hours of some days of the week.")
class HoursInput:
    days: list[Weekday] = strawberry.field(description="On which they begin.")
    begin: str = strawberry.field(description="HH:MM")
    end: str = strawberry.field(description="HH:MM, up to 24:00; not after `begin`: on the next day.")


@strawberry.input(description="Somebody who may charge, by what they show.")
class CreateTokenInput:
    uid: str = strawberry.field(description="What the station reads from the card or app; compared without case.")
    type: TokenType = TokenType.RFID
    status: TokenStatus = TokenStatus.ACCEPTED
    expires_at: datetime | None = strawberry.field(default=None, description="Null: it does not expire.")
    group_uid: str | None = strawberry.field(
        default=None, name="group", description="Tokens of one group may stop each other's sessions (OCPP parentIdTag)."
    )
    contract_id: str | None = None
    max_sessions: int | None = strawberry.field(default=None, description="Sessions at once; null: any number.")
    location_ids: list[strawberry.ID] | None = strawberry.field(default=None, description=_WHERE)
    id_token_type: IdTokenType | None = strawberry.field(default=None, description=_SHOWN_AS)
    hours: list[HoursInput] | None = strawberry.field(default=None, description=_HOURS)
    connector_types: list[str] | None = strawberry.field(default=None, description=_PLUGS)


@strawberry.input(description="What changes of a token; what is absent stays, null clears.")
class UpdateTokenInput:
    uid: Maybe[str | None]
    type: Maybe[TokenType | None]
    status: Maybe[TokenStatus | None]
    expires_at: Maybe[datetime | None]
    group_uid: Maybe[str | None] = strawberry.field(name="group", default=None)
    contract_id: Maybe[str | None]
    max_sessions: Maybe[int | None]
    location_ids: Maybe[list[strawberry.ID] | None] = strawberry.field(default=None, description=_WHERE)
    id_token_type: Maybe[IdTokenType | None] = strawberry.field(default=None, description=_SHOWN_AS)
    hours: Maybe[list[HoursInput] | None] = strawberry.field(default=None, description=_HOURS)
    connector_types: Maybe[list[str] | None] = strawberry.field(default=None, description=_PLUGS)


@strawberry.input(
    description="What holds for all tokens of a group; what was set before and is absent here, is no more."
)
class TokenGroupInput:
    uid: str = strawberry.field(description="As tokens have it in `group`; compared without case.")
    master_pass: bool = strawberry.field(
        default=False,
        description="Its tokens stop anybody's session and start none (MasterPassGroupId of OCPP 2.x; 1.6 has none).",
    )
    max_sessions: int | None = strawberry.field(
        default=None, description="Sessions at once of all its tokens together; null: any number."
    )


async def listed(info: Info, first: int = FIRST_DEFAULT, after: str | None = None) -> Page[tokens.Token]:
    async with info.context.read() as work:
        return await tokens.listed(work, PageRequest(first, after))


async def by_id(info: Info, id: strawberry.ID) -> tokens.Token:
    async with info.context.read() as work:
        return await tokens.by_id(work, row_id(id))


async def create(info: Info, input: CreateTokenInput) -> tokens.Token:
    async with info.context.write() as work:
        return await tokens.create(work, **_with_rows(vars(input)))


async def update(info: Info, id: strawberry.ID, input: UpdateTokenInput) -> tokens.Token:
    changed = _with_rows(changes(input, never_null=("uid", "type", "status")))
    async with info.context.write() as work:
        return await tokens.update(work, token_id=row_id(id), **changed)


async def delete(info: Info, id: strawberry.ID) -> tokens.Token:
    async with info.context.write() as work:
        return await tokens.delete(work, token_id=row_id(id))


async def groups(info: Info, first: int = FIRST_DEFAULT, after: str | None = None) -> Page[tokens.TokenGroup]:
    async with info.context.read() as work:
        return await tokens.groups(work, PageRequest(first, after))


async def set_group(info: Info, input: TokenGroupInput) -> tokens.TokenGroup:
    async with info.context.write() as work:
        return await tokens.set_group(work, **vars(input))


async def delete_group(info: Info, uid: str) -> tokens.TokenGroup:
    async with info.context.write() as work:
        return await tokens.delete_group(work, uid=uid)


async def locations_of(root: tokens.Token, info: Info) -> list[locations.Location] | None:
    """One that is no more is not shown, and opens nothing either."""
    if root.location_ids is None:
        return None
    found = await info.context.loaders.location.load_many(root.location_ids)
    return [location for location in found if location is not None]


def _with_rows(given: dict[str, Any]) -> dict[str, Any]:
    known = dict(given)
    if known.get("location_ids") is not None:
        known["location_ids"] = row_ids(known["location_ids"], "input.locationIds")
    if known.get("hours") is not None:
        known["hours"] = [vars(one) for one in known["hours"]]
    return known

from datetime import datetime

import strawberry
from strawberry import Maybe

from domain import tokens
from domain.page import FIRST_DEFAULT, Page, PageRequest
from domain.tokens import TokenStatus, TokenType
from resolvers.arguments import changes, row_id
from resolvers.context import Info

strawberry.enum(TokenType, description="What carries a token (OCPI).")
strawberry.enum(TokenStatus, description="Whether a token may charge.")


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


@strawberry.input(description="What changes of a token; what is absent stays, null clears.")
class UpdateTokenInput:
    uid: Maybe[str | None]
    type: Maybe[TokenType | None]
    status: Maybe[TokenStatus | None]
    expires_at: Maybe[datetime | None]
    group_uid: Maybe[str | None] = strawberry.field(name="group", default=None)
    contract_id: Maybe[str | None]
    max_sessions: Maybe[int | None]


async def listed(info: Info, first: int = FIRST_DEFAULT, after: str | None = None) -> Page[tokens.Token]:
    async with info.context.read() as work:
        return await tokens.listed(work, PageRequest(first, after))


async def by_id(info: Info, id: strawberry.ID) -> tokens.Token:
    async with info.context.read() as work:
        return await tokens.by_id(work, row_id(id))


async def create(info: Info, input: CreateTokenInput) -> tokens.Token:
    async with info.context.write() as work:
        return await tokens.create(work, **vars(input))


async def update(info: Info, id: strawberry.ID, input: UpdateTokenInput) -> tokens.Token:
    async with info.context.write() as work:
        return await tokens.update(work, token_id=row_id(id), **changes(input, never_null=("uid", "type", "status")))


async def delete(info: Info, id: strawberry.ID) -> tokens.Token:
    async with info.context.write() as work:
        return await tokens.delete(work, token_id=row_id(id))

from datetime import datetime

import strawberry

from domain import tokens
from domain.tokens import TokenStatus, TokenType
from resolvers import tokens as door
from schema.page import Connection
from schema.view import answer, attribute, view


@view(tokens.Token)
class Token:
    """Who may charge: a card, an app user."""

    id: strawberry.ID = attribute("Ours.")
    uid: str = attribute("What stations read; compared without case.")
    type: TokenType = attribute("What carries it.")
    status: TokenStatus = attribute("What was decided about it; its expiry counts beside.")
    expires_at: datetime | None = attribute("From then on it may not charge; null: it does not expire.")
    group_uid: str | None = attribute("Tokens of one group may stop each other's sessions.", name="group")
    contract_id: str | None = attribute("The contract that pays (OCPI contract_id).")
    max_sessions: int | None = attribute("Sessions at once; null: any number.")
    created_at: datetime = attribute("When it was entered.")


@strawberry.type
class TokenQuery:
    tokens: Connection[Token] | None = answer(door.listed, "Everybody who may charge.")
    token: Token | None = answer(door.by_id, "One token.")


@strawberry.type
class TokenMutation:
    create_token: Token | None = answer(door.create, "Let somebody charge.")
    update_token: Token | None = answer(door.update, "Change a token.")
    delete_token: Token | None = answer(door.delete, "Remove a token; its sessions keep its uid.")

from datetime import datetime

import strawberry

from domain import tokens
from domain.tokens import IdTokenType, TokenStatus, TokenType, Weekday
from resolvers import tokens as door
from schema import limits
from schema.locations import Location
from schema.page import Connection
from schema.view import answer, attribute, view


@view(tokens.Hours)
class Hours:
    """Some hours of some days of the week."""

    days: list[Weekday] = attribute("On which they begin.")
    begin: str = attribute("HH:MM")
    end: str = attribute("HH:MM, up to 24:00; not after `begin`: on the next day.")


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
    id_token_type: IdTokenType | None = attribute(
        "As what OCPP 2.x stations are told of it; null: ISO14443 for RFID, CENTRAL for the rest."
    )
    valid_hours: list[Hours] | None = attribute(
        "When it may charge, by the clock of the place, or the tenant's where that has none; null: at any time.",
        name="hours",
    )
    connector_types: list[str] | None = attribute("At which plugs it may charge; null: at any.")
    created_at: datetime = attribute("When it was entered.")
    locations: list[Location] | None = answer(
        door.locations_of, "Where it may charge; null: anywhere.", size=limits.LOCATIONS
    )


@view(tokens.TokenGroup)
class TokenGroup:
    """What holds for all tokens of a group."""

    id: strawberry.ID = attribute("Ours.")
    uid: str = attribute("As tokens have it in `group`; compared without case.")
    master_pass: bool = attribute("Its tokens stop anybody's session and start none (OCPP 2.x).")
    max_sessions: int | None = attribute("Sessions at once of all its tokens together; null: any number.")
    created_at: datetime = attribute("When it was first set.")


@strawberry.type
class TokenQuery:
    tokens: Connection[Token] | None = answer(door.listed, "Everybody who may charge.")
    token: Token | None = answer(door.by_id, "One token.")
    token_groups: Connection[TokenGroup] | None = answer(
        door.groups, "Groups for which something is set; tokens may be of others too."
    )


@strawberry.type
class TokenMutation:
    create_token: Token | None = answer(door.create, "Let somebody charge.")
    update_token: Token | None = answer(door.update, "Change a token.")
    delete_token: Token | None = answer(door.delete, "Remove a token; its sessions keep its uid.")
    set_token_group: TokenGroup | None = answer(door.set_group, "Say what holds for all tokens of a group.")
    delete_token_group: TokenGroup | None = answer(
        door.delete_group, "Let nothing more hold for a group; its tokens still stop each other's sessions."
    )

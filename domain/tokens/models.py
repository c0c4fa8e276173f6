from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid
from sqlmodel import Field

from domain.rows import JSON, TIMESTAMP, Record, enum_type
from domain.tokens.hours import Hours, read


class TokenType(StrEnum):
    """OCPI 2.2.1, 12.4.4."""

    RFID = "RFID"
    APP_USER = "APP_USER"
    AD_HOC_USER = "AD_HOC_USER"
    OTHER = "OTHER"


class TokenStatus(StrEnum):
    ACCEPTED = "ACCEPTED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    INVALID = "INVALID"


class IdTokenType(StrEnum):
    """How a station comes by a token: OCPP 2.0.1, 3.43, and the last three of 2.1. 1.6 makes no difference."""

    CENTRAL = "CENTRAL"
    EMAID = "EMAID"
    ISO14443 = "ISO14443"
    ISO15693 = "ISO15693"
    KEY_CODE = "KEY_CODE"
    LOCAL = "LOCAL"
    MAC_ADDRESS = "MAC_ADDRESS"
    DIRECT_PAYMENT = "DIRECT_PAYMENT"
    EVCCID = "EVCCID"
    VIN = "VIN"


class Token(Record, table=True):
    """Who may charge. `uid` is kept as written, compared without case (OCPP 1.6, 7.24 CiString).

    `group_uid` is OCPP's parentIdTag/groupIdToken; `max_sessions` how many charges at once, None for any. `status` is
    what an operator has set: what it comes to at a moment is `status_at`. `location_ids` are where it may charge, None
    for anywhere; one that is no more stays, lest the last of them set the token free. `hours` are when, None for at any
    time, and `connector_types` at which plugs (OCPP 2.0.1 ConnectorEnumType), None for any.
    """

    uid: str
    uid_key: str
    type: TokenType = Field(default=TokenType.RFID, sa_type=enum_type(TokenType))
    status: TokenStatus = Field(default=TokenStatus.ACCEPTED, sa_type=enum_type(TokenStatus))
    expires_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    group_uid: str | None = None
    group_key: str | None = None
    contract_id: str | None = None
    max_sessions: int | None = None
    location_ids: list[UUID] | None = Field(default=None, sa_type=ARRAY(Uuid))
    id_token_type: IdTokenType | None = Field(default=None, sa_type=enum_type(IdTokenType))
    hours: list[dict[str, Any]] | None = Field(default=None, sa_type=JSON)
    connector_types: list[str] | None = Field(default=None, sa_type=ARRAY(Text))

    @property
    def valid_hours(self) -> list[Hours] | None:
        return read(self.hours)

    @property
    def depends(self) -> bool:
        """Whether it may charge now and not later, or at one plug and not at another: a list cannot say so."""
        return self.hours is not None or self.connector_types is not None

    @property
    def shown_type(self) -> IdTokenType:
        """As what stations read it: a card, so that the card itself can stop its charge; the rest is ours alone."""
        by_carrier = IdTokenType.ISO14443 if self.type is TokenType.RFID else IdTokenType.CENTRAL
        return self.id_token_type or by_carrier


class TokenGroup(Record, table=True):
    """What holds for all tokens of a group. Without one they stop each other's charges, and that is all.

    `master_pass`: its tokens stop anybody's charge and start none (OCPP 2.0.1, C16). `max_sessions`: charges at once,
    of all its tokens together.
    """

    __tablename__ = "token_group"

    uid: str
    uid_key: str
    master_pass: bool = False
    max_sessions: int | None = None


def uid_key(uid: str) -> str:
    """A uid as it is compared."""
    return uid.strip().casefold()


def valid_at(token: Token, location_id: UUID | None) -> bool:
    """Whether it may charge there; None is a station that stands nowhere in particular."""
    return token.location_ids is None or location_id in token.location_ids


def status_at(token: Token, at: datetime) -> TokenStatus:
    """An accepted token expires by itself; what is blocked or invalid stays so."""
    if token.status is TokenStatus.ACCEPTED and token.expires_at is not None and token.expires_at <= at:
        return TokenStatus.EXPIRED
    return token.status

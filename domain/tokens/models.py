from datetime import datetime
from enum import StrEnum

from sqlmodel import Field

from domain.rows import TIMESTAMP, Record, enum_type


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


class Token(Record, table=True):
    """Who may charge. `uid` is kept as written, compared without case (OCPP 1.6, 7.24 CiString).

    `group_uid` is OCPP's parentIdTag/groupIdToken; `max_sessions` how many charges at once, None for any. `status` is
    what an operator has set: what it comes to at a moment is `status_at`.
    """

    uid: str
    uid_key: str
    type: TokenType = Field(default=TokenType.RFID, sa_type=enum_type(TokenType))
    status: TokenStatus = Field(default=TokenStatus.ACCEPTED, sa_type=enum_type(TokenStatus))
    expires_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    group_uid: str | None = None
    contract_id: str | None = None
    max_sessions: int | None = None


def uid_key(uid: str) -> str:
    """A uid as it is compared."""
    return uid.strip().casefold()


def status_at(token: Token, at: datetime) -> TokenStatus:
    """An accepted token expires by itself; what is blocked or invalid stays so."""
    if token.status is TokenStatus.ACCEPTED and token.expires_at is not None and token.expires_at <= at:
        return TokenStatus.EXPIRED
    return token.status

"""Whether a token may charge here and now."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import and_, func, not_, or_, true
from sqlmodel import col, select

from domain import tokens
from domain.actor import Permission
from domain.sessions.models import Session
from domain.stations import Registration, Station
from domain.tokens import Token
from domain.work import Work


class AuthorizationStatus(StrEnum):
    ACCEPTED = "ACCEPTED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    INVALID = "INVALID"
    CONCURRENT = "CONCURRENT"


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a station is told about a token; `token` is None for one that we do not know."""

    status: AuthorizationStatus
    token: Token | None = None

    @property
    def token_id(self) -> UUID | None:
        return None if self.token is None else self.token.id

    @property
    def group_uid(self) -> str | None:
        return None if self.token is None else self.token.group_uid

    @property
    def expires_at(self) -> datetime | None:
        return None if self.token is None else self.token.expires_at


async def authorize(
    work: Work,
    *,
    token_uid: str | None,
    station_id: UUID,
    evse_number: int | None = None,
    transaction_id: str | None = None,
) -> Authorization:
    """`evse_number` and `transaction_id`, as far as they are known, are what the token is shown for."""
    work.require(Permission.REPORT)
    return await judge(
        work, token_uid=token_uid, station_id=station_id, evse_number=evse_number, transaction_id=transaction_id
    )


async def judge(
    work: Work,
    *,
    token_uid: str | None,
    station_id: UUID,
    evse_number: int | None = None,
    transaction_id: str | None = None,
) -> Authorization:
    """For use-cases that have asked for a permission of their own."""
    token = await tokens.find(work, token_uid) if token_uid else None
    if token is None:
        return Authorization(AuthorizationStatus.INVALID)
    if (await work.get(Station, station_id)).registration is not Registration.ACCEPTED:
        return Authorization(AuthorizationStatus.INVALID, token)
    status = AuthorizationStatus(tokens.status_at(token, work.now))
    if status is AuthorizationStatus.ACCEPTED and token.max_sessions is not None:
        elsewhere = await _charging_elsewhere(work, token, station_id, evse_number, transaction_id)
        if elsewhere >= token.max_sessions:
            status = AuthorizationStatus.CONCURRENT
    return Authorization(status, token)


async def _charging_elsewhere(
    work: Work, token: Token, station_id: UUID, evse_number: int | None, transaction_id: str | None
) -> int:
    """Live sessions of a token but the one it is shown for: a card also stops its own charge, and starts are repeated.

    A station that does not say where the card was shown may mean any session of its own.
    """
    shown_for = []
    if evse_number is not None:
        shown_for.append(col(Session.evse_number) == evse_number)
    if transaction_id is not None:
        shown_for.append(col(Session.transaction_id) == transaction_id)
    here = and_(col(Session.station_id) == station_id, or_(*shown_for) if shown_for else true())
    query = select(func.count()).where(Session.token_id == token.id, col(Session.ended_at).is_(None), not_(here))
    return (await work.session.exec(query)).one()

"""Whether a token may charge here and now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, func, not_, or_, true
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from domain import tokens
from domain.actor import Permission
from domain.errors import NotFound
from domain.sessions.models import Session
from domain.sessions.narrowing import hours_end, plugs_for
from domain.stations import Registration, Station
from domain.tokens import Token, TokenGroup
from domain.work import Work


class AuthorizationStatus(StrEnum):
    """UNKNOWN: nobody's token. MASTER: it ends other people's charges and begins none. NOT_ALLOWED_TYPE_EVSE: not at
    plugs such as there are here."""

    ACCEPTED = "ACCEPTED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    INVALID = "INVALID"
    CONCURRENT = "CONCURRENT"
    UNKNOWN = "UNKNOWN"
    NOT_AT_THIS_LOCATION = "NOT_AT_THIS_LOCATION"
    NOT_AT_THIS_TIME = "NOT_AT_THIS_TIME"
    NOT_ALLOWED_TYPE_EVSE = "NOT_ALLOWED_TYPE_EVSE"
    NO_CREDIT = "NO_CREDIT"
    MASTER = "MASTER"


class Purpose(StrEnum):
    """What a token is shown for. ASK: the station does not say; it may be to begin or to end."""

    ASK = "ASK"
    START = "START"
    STOP = "STOP"


@dataclass(frozen=True, slots=True)
class AuthorizationRules:
    """For how long a station may remember an answer, None for as long as it likes, and whether it is told to forget;
    a port that the settings fill."""

    remembered_for: timedelta | None = None
    clears_caches: bool = False


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a station is told about a token; `token` is None for one that we do not keep.

    `expires_at` is until when it may rely on that: the token's own end, that of its hours, or that of the station's
    memory. `evse_numbers` are those at which alone it may charge; None: at all.
    """

    status: AuthorizationStatus
    token: Token | None = None
    group_uid: str | None = None
    expires_at: datetime | None = None
    evse_numbers: tuple[int, ...] | None = None

    @property
    def token_id(self) -> UUID | None:
        return None if self.token is None else self.token.id


@dataclass(frozen=True, slots=True)
class _Here:
    """Where a token is shown, as far as the station says."""

    station_id: UUID
    evse_number: int | None
    transaction_id: str | None


async def authorize(
    work: Work,
    *,
    token_uid: str | None,
    station_id: UUID,
    evse_number: int | None = None,
    transaction_id: str | None = None,
    purpose: Purpose = Purpose.ASK,
) -> Authorization:
    """`evse_number` and `transaction_id`, as far as they are known, are what the token is shown for."""
    work.require(Permission.REPORT)
    return await judge(
        work,
        token_uid=token_uid,
        station_id=station_id,
        evse_number=evse_number,
        transaction_id=transaction_id,
        purpose=purpose,
    )


async def judge(
    work: Work,
    *,
    token_uid: str | None,
    station_id: UUID,
    evse_number: int | None = None,
    transaction_id: str | None = None,
    purpose: Purpose = Purpose.ASK,
) -> Authorization:
    """For use-cases that have asked for a permission of their own. One statement, more where there are limits, hours or
    plugs to be kept to."""
    registration, location_id, token, group = await _known(work, token_uid, station_id)
    if registration is not Registration.ACCEPTED:
        return Authorization(AuthorizationStatus.INVALID, token)  # whoever knocks does not learn which cards are good
    if token is None:
        unknown = AuthorizationStatus.UNKNOWN if token_uid else AuthorizationStatus.INVALID
        return Authorization(unknown, expires_at=_forgotten_at(work))
    status = _decided(work, token, group, location_id, purpose)
    here, until, plugs = _Here(station_id, evse_number, transaction_id), None, None
    if status is AuthorizationStatus.ACCEPTED and purpose is not Purpose.STOP:
        if await _is_concurrent(work, token, group, here, purpose):
            status = AuthorizationStatus.CONCURRENT
        elif token.depends and not (purpose is Purpose.ASK and await _goes_on(work, token, here)):
            status, until, plugs = await _narrowed(work, token, here, location_id)
    bounds = (token.expires_at, until, _forgotten_at(work))
    return Authorization(status, token, token.group_uid, min(filter(None, bounds), default=None), plugs)


async def _narrowed(
    work: Work, token: Token, here: _Here, location_id: UUID | None
) -> tuple[AuthorizationStatus, datetime | None, tuple[int, ...] | None]:
    until = None
    if (hours := token.valid_hours) is not None:
        until = await hours_end(work, hours, location_id)
        if until is None:
            return AuthorizationStatus.NOT_AT_THIS_TIME, None, None
    if token.connector_types is None:
        return AuthorizationStatus.ACCEPTED, until, None
    plugs = await plugs_for(work, token, here.station_id, here.evse_number)
    if not plugs.here:
        return AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE, None, None
    return AuthorizationStatus.ACCEPTED, until, plugs.allowed


async def _goes_on(work: Work, token: Token, here: _Here) -> bool:
    """A charge of the card or its group, which it may be shown to end."""
    query = select(Session.id).where(
        col(Session.token_id).in_(_and_its_group(token)), col(Session.ended_at).is_(None), _is_here(here)
    )
    return (await work.session.exec(query.limit(1))).first() is not None


_KNOWN: Final = (
    select(Station.registration, Station.location_id, Token, TokenGroup)
    .select_from(Station)
    .outerjoin(Token, col(Token.uid_key) == bindparam("uid_key"))
    .outerjoin(TokenGroup, col(TokenGroup.uid_key) == Token.group_key)
    .where(Station.id == bindparam("station_id"))
)


async def _known(
    work: Work, token_uid: str | None, station_id: UUID
) -> tuple[Registration, UUID | None, Token | None, TokenGroup | None]:
    asked = {"station_id": station_id, "uid_key": tokens.uid_key(token_uid or "")}
    row = (await work.session.exec(_KNOWN, params=asked)).first()
    if row is None:
        raise NotFound(f"Station {station_id} does not exist", id=str(station_id))
    return Registration(row[0]), row[1], row[2], row[3]


def _decided(
    work: Work, token: Token, group: TokenGroup | None, location_id: UUID | None, purpose: Purpose
) -> AuthorizationStatus:
    """What needs no look at other charges."""
    status = AuthorizationStatus(tokens.status_at(token, work.now))
    if status is not AuthorizationStatus.ACCEPTED or purpose is Purpose.STOP:
        return status
    if group is not None and group.master_pass:
        return AuthorizationStatus.MASTER
    if not tokens.valid_at(token, location_id):
        return AuthorizationStatus.NOT_AT_THIS_LOCATION
    return status


def _forgotten_at(work: Work) -> datetime | None:
    remembered_for = work.port(AuthorizationRules).remembered_for
    return None if remembered_for is None else work.now + remembered_for


async def _is_concurrent(work: Work, token: Token, group: TokenGroup | None, here: _Here, purpose: Purpose) -> bool:
    """Whether it, or its group, charges elsewhere as often as it may (steve#141).

    What it is shown for does not count: starts are repeated. A station that does not say where it was shown may mean
    any charge of its own; where one of the card or its group goes on there, it may be shown to end that.
    """
    token_max, group_max = token.max_sessions, None if group is None else group.max_sessions
    if token_max is None and group_max is None:
        return False
    own = col(Session.token_id) == token.id
    is_here = _is_here(here)
    query = (
        select(
            func.count().filter(own, not_(is_here)),
            func.count().filter(not_(is_here)),
            func.count().filter(is_here),
        )
        .select_from(Session)
        .where(col(Session.token_id).in_(_and_its_group(token)), col(Session.ended_at).is_(None))
    )
    by_token, by_group, ours_here = (await work.session.exec(query)).one()
    if purpose is Purpose.ASK and ours_here:
        return False
    return (token_max is not None and by_token >= token_max) or (group_max is not None and by_group >= group_max)


def _and_its_group(token: Token) -> SelectOfScalar[UUID]:
    own = col(Token.id) == token.id
    return select(Token.id).where(own if token.group_key is None else or_(own, col(Token.group_key) == token.group_key))


def _is_here(here: _Here) -> ColumnElement[bool]:
    shown_for = []
    if here.evse_number is not None:
        shown_for.append(col(Session.evse_number) == here.evse_number)
    if here.transaction_id is not None:
        shown_for.append(col(Session.transaction_id) == here.transaction_id)
    return and_(col(Session.station_id) == here.station_id, or_(*shown_for) if shown_for else true())

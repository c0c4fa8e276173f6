"""What operators change about tokens. What stations keep of them follows, see `domain/reactions.py`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from domain import locations
from domain.actor import Permission
from domain.errors import Conflict, Invalid, NotFound
from domain.tokens.events import TokenChanged
from domain.tokens.hours import written
from domain.tokens.models import IdTokenType, Token, TokenStatus, TokenType, uid_key
from domain.work import Work

UID_MAX = 255  # OCPP 2.1, IdTokenType; 2.0.1 has 36, 1.6 has 20, which some stations exceed
NAME_MAX = 36
LOCATIONS_MAX = 200
TYPES_MAX = 30
_CHANGEABLE = frozenset(
    {
        "uid",
        "type",
        "status",
        "expires_at",
        "group_uid",
        "contract_id",
        "max_sessions",
        "location_ids",
        "id_token_type",
        "hours",
        "connector_types",
    }
)


async def create(
    work: Work,
    *,
    uid: str,
    type: TokenType = TokenType.RFID,
    status: TokenStatus = TokenStatus.ACCEPTED,
    expires_at: datetime | None = None,
    group_uid: str | None = None,
    contract_id: str | None = None,
    max_sessions: int | None = None,
    location_ids: Sequence[UUID] | None = None,
    id_token_type: IdTokenType | None = None,
    hours: Sequence[Mapping[str, Any]] | None = None,
    connector_types: Sequence[str] | None = None,
) -> Token:
    """A token that nobody has yet, whichever way its uid is capitalized."""
    work.require(Permission.CONTROL)
    token = Token(uid=uid, uid_key="", type=type, status=status, expires_at=expires_at, created_at=work.now)
    token.group_uid, token.contract_id, token.max_sessions = group_uid, contract_id, max_sessions
    token.location_ids = None if location_ids is None else list(location_ids)
    token.id_token_type = id_token_type
    token.hours = None if hours is None else [dict(one) for one in hours]
    token.connector_types = None if connector_types is None else list(connector_types)
    _check(token)
    await _check_locations(work, token)
    statement = insert(Token).values(token.model_dump()).on_conflict_do_nothing().returning(col(Token.id))
    if (await work.session.exec(statement)).first() is None:
        raise Conflict(f"token {token.uid} exists already", uid=token.uid)
    work.emit(TokenChanged(token_id=token.id, uid=token.uid, revoked=False))
    return await work.get(Token, token.id)


async def update(work: Work, *, token_id: UUID, **changes: Any) -> Token:
    """Changes any of uid, type, status, expires_at, group_uid, contract_id, max_sessions, location_ids,
    id_token_type, hours and connector_types; what is not given stays."""
    work.require(Permission.CONTROL)
    if unknown := sorted(changes.keys() - _CHANGEABLE):
        raise Invalid(f"{unknown[0]} of a token cannot be changed", field=unknown[0])
    token = await work.get(Token, token_id, lock=True)
    before = token.model_dump()
    for name, value in changes.items():
        setattr(token, name, value)
    _check(token)
    if "location_ids" in changes:
        await _check_locations(work, token)
    uid = token.uid
    try:
        await work.session.flush()
    except IntegrityError as error:
        raise Conflict(f"token {uid} exists already", uid=uid) from error
    if before != token.model_dump():
        work.emit(TokenChanged(token_id=token.id, uid=before["uid"], revoked=_is_less(before, token)))
    return token


async def delete(work: Work, *, token_id: UUID) -> Token:
    """It may no longer charge; its sessions keep its uid."""
    work.require(Permission.MANAGE)
    token = await work.get(Token, token_id, lock=True)
    await work.delete(token)
    work.emit(TokenChanged(token_id=token.id, uid=token.uid, revoked=token.status is TokenStatus.ACCEPTED))
    return token


def _is_less(before: dict[str, Any], token: Token) -> bool:
    """Whether somebody could charge with it who no longer may."""
    if before["status"] is not TokenStatus.ACCEPTED:
        return False
    narrowed = token.location_ids is not None and (
        before["location_ids"] is None or not set(before["location_ids"]) <= set(token.location_ids)
    )
    for name in ("hours", "connector_types"):
        narrowed |= getattr(token, name) is not None and getattr(token, name) != before[name]
    return token.status is not TokenStatus.ACCEPTED or before["uid_key"] != token.uid_key or narrowed


def _check(token: Token) -> None:
    """Tidies what was typed and refuses what cannot be a token."""
    token.uid = text(token.uid, "uid", longest=UID_MAX) or ""
    if not token.uid:
        raise Invalid(f"uid must have 1 to {UID_MAX} characters", field="uid")
    token.uid_key = uid_key(token.uid)
    token.group_uid = text(token.group_uid, "group")
    token.group_key = None if token.group_uid is None else uid_key(token.group_uid)
    token.contract_id = text(token.contract_id, "contractId")
    check_limit(token.max_sessions)
    token.hours = written(token.hours)
    if token.connector_types is not None:
        token.connector_types = sorted({text(one, "connectorTypes") or "" for one in token.connector_types} - {""})
        if len(token.connector_types) not in range(1, TYPES_MAX + 1):
            raise Invalid(f"connectorTypes has 1 to {TYPES_MAX} words, or is null: any", field="connectorTypes")
    if token.expires_at is not None and token.expires_at.tzinfo is None:
        raise Invalid("expiresAt must have a time zone", field="expiresAt")


async def _check_locations(work: Work, token: Token) -> None:
    if token.location_ids is None:
        return
    token.location_ids = sorted(set(token.location_ids))
    if len(token.location_ids) not in range(1, LOCATIONS_MAX + 1):
        raise Invalid(f"locationIds has 1 to {LOCATIONS_MAX} locations, or is null: anywhere", field="locationIds")
    found = {location.id for location in await locations.by_ids(work, token.location_ids)}
    missing = next((one for one in token.location_ids if one not in found), None)
    if missing is not None:
        raise NotFound(f"Location {missing} does not exist", id=str(missing))


def check_limit(max_sessions: int | None) -> None:
    if max_sessions is not None and max_sessions < 1:
        raise Invalid(f"maxSessions must be at least 1, not {max_sessions}", field="maxSessions")


def text(value: str | None, field: str, *, longest: int = NAME_MAX) -> str | None:
    """Without the blanks around it; nothing but blanks is nothing."""
    value = (value or "").strip()
    if len(value) > longest or not value.isprintable():
        raise Invalid(f"{field} has at most {longest} printable characters", field=field)
    return value or None

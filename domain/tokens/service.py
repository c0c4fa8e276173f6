from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from domain.actor import Permission
from domain.errors import Conflict, Invalid
from domain.tokens.models import Token, TokenStatus, TokenType, uid_key
from domain.work import Work

UID_MAX = 36  # OCPP 2.x, IdTokenType; 1.6 says 20, which some stations exceed
_CHANGEABLE = frozenset({"uid", "type", "status", "expires_at", "group_uid", "contract_id", "max_sessions"})


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
) -> Token:
    """A token that nobody has yet, whichever way its uid is capitalized."""
    work.require(Permission.CONTROL)
    token = Token(uid=uid, uid_key="", type=type, status=status, expires_at=expires_at, created_at=work.now)
    token.group_uid, token.contract_id, token.max_sessions = group_uid, contract_id, max_sessions
    _check(token)
    statement = insert(Token).values(token.model_dump()).on_conflict_do_nothing().returning(col(Token.id))
    if (await work.session.exec(statement)).first() is None:
        raise Conflict(f"token {token.uid} exists already", uid=token.uid)
    return await work.get(Token, token.id)


async def update(work: Work, *, token_id: UUID, **changes: Any) -> Token:
    """Changes any of uid, type, status, expires_at, group_uid, contract_id, max_sessions; what is not given stays."""
    work.require(Permission.CONTROL)
    if unknown := sorted(changes.keys() - _CHANGEABLE):
        raise Invalid(f"{unknown[0]} of a token cannot be changed", field=unknown[0])
    token = await work.get(Token, token_id, lock=True)
    for name, value in changes.items():
        setattr(token, name, value)
    _check(token)
    uid = token.uid
    try:
        await work.session.flush()
    except IntegrityError as error:
        raise Conflict(f"token {uid} exists already", uid=uid) from error
    return token


async def delete(work: Work, *, token_id: UUID) -> Token:
    """It may no longer charge; its sessions keep its uid."""
    work.require(Permission.MANAGE)
    token = await work.get(Token, token_id, lock=True)
    await work.delete(token)
    return token


def _check(token: Token) -> None:
    """Tidies what was typed and refuses what cannot be a token."""
    token.uid = _text(token.uid, "uid") or ""
    if not token.uid:
        raise Invalid(f"uid must have 1 to {UID_MAX} characters", field="uid")
    token.uid_key = uid_key(token.uid)
    token.group_uid = _text(token.group_uid, "group")
    token.contract_id = _text(token.contract_id, "contractId")
    if token.max_sessions is not None and token.max_sessions < 1:
        raise Invalid(f"maxSessions must be at least 1, not {token.max_sessions}", field="maxSessions")
    if token.expires_at is not None and token.expires_at.tzinfo is None:
        raise Invalid("expiresAt must have a time zone", field="expiresAt")


def _text(value: str | None, field: str) -> str | None:
    """Without the blanks around it; nothing but blanks is nothing."""
    value = (value or "").strip()
    if len(value) > UID_MAX or not value.isprintable():
        raise Invalid(f"{field} has at most {UID_MAX} printable characters", field=field)
    return value or None

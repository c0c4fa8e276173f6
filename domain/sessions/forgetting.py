"""Tokens that may no longer charge, and stations that remember otherwise."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import func
from sqlmodel import col, select

from domain import commands
from domain.actor import Permission
from domain.commands import Command, CommandKind, CommandRules, CommandStatus
from domain.errors import LimitExceeded
from domain.sessions.authorizing import AuthorizationRules
from domain.sessions.models import Session
from domain.tokens import TokenChanged
from domain.work import Work

log = structlog.get_logger()

_LATELY = timedelta(days=90)


async def clear_caches(work: Work, changed: TokenChanged) -> None:
    """Where the house wants so, stations at which it has charged lately forget all that they were told, of it and of
    others; those that are away when they come back."""
    work.require(Permission.CONTROL)
    if not (changed.revoked and work.port(AuthorizationRules).clears_caches):
        return
    for station_id in await _stations(work, changed.uid):
        try:
            await commands.request(
                work,
                station_id=station_id,
                kind=CommandKind.CLEAR_CACHE,
                queue_for_s=work.port(CommandRules).queue_for_max_s,
            )
        except LimitExceeded as error:
            log.warning("cache not cleared", station=str(station_id), reason=error.message)


async def _stations(work: Work, token_uid: str) -> Sequence[UUID]:
    """But those that will be told anyway."""
    told = select(Command.station_id).where(
        Command.kind == CommandKind.CLEAR_CACHE, Command.status == CommandStatus.QUEUED
    )
    query = (
        select(Session.station_id)
        .where(
            func.lower(Session.token_uid) == token_uid.strip().lower(),
            Session.started_at >= work.now - _LATELY,
            col(Session.station_id).not_in(told),
        )
        .distinct()
        .order_by(col(Session.station_id))
    )
    return (await work.session.exec(query)).all()

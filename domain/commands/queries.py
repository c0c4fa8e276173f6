from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import col, select

from domain.commands.models import Command, CommandKind, CommandStatus
from domain.work import Work

# OCPP 1.6 has no id to recognize a remote start by: the same station and token within ConnectionTimeOut, generously
_REMEMBERED = timedelta(seconds=120)


async def by_id(work: Work, command_id: UUID) -> Command:
    return await work.get(Command, command_id)


async def matching_remote_start(
    work: Work,
    *,
    station_id: UUID,
    token_uid: str | None,
    at: datetime,
    remote_start_number: int | None = None,
) -> UUID | None:
    """The remote start that led to a charge: by its number (2.x), else by station, token and time (1.6)."""
    query = select(Command.id).where(
        Command.station_id == station_id,
        Command.kind == CommandKind.REMOTE_START,
        col(Command.status).in_((CommandStatus.SENT, CommandStatus.ACCEPTED)),
    )
    if remote_start_number is not None:
        query = query.where(Command.remote_start_number == remote_start_number)
    else:
        query = query.where(
            Command.created_at >= at - _REMEMBERED,
            col(Command.arguments)["token_uid"].astext == token_uid,
        )
    return (await work.session.exec(query.order_by(col(Command.created_at).desc()).limit(1))).first()

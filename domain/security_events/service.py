from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from domain.actor import Permission
from domain.security_events.models import SecurityEvent
from domain.work import Work


async def report(work: Work, *, station_id: UUID, type: str, at: datetime, info: str | None = None) -> None:
    """Kept as long as its station is; said twice, it is kept once."""
    work.require(Permission.REPORT)
    event = SecurityEvent(station_id=station_id, type=type, at=at, info=info, created_at=work.now)
    await work.session.exec(insert(SecurityEvent).values(event.model_dump()).on_conflict_do_nothing())

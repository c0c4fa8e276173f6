"""An EVSE serves one vehicle at a time."""

from typing import Final

from sqlalchemy import bindparam, or_
from sqlmodel import col, select

from domain.sessions.models import Session
from domain.sessions.settling import settle
from domain.work import Work

_OTHERS: Final = (
    select(Session)
    .where(
        Session.station_id == bindparam("station_id"),
        Session.evse_number == bindparam("evse_number"),
        Session.id != bindparam("id"),
        or_(col(Session.stop_at).is_(None), col(Session.started_at) > bindparam("started_at")),
    )
    .with_for_update()
    .execution_options(populate_existing=True)
)


async def supersede(work: Work, session: Session) -> None:
    """A new charge on an EVSE ends the one before it, by inference where no stop was heard (ocpp.md 6.4).

    Replayed late, the new one may itself be the older. One from the future is by a clock that was ahead and has been
    set right since: it came before.
    """
    if session.evse_number is None:
        return
    of = {name: getattr(session, name) for name in ("id", "station_id", "evse_number", "started_at")}
    others = (await work.session.exec(_OTHERS, params=of)).all()
    later = [other.started_at for other in others if session.started_at < other.started_at <= work.now]
    session.superseded_at = min(later, default=None)
    for other in others:
        started_before = other.started_at not in later
        if started_before and (other.superseded_at is None or other.superseded_at > session.started_at):
            other.superseded_at = session.started_at
            settle(work, other)

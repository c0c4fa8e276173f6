"""After facts were learned: draw the conclusions, and tell what has changed. Only here sessions emit events."""

from typing import NamedTuple

from domain.events import Event
from domain.sessions.events import SessionResumed, SessionStarted, SessionStopped, SessionSuspended
from domain.sessions.models import Session, SessionStatus
from domain.sessions.news import SessionMetered
from domain.sessions.rules import conclude
from domain.work import Work


class _Conclusions(NamedTuple):
    status: SessionStatus
    is_over: bool
    details: tuple[object, ...]


def settle(work: Work, session: Session) -> Session:
    """Of a session that was heard of again."""
    before = _conclusions(session)
    _conclude(work, session)
    event = _change(session, before, _conclusions(session))
    if event is not None:
        work.emit(event)
    elif session.status is not SessionStatus.COMPLETED:
        work.tell(SessionMetered(session_id=session.id, station_id=session.station_id).message(work.tenant_id))
    return session


def settle_new(work: Work, session: Session) -> Session:
    _conclude(work, session)
    work.emit(SessionStarted(session_id=session.id, station_id=session.station_id))
    if session.ended_at is not None:
        work.emit(_stopped(session))
    return session


def _conclude(work: Work, session: Session) -> None:
    conclude(session)
    session.updated_at = work.now


def _change(session: Session, before: _Conclusions, after: _Conclusions) -> Event | None:
    """What of it is worth a durable event. An inferred end moves with every late sample: its coming is told, once."""
    if after.is_over:
        worth_telling = before != after and (before.status is not after.status or not session.inferred)
        return _stopped(session) if worth_telling else None
    if before.is_over or (before.status is SessionStatus.SUSPENDED is not after.status):
        return SessionResumed(session_id=session.id, station_id=session.station_id)
    if after.status is SessionStatus.SUSPENDED is not before.status:
        return SessionSuspended(session_id=session.id, station_id=session.station_id)
    return None


def _stopped(session: Session) -> SessionStopped:
    return SessionStopped(
        session_id=session.id,
        station_id=session.station_id,
        energy_wh=session.energy_wh,
        inferred=session.inferred,
    )


def _conclusions(session: Session) -> _Conclusions:
    details = (session.started_at, session.ended_at, session.energy_wh, session.meter_suspect, session.stop_reason)
    return _Conclusions(session.status, session.ended_at is not None, details)

"""What an operator does about a stop or a meter value that belongs to no charge."""

from uuid import UUID

from domain.actor import Permission
from domain.errors import Conflict, Invalid
from domain.sessions import finding
from domain.sessions.events import SessionOrphanAssigned, SessionOrphanDismissed
from domain.sessions.facts import Sample, learn_samples, learn_stop
from domain.sessions.models import OrphanKind, Session, SessionOrphan, StopSource
from domain.sessions.settling import settle
from domain.work import Work


async def assign_orphan(work: Work, *, orphan_id: UUID, session_id: UUID) -> SessionOrphan:
    """It is taken for this charge's. Should the charge's own stop come, that counts, and this is an orphan again."""
    work.require(Permission.CONTROL)
    orphan = await _open(work, orphan_id)
    session = await work.get(Session, session_id, lock=True)
    if session.station_id != orphan.station_id:
        raise Invalid("the session is another station's", field="sessionId")
    if orphan.kind is OrphanKind.STOP:
        if session.stop_at is not None:
            raise Conflict(f"session {session_id} was stopped already", stopped_at=session.stop_at.isoformat())
        if orphan.at < session.started_at:
            raise Invalid("the session began after this stop", field="sessionId")
        learn_stop(session, at=orphan.at, source=StopSource.MATCHED, meter_wh=orphan.meter_wh, reason=orphan.reason)
    else:
        learn_samples(session, [Sample(at=orphan.at, register_wh=orphan.meter_wh)])
    settle(work, session)
    orphan.session_id = session.id
    _settled(work, orphan)
    work.emit(SessionOrphanAssigned(orphan_id=orphan.id, session_id=session.id, by=work.actor.name))
    return orphan


async def dismiss_orphan(work: Work, *, orphan_id: UUID) -> SessionOrphan:
    """It is kept, and listed no more."""
    work.require(Permission.CONTROL)
    orphan = await _open(work, orphan_id)
    _settled(work, orphan)
    work.emit(SessionOrphanDismissed(orphan_id=orphan.id, by=work.actor.name))
    return orphan


async def _open(work: Work, orphan_id: UUID) -> SessionOrphan:
    found = await work.get(SessionOrphan, orphan_id)
    await finding.hold_station(work, found.station_id)  # whoever guesses whose it is holds it too
    orphan = await work.get(SessionOrphan, orphan_id, lock=True)
    if orphan.session_id is not None or orphan.settled_at is not None:
        raise Conflict(f"orphan {orphan_id} is settled already")
    return orphan


def _settled(work: Work, orphan: SessionOrphan) -> None:
    orphan.settled_at, orphan.settled_by = work.now, work.actor.name

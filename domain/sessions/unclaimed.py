"""Stops and meter values of transactions that nobody knows: taken for a session's where they fit, kept in any case."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from uuid_utils.compat import uuid7

from domain.sessions import finding
from domain.sessions.facts import Sample, learn_stop
from domain.sessions.models import OrphanKind, Session, SessionOrphan, StopSource
from domain.sessions.rules import TOLERANCE_WH
from domain.sessions.settling import settle
from domain.tokens import uid_key
from domain.work import Work

_LONGEST_SILENCE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Stop:
    """What a stop says, whose transaction we do not know."""

    transaction_id: str | None
    at: datetime
    meter_wh: float | None
    token_uid: str | None
    reason: str | None


async def keep_stop(work: Work, station_id: UUID, stop: Stop) -> Session | None:
    """The session it was taken to end, if any; a repeated stop ends no second one."""
    await finding.hold_station(work, station_id)
    content = _hash(stop.transaction_id, stop.at.isoformat(), stop.meter_wh, stop.token_uid, stop.reason)
    query = select(SessionOrphan).where(SessionOrphan.station_id == station_id, SessionOrphan.content_hash == content)
    known = (await work.session.exec(query)).first()
    if known is not None:
        return await work.session.get(Session, known.session_id) if known.session_id else None
    heard_since = stop.at - _LONGEST_SILENCE
    session = _best(await finding.unstopped(work, station_id=station_id, heard_since=heard_since), stop)
    work.add(
        SessionOrphan(
            station_id=station_id,
            kind=OrphanKind.STOP,
            session_id=None if session is None else session.id,
            transaction_id=stop.transaction_id,
            token_uid=stop.token_uid,
            at=stop.at,
            meter_wh=stop.meter_wh,
            reason=stop.reason,
            content_hash=content,
            created_at=work.now,
        )
    )
    if session is None:
        return None
    _end(session, stop)
    return settle(work, session)


async def adopt_stop(work: Work, session: Session) -> None:
    """The stop of this charge may have come before its start did, if the station had no number for it yet."""
    query = (
        select(SessionOrphan)
        .where(
            SessionOrphan.station_id == session.station_id,
            SessionOrphan.kind == OrphanKind.STOP,
            col(SessionOrphan.session_id).is_(None),
            col(SessionOrphan.settled_at).is_(None),
            col(SessionOrphan.transaction_id).is_(None),
            col(SessionOrphan.at).between(session.started_at, work.now),
        )
        .order_by(col(SessionOrphan.at))
    )
    for orphan in (await work.session.exec(query)).all():
        stop = Stop(orphan.transaction_id, orphan.at, orphan.meter_wh, orphan.token_uid, orphan.reason)
        if _fits(session, stop):
            orphan.session_id = session.id
            _end(session, stop)
            return


async def release_stop(work: Work, session: Session) -> None:
    """Its own stop has come: one that was taken for it, and says something else, is nobody's again."""
    query = select(SessionOrphan).where(SessionOrphan.session_id == session.id)
    for orphan in (await work.session.exec(query)).all():
        if (orphan.at, orphan.meter_wh) != (session.stop_at, session.meter_stop_wh):
            orphan.session_id = orphan.settled_at = orphan.settled_by = None


async def keep_samples(
    work: Work, *, station_id: UUID, transaction_id: str, evse_number: int | None, samples: Sequence[Sample]
) -> None:
    """One record per unknown transaction, holding the latest that was said of it."""
    newest = max(samples, key=lambda sample: sample.at)
    row = SessionOrphan(
        id=uuid7(),
        station_id=station_id,
        kind=OrphanKind.METER,
        transaction_id=transaction_id,
        evse_number=evse_number,
        at=newest.at,
        meter_wh=newest.register_wh,
        content_hash=_hash(OrphanKind.METER, transaction_id, evse_number),
        created_at=work.now,
    )
    fresh = insert(SessionOrphan).values(row.model_dump())
    table = SessionOrphan.__table__  # type: ignore[attr-defined]
    await work.session.exec(
        fresh.on_conflict_do_update(
            index_elements=["tenant_id", "station_id", "content_hash"],
            set_={"at": fresh.excluded.at, "meter_wh": fresh.excluded.meter_wh},
            where=table.c.at < fresh.excluded.at,
        )
    )


def _end(session: Session, stop: Stop) -> None:
    learn_stop(session, at=stop.at, source=StopSource.MATCHED, meter_wh=stop.meter_wh, reason=stop.reason)


def _best(candidates: Sequence[Session], stop: Stop) -> Session | None:
    """Without a token only if there is no choice; else the running one whose register is next below the stop's."""
    fitting = [session for session in candidates if _fits(session, stop)]
    if stop.token_uid is None and len(fitting) > 1:
        return None
    return min(fitting, key=lambda s: (s.ended_at is not None, (stop.meter_wh or 0.0) - _register_wh(s)), default=None)


def _fits(session: Session, stop: Stop) -> bool:
    heard_at = max(session.started_at, session.sampled_at or session.started_at)
    return (
        session.started_at <= stop.at
        and (session.superseded_at is None or stop.at <= session.superseded_at)
        and stop.at - heard_at <= _LONGEST_SILENCE
        and _is_same_token(session.token_uid, stop.token_uid)
        and (stop.meter_wh is None or stop.meter_wh >= _register_wh(session) - TOLERANCE_WH)
    )


def _is_same_token(one: str | None, other: str | None) -> bool:
    return one is None or other is None or uid_key(one) == uid_key(other)


def _register_wh(session: Session) -> float:
    """What the register showed last."""
    return session.meter_last_wh or session.meter_start_wh or 0.0


def _hash(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()

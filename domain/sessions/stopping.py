"""How charges end by the station's word, or by a word that fits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.actor import Permission
from domain.sessions import finding, unclaimed
from domain.sessions.facts import Sample, learn_samples, learn_stop
from domain.sessions.models import Session, StopSource
from domain.sessions.settling import settle
from domain.sessions.signing import Signed, keep_signed
from domain.sessions.starting import is_replayed
from domain.work import Work


async def stop(
    work: Work,
    *,
    station_id: UUID,
    transaction_id: str | None,
    at: datetime,
    meter_wh: float | None = None,
    token_uid: str | None = None,
    reason: str | None = None,
    samples: Sequence[Sample] = (),
    signed: Sequence[Signed] = (),
) -> Session | None:
    """StopTransaction (1.6). Never refused: a stop that belongs to no session is kept as an orphan, which is None."""
    work.require(Permission.REPORT)
    session = None if transaction_id is None else await finding.by_transaction(work, station_id, transaction_id)
    if session is None:
        unknown = unclaimed.Stop(transaction_id, at, meter_wh, token_uid, reason)
        session = await unclaimed.keep_stop(work, station_id, unknown)
        if session is not None:
            await keep_signed(work, session, signed)
        return session
    was_matched = session.stop_source is StopSource.MATCHED
    learn_samples(session, samples)
    learn_stop(session, at=at, source=StopSource.REPORTED, meter_wh=meter_wh, reason=reason)
    session.offline |= session.ended_at is None and is_replayed(work, at)
    if was_matched:
        await unclaimed.release_stop(work, session)
    await keep_signed(work, session, signed)
    return settle(work, session)

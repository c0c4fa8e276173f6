"""How charges end: by the station's word, by a word that fits, or by its silence after a boot."""

from collections.abc import Sequence, Set
from datetime import datetime
from uuid import UUID

from domain import stations
from domain.actor import Permission
from domain.sessions import finding, unclaimed
from domain.sessions.facts import Sample, learn_samples, learn_stop
from domain.sessions.models import Session, StopSource
from domain.sessions.settling import settle
from domain.sessions.starting import is_replayed
from domain.stations import StationBooted
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
) -> Session | None:
    """StopTransaction (1.6). Never refused: a stop that belongs to no session is kept as an orphan, which is None."""
    work.require(Permission.REPORT)
    session = None if transaction_id is None else await finding.by_transaction(work, station_id, transaction_id)
    if session is None:
        unknown = unclaimed.Stop(transaction_id, at, meter_wh, token_uid, reason)
        return await unclaimed.keep_stop(work, station_id, unknown)
    was_matched = session.stop_source is StopSource.MATCHED
    learn_samples(session, samples)
    learn_stop(session, at=at, source=StopSource.REPORTED, meter_wh=meter_wh, reason=reason)
    session.offline |= session.ended_at is None and is_replayed(work, at)
    if was_matched:
        await unclaimed.release_stop(work, session)
    return settle(work, session)


async def interrupt_unheard(work: Work, booted: StationBooted) -> None:
    """Runs a while after a boot: charges from before it that nothing was heard of since are over (ocpp.md 6.4).

    A stop that comes after all completes them with its true values.
    """
    work.require(Permission.REPORT)
    unheard = [
        session
        for session in await finding.running(work, station_id=booted.station_id)
        if session.updated_at < booted.booted_at
    ]
    for session in unheard:
        # a station's clock may be ahead of ours: what it said before the boot is no sign of life after it
        told = (booted.booted_at, session.sampled_at, session.charging_state_at)
        session.silent_since = max(at for at in told if at is not None)
        settle(work, session)
    await _show_over(work, booted.station_id, {session.evse_number for session in unheard})


async def _show_over(work: Work, station_id: UUID, evse_numbers: Set[int | None]) -> None:
    """OCPP 2.x: an EVSE shows what its charge is doing, until somebody says that it is over."""
    for evse in await stations.evses_of(work, [station_id]) if evse_numbers else ():
        if evse.number in evse_numbers and evse.charging_state is not None:
            await stations.report_charging_state(
                work, station_id=station_id, evse_number=evse.number, state=None, at=work.now
            )

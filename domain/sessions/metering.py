"""What is heard of a charge while it goes on: registers and power, and whether the vehicle draws any."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.actor import Permission
from domain.sessions import finding, unclaimed
from domain.sessions.facts import Sample, learn_samples, learn_state
from domain.sessions.models import ChargingState, Session
from domain.sessions.settling import settle
from domain.sessions.signing import Signed, keep_signed
from domain.work import Work


async def meter(
    work: Work,
    *,
    station_id: UUID,
    samples: Sequence[Sample],
    transaction_id: str | None = None,
    evse_number: int | None = None,
    signed: Sequence[Signed] = (),
) -> Session | None:
    """MeterValues: of the transaction they name, else of whatever charges on that EVSE at that time, else of none."""
    work.require(Permission.REPORT)
    if not samples:
        return None
    session = None if transaction_id is None else await finding.by_transaction(work, station_id, transaction_id)
    if session is None and evse_number is not None:
        latest = max(sample.at for sample in samples)
        session = await finding.around(work, station_id=station_id, evse_number=evse_number, at=latest)
    if session is not None:
        learn_samples(session, samples)
        await keep_signed(work, session, signed)
        return settle(work, session)
    if transaction_id is not None:
        await unclaimed.keep_samples(
            work, station_id=station_id, transaction_id=transaction_id, evse_number=evse_number, samples=samples
        )
    return None


async def suspend(work: Work, *, station_id: UUID, evse_number: int, at: datetime) -> Session | None:
    """The vehicle, or the station, has stopped drawing; the charge goes on (StatusNotification of 1.6)."""
    work.require(Permission.REPORT)
    return await _report_state(work, station_id, evse_number, ChargingState.SUSPENDED_EV, at)


async def resume(work: Work, *, station_id: UUID, evse_number: int, at: datetime) -> Session | None:
    work.require(Permission.REPORT)
    return await _report_state(work, station_id, evse_number, ChargingState.CHARGING, at)


async def _report_state(
    work: Work, station_id: UUID, evse_number: int, state: ChargingState, at: datetime
) -> Session | None:
    session = await finding.unfinished(work, station_id=station_id, evse_number=evse_number, at=at)
    if session is None:
        return None
    learn_state(session, state=state, at=at)
    return settle(work, session)

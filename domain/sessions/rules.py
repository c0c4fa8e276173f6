"""What follows from the facts of a charge: its energy, its end, its status. Pure, so that it may be asked any time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.sessions.models import ChargingState, Rank, Session, SessionStatus
from domain.sessions.sequence import missing

# Registers told in kWh with one decimal disagree with those told in Wh by up to this, and no meter ran backwards.
TOLERANCE_WH = 100.0

_RUNNING = {
    None: SessionStatus.ACTIVE,
    ChargingState.CHARGING: SessionStatus.ACTIVE,
    ChargingState.SUSPENDED_EV: SessionStatus.SUSPENDED,
    ChargingState.SUSPENDED_EVSE: SessionStatus.SUSPENDED,
}


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How this house treats charges; a port that the settings fill.

    `forgotten_after`: how long a station that is online may say nothing of one before it counts as over; 0 is for ever.
    """

    forgotten_after: timedelta = timedelta(hours=24)


def conclude(session: Session) -> None:
    session.energy_wh, session.meter_suspect = energy(session)
    session.status = _status(session)
    session.ended_at = _end(session)
    session.inferred = session.status is SessionStatus.INTERRUPTED
    session.power_w = session.power_last_w if session.ended_at is None else None
    if session.meter_stop_rank == 0:
        session.meter_stop_wh = None if session.ended_at is None else session.meter_last_wh
    session.missing_messages = missing(session.seqs_heard)
    session.incomplete = session.seqs_sent_to is not None and _lacks(session, below=session.seqs_sent_to)


def energy(session: Session) -> tuple[float, bool]:
    """From the first to the last value of the register in Wh, never negative, and whether the register ran backwards.

    A register that starts anew within a charge is counted up to where it was and on from where it began again: exact
    for one reset that does not climb past the old value, too low otherwise; in any case it is marked.
    """
    first = session.meter_start_wh
    last = session.meter_stop_wh if session.meter_stop_rank else session.meter_last_wh
    if first is None or last is None:
        return 0.0, False
    lowest = min(value for value in (session.meter_min_wh, first, last) if value is not None)
    highest = max(value for value in (session.meter_max_wh, first, last) if value is not None)
    rose_higher, fell_lower = highest > last + TOLERANCE_WH, lowest < first - TOLERANCE_WH
    backwards = last < first - (0.0 if _is_exact(session) else TOLERANCE_WH)
    if rose_higher and (fell_lower or backwards):
        return (highest - first) + (last - lowest), True
    return max(last - first, 0.0), rose_higher or fell_lower or backwards


def _is_exact(session: Session) -> bool:
    """Both ends come from the same kind of message, so from the same rounding."""
    return session.meter_start_rank == session.meter_stop_rank >= Rank.REPORTED


def is_unexplained(session: Session) -> bool:
    """Messages are missing of which the station has not said that they will not come."""
    if session.seqs_sent_to is None:
        return session.start_inferred or session.missing_messages > 0
    return session.missing_messages > missing(session.seqs_heard, below=session.seqs_sent_to)


def _lacks(session: Session, *, below: int) -> bool:
    return session.start_inferred or missing(session.seqs_heard, below=below) > 0


def last_sign(session: Session) -> datetime | None:
    """When something was last heard of it that shows it going on, by the station's clock."""
    return max(filter(None, (session.sampled_at, session.charging_state_at)), default=None)


def _status(session: Session) -> SessionStatus:
    if session.stop_at is not None:
        return SessionStatus.COMPLETED
    if session.superseded_at is not None or _is_silent(session):
        return SessionStatus.INTERRUPTED
    if session.charging_state in _RUNNING:
        return _RUNNING[session.charging_state]
    return SessionStatus.SUSPENDED if session.energy_wh > 0 else SessionStatus.PENDING


def _is_silent(session: Session) -> bool:
    """No sign of it since a boot, or since its connector was free. What is measured before and told after is none."""
    return session.silent_since is not None and (last_sign(session) or session.silent_since) <= session.silent_since


def _end(session: Session) -> datetime | None:
    if session.stop_at is not None:
        return max(session.stop_at, session.started_at)
    if session.status is SessionStatus.INTERRUPTED:
        return max(session.sampled_at or session.started_at, session.started_at)
    return None

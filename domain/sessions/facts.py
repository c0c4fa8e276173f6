"""What stations say of a charge, merged into its row.

Every function here is idempotent and they commute: each field is a minimum or maximum over what was ever said, so
duplicates, reorderings and replays end in the same row. Nothing here asks a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import inf
from uuid import UUID

from domain.sessions.models import ChargingState, Rank, Session, StopSource
from domain.sessions.sequence import with_number


class Moment(StrEnum):
    """Which part of a charge a sample marks (OCPP ReadingContext Transaction.Begin and Transaction.End)."""

    BEGIN = "BEGIN"
    END = "END"
    AMID = "AMID"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a meter value tells of a charge: the import register over all phases, the power, the vehicle's battery.

    `signed`: the meter itself has signed the register.
    """

    at: datetime
    register_wh: float | None = None
    power_w: float | None = None
    soc_percent: float | None = None
    moment: Moment = Moment.AMID
    signed: bool = False


def learn_start(session: Session, *, at: datetime, meter_wh: float | None = None) -> None:
    """The station's own word of the start; of two different ones the earlier."""
    if session.start_inferred or at < session.started_at:
        session.started_at = at
    session.start_inferred = False
    if meter_wh is not None:
        _learn_first(session, Rank.REPORTED, at, meter_wh)


def learn_existence(session: Session, *, at: datetime) -> None:
    """It went on at that time: without a start, the earliest such time stands in for it."""
    if session.start_inferred and at < session.started_at:
        session.started_at = at


def learn_place(session: Session, *, evse_number: int | None, connector_number: int | None) -> None:
    """A charge stays where it is; only its first message must say where that is (2.0.1, E02.FR.01)."""
    if session.evse_number is None:
        session.evse_number = evse_number
    if session.connector_number is None:
        session.connector_number = connector_number


def learn_token(session: Session, *, uid: str, token_id: UUID | None, at: datetime) -> None:
    """The first token shown is the one that charges; a later one stops."""
    if session.token_at is None or at < session.token_at:
        session.token_uid, session.token_id, session.token_at = uid, token_id, at


def learn_state(session: Session, *, state: ChargingState, at: datetime, seq: int | None = None) -> None:
    """The newest by time; within a second, which is all that some clocks tell, by sequence number."""
    known = (session.charging_state_at, session.charging_state_seq or 0)
    if known[0] is None or (at, seq or 0) >= (known[0], known[1]):
        session.charging_state, session.charging_state_at, session.charging_state_seq = state, at, seq


def learn_samples(session: Session, samples: Iterable[Sample]) -> None:
    for sample in samples:
        learn_existence(session, at=sample.at)
        session.sampled_at = max(sample.at, session.sampled_at or sample.at)
        if sample.register_wh is not None:
            _learn_register(session, sample, sample.register_wh)
        power = sample.power_w
        if power is not None and _is_newer(sample.at, power, session.power_at, session.power_last_w):
            session.power_last_w, session.power_at = power, sample.at
        soc = sample.soc_percent
        if soc is not None and _is_newer(sample.at, soc, session.soc_at, session.soc_percent):
            session.soc_percent, session.soc_at = soc, sample.at


def learn_stop(
    session: Session, *, at: datetime, source: StopSource, meter_wh: float | None = None, reason: str | None = None
) -> None:
    """Of several the first: stations repeat their stops, some with a later time. A reported one beats a matched one."""
    learn_existence(session, at=at)
    new, known = (source is StopSource.MATCHED, at), (session.stop_source is StopSource.MATCHED, session.stop_at)
    if known[1] is not None and new > (known[0], known[1]):
        return
    rank = Rank.MATCHED if source is StopSource.MATCHED else Rank.REPORTED
    if meter_wh is not None and rank >= session.meter_stop_rank:
        ties = new == known and rank == session.meter_stop_rank
        session.meter_stop_wh = max(meter_wh, session.meter_stop_wh or meter_wh) if ties else meter_wh
        session.meter_stop_rank = rank
    if new != known:
        session.stop_at, session.stop_source, session.stop_reason = at, source, reason


def learn_seq(session: Session, *, seq: int) -> None:
    """Which of its messages were heard: a set of numbers."""
    session.seqs_heard = with_number(session.seqs_heard, seq)


def learn_all_sent(session: Session) -> None:
    """The station has nothing more of it to send than what was heard."""
    last = session.seqs_heard[-1][1] if session.seqs_heard else 0
    session.seqs_sent_to = max(last, session.seqs_sent_to or 0)


def learn_vacancy(session: Session, *, at: datetime) -> None:
    """Its connector was said to be free."""
    session.vacated_at = max(at, session.vacated_at or at)


def learn_silence(session: Session, *, since: datetime) -> None:
    session.silent_since = max(since, session.silent_since or since)


def _learn_register(session: Session, sample: Sample, wh: float) -> None:
    marked = Rank.SIGNED if sample.signed else Rank.MARKED
    _learn_first(session, marked if sample.moment is Moment.BEGIN else Rank.SAMPLED, sample.at, wh)
    if _is_newer(sample.at, wh, session.meter_last_at, session.meter_last_wh):
        session.meter_last_wh, session.meter_last_at = wh, sample.at
    session.meter_min_wh = wh if session.meter_min_wh is None else min(wh, session.meter_min_wh)
    session.meter_max_wh = wh if session.meter_max_wh is None else max(wh, session.meter_max_wh)
    if sample.moment is Moment.END:
        known = (session.meter_stop_rank, session.meter_stop_wh or 0.0)
        session.meter_stop_rank, session.meter_stop_wh = max(known, (marked.value, wh))


def _learn_first(session: Session, rank: Rank, at: datetime, wh: float) -> None:
    known_at, known_wh = session.meter_start_at, session.meter_start_wh
    if known_at is None or known_wh is None or (-rank, at, wh) < (-session.meter_start_rank, known_at, known_wh):
        session.meter_start_wh, session.meter_start_at, session.meter_start_rank = wh, at, rank


def _is_newer(at: datetime, value: float, known_at: datetime | None, known: float | None) -> bool:
    """At one time the larger counts, so that the order of arrival does not. A known time may have lost its value."""
    return known_at is None or (at, value) > (known_at, -inf if known is None else known)

"""TransactionEvent of OCPP 2.x: one message for start, progress and end, in any order and any number of times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain import commands
from domain.actor import Permission
from domain.sessions import finding
from domain.sessions.authorizing import Authorization, Purpose, authorize
from domain.sessions.facts import (
    Sample,
    learn_existence,
    learn_place,
    learn_samples,
    learn_seq,
    learn_start,
    learn_state,
    learn_stop,
    learn_token,
)
from domain.sessions.models import ChargingState, Session, StopSource
from domain.sessions.placing import supersede
from domain.sessions.rules import is_unexplained
from domain.sessions.settling import settle, settle_new
from domain.sessions.signing import Signed, keep_signed
from domain.sessions.starting import new_session
from domain.tokens import uid_key
from domain.work import Work

_ASK_EVERY = timedelta(minutes=10)


class Stage(StrEnum):
    STARTED = "STARTED"
    UPDATED = "UPDATED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class Reported:
    """`authorization` is of the token that was shown, if one was; `state_changed` if it draws otherwise than before;
    `asks` if it is time to ask the station what became of messages that are missing."""

    session: Session
    authorization: Authorization | None
    state_changed: bool
    asks: bool = False


async def report(
    work: Work,
    *,
    station_id: UUID,
    transaction_id: str,
    stage: Stage,
    at: datetime,
    seq: int | None = None,
    evse_number: int | None = None,
    connector_number: int | None = None,
    token_uid: str | None = None,
    samples: Sequence[Sample] = (),
    state: ChargingState | None = None,
    reason: str | None = None,
    offline: bool = False,
    remote_start_number: int | None = None,
    signed: Sequence[Signed] = (),
) -> Reported:
    """Whichever event comes first makes the session; a start that comes later completes it (ocpp.md 6.4)."""
    work.require(Permission.REPORT)
    session, is_new = await _found_or_new(work, station_id, transaction_id, stage, at)
    before = (session.charging_state, session.ended_at)
    learn_existence(session, at=at)
    if stage is Stage.STARTED:
        learn_start(session, at=at)
    learn_samples(session, samples)
    if seq is not None:
        learn_seq(session, seq=seq)
    if state is not None:
        learn_state(session, state=state, at=at, seq=seq)
    if stage is Stage.ENDED:
        learn_stop(session, at=at, source=StopSource.REPORTED, reason=reason)
    session.offline |= offline
    await _learn_whereabouts(work, session, evse_number, connector_number)
    authorization = None if token_uid is None else await _learn_card(work, session, token_uid, at, stage)
    if remote_start_number is not None and session.command_id is None:
        session.command_id = await commands.matching_remote_start(
            work, station_id=station_id, token_uid=token_uid, remote_start_number=remote_start_number, at=work.now
        )
    _ = settle_new(work, session) if is_new else settle(work, session)
    await keep_signed(work, session, signed)
    state_changed = before != (session.charging_state, session.ended_at)
    return Reported(session, authorization, state_changed, asks=_asks(work, session, stage))


def _asks(work: Work, session: Session, stage: Stage) -> bool:
    """Now and then while messages are missing, and with the end, which is the last that it sends."""
    asked_at = session.status_asked_at
    is_due = stage is Stage.ENDED or asked_at is None or work.now >= asked_at + _ASK_EVERY
    if not is_due or not is_unexplained(session):
        return False
    session.status_asked_at = work.now
    return True


async def _found_or_new(
    work: Work, station_id: UUID, transaction_id: str, stage: Stage, at: datetime
) -> tuple[Session, bool]:
    """The hot path, an update of a known session, does not hold the station."""
    if stage is not Stage.STARTED:
        known = await finding.by_transaction(work, station_id, transaction_id)
        if known is not None:
            return known, False
    await finding.hold_station(work, station_id)
    known = await finding.by_transaction(work, station_id, transaction_id)
    if known is not None:
        return known, False
    return new_session(work, station_id, transaction_id, at), True


async def _learn_whereabouts(
    work: Work, session: Session, evse_number: int | None, connector_number: int | None
) -> None:
    was_placed = session.evse_number is not None
    learn_place(session, evse_number=evse_number, connector_number=connector_number)
    if session.evse_number is not None and not was_placed:
        await supersede(work, session)


async def _learn_card(work: Work, session: Session, token_uid: str, at: datetime, stage: Stage) -> Authorization:
    """At the end, or beside the one that charges, it is shown to stop."""
    is_another = session.token_uid is not None and uid_key(session.token_uid) != uid_key(token_uid)
    authorization = await authorize(
        work,
        token_uid=token_uid,
        station_id=session.station_id,
        evse_number=session.evse_number,
        transaction_id=session.transaction_id,
        purpose=Purpose.STOP if is_another or stage is Stage.ENDED else Purpose.START,
    )
    if token_uid:
        learn_token(session, uid=token_uid, token_id=authorization.token_id, at=at)
    return authorization

"""StartTransaction of OCPP 1.6: the station has begun to charge and asks us for a name of the transaction."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Sequence as DatabaseSequence
from sqlmodel import col, select

from domain import commands
from domain.actor import Permission
from domain.sessions import finding, unclaimed
from domain.sessions.authorizing import Authorization, Purpose, authorize
from domain.sessions.facts import learn_place, learn_start, learn_token
from domain.sessions.models import Session
from domain.sessions.placing import supersede
from domain.sessions.settling import settle_new
from domain.tokens import uid_key
from domain.work import Work

_TRANSACTION_NUMBER = DatabaseSequence("transaction_number")
_REPLAYED_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Started:
    """The charge is recorded whatever the authorization says, for it has begun already (ocpp.md 6.3)."""

    session: Session
    authorization: Authorization


async def start(
    work: Work,
    *,
    station_id: UUID,
    evse_number: int | None,
    connector_number: int | None,
    token_uid: str | None,
    at: datetime,
    meter_wh: float | None,
    said_at: str | None = None,
) -> Started:
    """A repeated start gets the transaction id of the first.

    `said_at` is the station's time as it was written, which stays the same where `at` had to be made up. Two charges
    can have it in common then: once the first was stopped, it is another.
    """
    work.require(Permission.REPORT)
    key = _start_key(evse_number, token_uid, said_at or at.isoformat(), meter_wh)
    await finding.hold_station(work, station_id)
    known = await finding.by_start(work, station_id, key)
    authorization = await authorize(
        work,
        token_uid=token_uid,
        station_id=station_id,
        evse_number=evse_number,
        transaction_id=None if known is None else known.transaction_id,
        purpose=Purpose.START,
    )
    if known is not None and (known.stop_at is None or known.started_at == at):
        return Started(known, authorization)
    session = new_session(work, station_id, await _next_number(work), at)
    session.start_key = key if known is None else None
    learn_start(session, at=at, meter_wh=meter_wh)
    learn_place(session, evse_number=evse_number, connector_number=connector_number)
    if token_uid:
        learn_token(session, uid=token_uid, token_id=authorization.token_id, at=at)
    session.offline = is_replayed(work, at)
    await supersede(work, session)
    await unclaimed.adopt_stop(work, session)
    if not session.offline:
        session.command_id = await _ordered_by(work, session)
    return Started(settle_new(work, session), authorization)


def new_session(work: Work, station_id: UUID, transaction_id: str, at: datetime) -> Session:
    """Heard of at `at`; when it started is yet to be learned."""
    session = Session(
        station_id=station_id,
        transaction_id=transaction_id,
        started_at=at,
        start_inferred=True,
        created_at=work.now,
        received_at=work.now,
        updated_at=work.now,
    )
    work.add(session)
    return session


def is_replayed(work: Work, at: datetime) -> bool:
    """OCPP 1.6 does not say that it was offline; what is told this late was kept for later."""
    return at < work.now - _REPLAYED_AFTER


def _start_key(evse_number: int | None, token_uid: str | None, said_at: str, meter_wh: float | None) -> str:
    parts = (evse_number, uid_key(token_uid or ""), said_at, meter_wh)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


async def _next_number(work: Work) -> str:
    """A positive int32 that no two stations share."""
    return str((await work.session.exec(select(_TRANSACTION_NUMBER.next_value()))).one())


async def _ordered_by(work: Work, session: Session) -> UUID | None:
    """The remote start that this charge answers: each is answered by one."""
    answered: list[UUID] = []
    while (
        command_id := await commands.matching_remote_start(
            work,
            station_id=session.station_id,
            token_uid=session.token_uid,
            evse_number=session.evse_number,
            at=work.now,
            excluding=answered,
        )
    ) is not None:
        query = select(Session.id).where(col(Session.command_id) == command_id)
        if (await work.session.exec(query)).first() is None:
            break
        answered.append(command_id)
    return command_id

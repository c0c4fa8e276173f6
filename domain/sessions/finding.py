"""Which session a station means, held against other writers until the work ends."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, bindparam, func, or_
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from domain.sessions.models import Session
from domain.stations import Station
from domain.work import Work


def _holding(query: SelectOfScalar[Session]) -> SelectOfScalar[Session]:
    """Read after the lock is had, not before."""
    return query.with_for_update().execution_options(populate_existing=True)


# Built once: that costs more than to run them, and these are asked for every message of a charge.
_BY_TRANSACTION: Final = _holding(
    select(Session).where(
        Session.station_id == bindparam("station_id"), Session.transaction_id == bindparam("transaction_id")
    )
)
_BY_START: Final = _holding(
    select(Session).where(Session.station_id == bindparam("station_id"), Session.start_key == bindparam("start_key"))
)
_HOLD_STATION: Final = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("key", type_=Text), 0)))
_MAY_GO_ON: Final = """
select stop_at is null and superseded_at is null from session
where station_id = $1 and evse_number = $2 and started_at <= $3
order by started_at desc limit 1
"""


async def hold_station(work: Work, station_id: UUID) -> None:
    """One at a time, per station, makes sessions or guesses which one is meant: two sockets may tell the same."""
    await work.session.exec(_HOLD_STATION, params={"key": f"session:{station_id}"})


async def by_id(work: Work, session_id: UUID) -> Session | None:
    return await _held(work, select(Session).where(Session.id == session_id))


async def by_transaction(work: Work, station_id: UUID, transaction_id: str) -> Session | None:
    return await _first(work, _BY_TRANSACTION, station_id=station_id, transaction_id=transaction_id)


async def by_start(work: Work, station_id: UUID, start_key: str) -> Session | None:
    return await _first(work, _BY_START, station_id=station_id, start_key=start_key)


async def around(work: Work, *, station_id: UUID, evse_number: int, at: datetime) -> Session | None:
    """The session that lasts on an EVSE at a time of the station's: not beyond its end, nor once the EVSE was free.

    An end that was inferred lies where it was last heard of; what is replayed from after that is its own.
    """
    silent_at = func.greatest(Session.silent_since, Session.superseded_at)
    lasts = or_(
        col(Session.ended_at).is_(None),
        col(Session.ended_at) >= at,
        and_(col(Session.stop_at).is_(None), silent_at >= at),
    )
    vacated_at = col(Session.vacated_at)
    stays = or_(vacated_at.is_(None), vacated_at >= at, vacated_at < col(Session.charging_state_at))
    return await _held(work, _latest(station_id, evse_number, at).where(lasts, stays))


async def unfinished(work: Work, *, station_id: UUID, evse_number: int, at: datetime) -> Session | None:
    """The session on an EVSE that may go on, even if it was thought to be over.

    Asked by hand first: whole fleets say of plugs at which nobody charges that they are free.
    """
    connection = await work.connection()
    if not await connection.fetchval(_MAY_GO_ON, station_id, evse_number, at):
        return None
    query = _latest(station_id, evse_number, at).where(
        col(Session.stop_at).is_(None), col(Session.superseded_at).is_(None)
    )
    return await _held(work, query)


async def running(work: Work, *, station_id: UUID) -> Sequence[Session]:
    query = select(Session).where(Session.station_id == station_id)
    query = query.where(col(Session.stop_at).is_(None), col(Session.ended_at).is_(None))  # the index knows the first
    return (await work.session.exec(_holding(query))).all()


async def unstopped(work: Work, *, station_id: UUID, heard_since: datetime) -> Sequence[Session]:
    """Those that no station has stopped, newest first: running, or over by inference."""
    query = select(Session).where(
        Session.station_id == station_id,
        col(Session.stop_at).is_(None),
        func.greatest(Session.started_at, Session.sampled_at) >= heard_since,
    )
    return (await work.session.exec(_holding(query.order_by(col(Session.started_at).desc())))).all()


async def stations_of_unheard(work: Work, *, heard_before: datetime, connected_before: datetime) -> Sequence[UUID]:
    query = select(Session.station_id).distinct().join(Station, col(Station.id) == Session.station_id)
    return (await work.session.exec(query.where(*_unheard(heard_before, connected_before)))).all()


async def unheard(
    work: Work, station_ids: Sequence[UUID], *, heard_before: datetime, connected_before: datetime, limit: int
) -> Sequence[Session]:
    """Running sessions that nothing was heard of, without those that somebody is just hearing of."""
    query = select(Session).join(Station, col(Station.id) == Session.station_id)
    query = query.where(col(Session.station_id).in_(station_ids), *_unheard(heard_before, connected_before))
    held = query.limit(limit).with_for_update(of=Session, skip_locked=True)
    return (await work.session.exec(held.execution_options(populate_existing=True))).all()


def _unheard(heard_before: datetime, connected_before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Session.stop_at).is_(None),
        col(Session.ended_at).is_(None),
        col(Session.updated_at) < heard_before,
        col(Station.connected_at) < connected_before,
    )


def _latest(station_id: UUID, evse_number: int, at: datetime) -> SelectOfScalar[Session]:
    """The last to have started there by that time, whether or not it lasts: one look at the index."""
    latest = (
        select(Session.id)
        .where(Session.station_id == station_id, Session.evse_number == evse_number, Session.started_at <= at)
        .order_by(col(Session.started_at).desc())
        .limit(1)
    )
    return select(Session).where(Session.id == latest.scalar_subquery())


async def _held(work: Work, query: SelectOfScalar[Session]) -> Session | None:
    return (await work.session.exec(_holding(query))).first()


async def _first(work: Work, query: SelectOfScalar[Session], **values: object) -> Session | None:
    return (await work.session.exec(query, params=values)).first()

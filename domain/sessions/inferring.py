"""Charges that nobody has ended, and that are over all the same. Whatever is heard of one later takes it back."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from domain import stations
from domain.actor import Permission
from domain.sessions import finding
from domain.sessions.events import EvseVacated
from domain.sessions.facts import learn_all_sent, learn_silence, learn_vacancy
from domain.sessions.models import Session, SessionStatus
from domain.sessions.rules import SessionRules, is_unexplained, last_sign
from domain.sessions.settling import settle
from domain.stations import Presence, Station, StationBooted
from domain.work import Work

# A station that has just come back first sends what it kept while it was away.
_TIME_TO_REPLAY = timedelta(hours=1)
_AT_ONCE = 200


_IS_RUNNING: Final = """
select exists (select from session where station_id = $1 and stop_at is null and ended_at is null)
"""


async def is_running_at(work: Work, booted: StationBooted) -> bool:
    """Whether a charge from before a boot goes on, as far as is known; one that is told of later was heard of since."""
    work.require(Permission.REPORT)
    connection = await work.connection()
    return bool(await connection.fetchval(_IS_RUNNING, booted.station_id))


async def interrupt_unheard(work: Work, booted: StationBooted) -> None:
    """Runs a while after a boot: charges from before it that nothing was heard of since are over (ocpp.md 6.4).

    A stop that comes after all completes them with its true values.
    """
    work.require(Permission.REPORT)
    for session in await finding.running(work, station_id=booted.station_id):
        if session.updated_at < booted.booted_at:
            await _silence(work, session, booted.booted_at)


async def vacate(
    work: Work, *, station_id: UUID, evse_number: int, at: datetime, connector_number: int | None = None
) -> None:
    """A connector is free (StatusNotification Available): the charge there is over, or its stop is on its way.

    An EVSE may have other plugs, which are free all along.
    """
    work.require(Permission.REPORT)
    session = await finding.unfinished(work, station_id=station_id, evse_number=evse_number, at=at)
    if session is None or session.ended_at is not None or not await _is_plug_of(work, session, connector_number):
        return
    if session.vacated_at is None or session.vacated_at < at:
        learn_vacancy(session, at=at)
        work.emit(EvseVacated(session_id=session.id, station_id=station_id, vacated_at=at))


async def _is_plug_of(work: Work, session: Session, connector_number: int | None) -> bool:
    """Where a charge has not said which plug is its own, it is none of the others while one of them is occupied."""
    if session.connector_number is not None and connector_number is not None:
        return session.connector_number == connector_number
    return session.evse_number is None or not await stations.is_occupied(
        work, station_id=session.station_id, evse_number=session.evse_number
    )


async def interrupt_vacated(work: Work, vacated: EvseVacated) -> None:
    """Runs a while after a connector was free: if nothing was heard of its charge since, it is over.

    Both times are the station's: what was measured before and is told after is no sign of life.
    """
    work.require(Permission.REPORT)
    session = await finding.by_id(work, vacated.session_id)
    if session is None or session.ended_at is not None or session.vacated_at != vacated.vacated_at:
        return
    if (last_sign(session) or session.started_at) <= vacated.vacated_at:
        learn_silence(session, since=vacated.vacated_at)
        settle(work, session)
        await _show_over(work, session)


async def interrupt_forgotten(work: Work) -> None:
    """Charges of stations that are there, and have said nothing of them for very long."""
    work.require(Permission.REPORT)
    after = work.port(SessionRules).forgotten_after
    if not after:
        return
    forgotten = {"heard_before": work.now - after, "connected_before": work.now - _TIME_TO_REPLAY}
    station_ids = await finding.stations_of_unheard(work, **forgotten)
    if not station_ids:
        return
    online = await work.port(Presence).online(work.tenant_id)  # type: ignore[type-abstract]
    there = [station_id for station_id in station_ids if station_id in online]
    for session in await finding.unheard(work, there, limit=_AT_ONCE, **forgotten):
        await _silence(work, session, work.now)


async def lacks_messages(work: Work, *, station_id: UUID, transaction_id: str) -> bool:
    """Whether some were skipped of which the station has not said that they will not come."""
    work.require(Permission.REPORT)
    session = await finding.by_transaction(work, station_id, transaction_id)
    return session is not None and is_unexplained(session)


async def hear_all_sent(work: Work, *, station_id: UUID, transaction_id: str, is_ongoing: bool | None) -> None:
    """The station has nothing more to send of a charge (GetTransactionStatus, 2.x): what is missing stays so.

    If it does not know it as ongoing either, its end is among what is missing.
    """
    work.require(Permission.REPORT)
    session = await finding.by_transaction(work, station_id, transaction_id)
    if session is None:
        return
    learn_all_sent(session)
    if is_ongoing is False and session.ended_at is None:
        await _silence(work, session, work.now)
    else:
        settle(work, session)


async def _silence(work: Work, session: Session, since: datetime) -> None:
    """`since` is by our clock, signs of life are by the station's. Where that is behind, it said later what it dates
    before; where it is ahead, what it said before is no sign of life after."""
    station = await work.get(Station, session.station_id)
    since += timedelta(seconds=min(station.clock_skew_s or 0.0, 0.0))
    learn_silence(session, since=max(since, last_sign(session) or since))
    settle(work, session)
    await _show_over(work, session)


async def _show_over(work: Work, session: Session) -> None:
    """OCPP 2.x: an EVSE shows what its charge is doing, until somebody says that it is over."""
    if session.status is not SessionStatus.INTERRUPTED or session.evse_number is None:
        return
    if session.charging_state is not None:
        await stations.report_charging_state(
            work, station_id=session.station_id, evse_number=session.evse_number, state=None, at=work.now
        )

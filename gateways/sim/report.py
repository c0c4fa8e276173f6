"""What a run of the simulator has told the server, to be held against what the server says."""

from dataclasses import dataclass
from datetime import datetime

from gateways.sim.charger import Charger
from gateways.sim.outlet import Session


@dataclass(frozen=True, slots=True)
class SessionReport:
    """`energy_wh` is up to the last register reading that the server has answered; the meter itself may be further."""

    transaction_id: str | None
    connector: int
    token_uid: str
    started_at: datetime
    ended_at: datetime | None
    meter_start_wh: int
    meter_stop_wh: int | None
    energy_wh: int
    reason: str | None
    offline: bool
    start_delivered: bool
    stop_delivered: bool


@dataclass(frozen=True, slots=True)
class StationReport:
    """`waits` is when the latest calls were made, by the loop's clock, and how long their answers took."""

    identity: str
    version: str
    boots: int
    connects: int
    frames_sent: int
    frames_received: int
    undelivered: int
    error_count: int
    errors: tuple[str, ...]
    waits: tuple[tuple[float, float], ...]
    sessions: tuple[SessionReport, ...]


@dataclass(frozen=True, slots=True)
class Report:
    stations: tuple[StationReport, ...]

    @property
    def sessions_delivered(self) -> int:
        """Those whose start and stop the server has answered."""
        return sum(one.start_delivered and one.stop_delivered for station in self.stations for one in station.sessions)

    @property
    def error_count(self) -> int:
        return sum(station.error_count for station in self.stations)


def of_session(session: Session) -> SessionReport:
    return SessionReport(
        transaction_id=session.transaction_id,
        connector=session.outlet,
        token_uid=session.card.uid,
        started_at=session.started_at,
        ended_at=session.ended_at,
        meter_start_wh=session.meter_start_wh,
        meter_stop_wh=session.meter_stop_wh,
        energy_wh=session.acknowledged_wh - session.meter_start_wh,
        reason=session.reason.name if session.reason else None,
        offline=session.offline,
        start_delivered=session.start_delivered,
        stop_delivered=session.stop_delivered,
    )


def of_station(charger: Charger) -> StationReport:
    traffic = charger.link.traffic
    return StationReport(
        identity=charger.identity,
        version=charger.dialect.subprotocol.removeprefix("ocpp"),
        boots=charger.boots,
        connects=traffic.connects,
        frames_sent=traffic.frames_sent,
        frames_received=traffic.frames_received,
        undelivered=len(charger.outbox),
        error_count=traffic.error_count,
        errors=tuple(traffic.errors),
        waits=tuple(traffic.waits),
        sessions=tuple(of_session(session) for session in charger.sessions),
    )

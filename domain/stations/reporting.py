"""What stations say of themselves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, func, literal, update
from sqlmodel import col, select

from domain.actor import Permission
from domain.rows import JSON
from domain.stations.events import StationBooted, StationConnected, StationDisconnected, StationStatusChanged
from domain.stations.models import Connector, Evse, Station, StationStatus, shown, whole
from domain.stations.presence import Presence
from domain.work import Work

SKEW_NOTED_S = 2.0


async def connected(
    work: Work, *, station_ids: Collection[UUID], ocpp_version: str, peers: Mapping[UUID, str] | None = None
) -> None:
    """Sockets of these stations are live. Many at once, for a restart brings back thousands."""
    work.require(Permission.REPORT)
    peer = func.coalesce(_by_station(peers or {}), Station.peer)
    change = {"ocpp_version": ocpp_version, "connected_at": work.now, "last_seen_at": work.now, "peer": peer}
    for station_id in await _change(work, station_ids, change):
        work.emit(StationConnected(station_id=station_id, ocpp_version=ocpp_version))


async def disconnected(work: Work, *, station_ids: Collection[UUID], seen_at: datetime | None = None) -> None:
    """The last sockets of these stations are gone, and the stations perhaps with them."""
    work.require(Permission.REPORT)
    change = {"last_seen_at": func.greatest(Station.last_seen_at, seen_at)}
    for station_id in await _change(work, station_ids, change):
        work.emit(StationDisconnected(station_id=station_id))


async def _change(work: Work, station_ids: Collection[UUID], values: Mapping[str, Any]) -> Sequence[UUID]:
    """Answers those that exist. They are locked in one order, so that two processes do not wait for each other."""
    known = select(Station.id).where(col(Station.id).in_(station_ids)).order_by(col(Station.id)).with_for_update()
    found = (await work.session.exec(known)).all()
    await work.session.exec(update(Station).where(col(Station.id).in_(found)).values(values))
    return found


def _by_station(texts: Mapping[UUID, str]) -> Any:
    """The text of the row's own station, as an expression that is the same for any number of them."""
    by_id = literal({str(station_id): text for station_id, text in texts.items() if text}, JSON)
    return by_id.op("->>")(cast(Station.id, Text))


async def forget_lost(work: Work) -> None:
    """Stations whose process died without a word: their lease has run out, so they went offline."""
    work.require(Permission.REPORT)
    lost = await work.port(Presence).expired(work.tenant_id)  # type: ignore[type-abstract]
    if lost:
        await disconnected(work, station_ids=lost)


async def boot(work: Work, *, station_id: UUID, reason: str | None = None, **identity: str | None) -> Station:
    """BootNotification: who the station is. Repeats freely, also while it charges; resets nothing (ocpp.md 6.2).

    `identity` is any of vendor, model, serial_number, firmware_version, iccid, imsi, meter_type, meter_serial_number.
    """
    work.require(Permission.REPORT)
    station = await work.get(Station, station_id, lock=True)
    for name, value in identity.items():
        setattr(station, name, value)
    station.boot_reason = reason
    station.booted_at = work.now
    station.last_seen_at = work.now
    work.emit(StationBooted(station_id=station.id, boot_reason=reason, booted_at=work.now))
    return station


async def report_clock(work: Work, *, station_id: UUID, skew_s: float) -> None:
    """How far its clock is ahead of ours. Kept as it was where it is off by no more than a moment."""
    work.require(Permission.REPORT)
    station = await work.get(Station, station_id)
    if station.clock_skew_s is None or abs(station.clock_skew_s - skew_s) >= SKEW_NOTED_S:
        station.clock_skew_s = skew_s


async def report_status(
    work: Work,
    *,
    station_id: UUID,
    evse_number: int | None,
    connector_number: int | None,
    status: StationStatus,
    at: datetime,
    error_code: str | None = None,
    error_info: str | None = None,
    vendor_error_code: str | None = None,
) -> None:
    """StatusNotification; no EVSE means the station itself, which is told of as the whole that it is.

    What is older than what is known changes nothing.
    """
    work.require(Permission.REPORT)
    box = await _box(work, station_id)
    station = box.station
    if evse_number is None or connector_number is None:
        if _stale(work, at, station.own_status_at):
            return
        if (station.own_status, station.error_code) == (status, error_code):
            return
        station.own_status, station.own_status_at, station.error_code = status, at, error_code
        box.summarize(at)
        status = station.status
    else:
        evse = await _evse(work, box, evse_number)
        connector = await _connector(work, box, evse, connector_number)
        if _stale(work, at, connector.status_at):
            return
        if (connector.reported_status, connector.error_code) == (status, error_code):
            return
        connector.reported_status, connector.status_at, connector.error_code = status, at, error_code
        connector.error_info, connector.vendor_error_code = error_info, vendor_error_code
        if status is StationStatus.AVAILABLE and not box.is_occupied(evse):
            evse.charging_state = None
        status = connector.status = shown(status, evse.charging_state)
        box.summarize(at)
    _tell(work, station, evse_number=evse_number, connector_number=connector_number, status=status, at=at)


async def report_charging_state(
    work: Work, *, station_id: UUID, evse_number: int, state: StationStatus | None, at: datetime
) -> None:
    """OCPP 2.x: what the transaction on an EVSE is doing, which Occupied alone does not tell; None when it is over."""
    work.require(Permission.REPORT)
    box = await _box(work, station_id)
    evse = await _evse(work, box, evse_number)
    if _stale(work, at, evse.charging_state_at) or evse.charging_state == state:
        return
    evse.charging_state, evse.charging_state_at = state, at
    plugs = box.connectors[evse.id].values()
    changed: list[tuple[int | None, StationStatus]] = []
    for connector in plugs:
        status = shown(connector.reported_status, state)
        if connector.status != status:
            connector.status = status
            changed.append((connector.number, status))
    box.summarize(at)
    if not plugs:  # it has not told of any, and the EVSE shows the charge all the same
        changed.append((None, evse.status))
    for number, status in changed:
        _tell(work, box.station, evse_number=evse_number, connector_number=number, status=status, at=at)


async def report_progress(
    work: Work, *, station_id: UUID, firmware: str | None = None, upload: str | None = None
) -> Station:
    """How far a firmware update, or the upload of logs or diagnostics, has come: the station's own word."""
    work.require(Permission.REPORT)
    station = await work.get(Station, station_id, lock=True)
    if firmware is not None:
        station.firmware_status, station.firmware_status_at = firmware, work.now
    if upload is not None:
        station.upload_status, station.upload_status_at = upload, work.now
    return station


async def remember_configuration(work: Work, *, station_id: UUID, values: Mapping[str, str | None]) -> Station:
    """What the station told of its configuration, or took of ours."""
    work.require(Permission.CONTROL)
    station = await work.get(Station, station_id, lock=True)
    station.configuration = {**station.configuration, **values}
    return station


async def learn_configuration(
    work: Work, *, station_id: UUID, values: Mapping[str, str | None], evses: int | None = None
) -> Station:
    """All that was read of a station's configuration. `evses` is how many it says to have, of one connector each:
    those that it has not told of are made known."""
    work.require(Permission.CONTROL)
    box = await _box(work, station_id)
    station = box.station
    station.configuration = {**station.configuration, **values}
    station.configuration_read_at, station.configuration_read_of = work.now, station.make
    for number in range(1, min(evses or 0, _EVSES_MAX) + 1):
        evse = await _evse(work, box, number)
        if not box.connectors[evse.id]:
            connector = await _connector(work, box, evse, 1)
            _tell(work, station, evse_number=number, connector_number=1, status=connector.status, at=work.now)
    return station


_EVSES_MAX = 64  # a number beyond it is a mistake


@dataclass
class Box:
    """A station with all its parts, held against other writers."""

    station: Station
    evses: dict[int, Evse]
    connectors: dict[UUID, dict[int, Connector]]  # by EVSE and number

    def is_occupied(self, evse: Evse) -> bool:
        return any(plug.reported_status is StationStatus.OCCUPIED for plug in self.connectors[evse.id].values())

    def summarize(self, at: datetime) -> None:
        """EVSEs show what their connectors do, a station what its EVSEs do."""
        for evse in self.evses.values():
            plugs = [connector.status for connector in self.connectors[evse.id].values()]
            evse.status = whole(plugs or [evse.charging_state or StationStatus.UNKNOWN])
        status = whole([evse.status for evse in self.evses.values()], self.station.own_status)
        if self.station.status != status:
            self.station.status, self.station.status_at = status, at


async def _box(work: Work, station_id: UUID) -> Box:
    station = await work.get(Station, station_id, lock=True)
    query = select(Evse, Connector).where(Evse.station_id == station_id)
    query = query.join(Connector, col(Connector.evse_id) == Evse.id, isouter=True)
    box = Box(station, {}, {})
    for evse, connector in (await work.session.exec(query)).all():
        box.evses[evse.number] = evse
        plugs = box.connectors.setdefault(evse.id, {})
        if connector is not None:
            plugs[connector.number] = connector
    return box


async def _evse(work: Work, box: Box, number: int) -> Evse:
    """The station is locked, so a part that is missing can be made here alone."""
    if number not in box.evses:
        evse = work.add(Evse(station_id=box.station.id, number=number, created_at=work.now))
        await work.session.flush()
        box.evses[number] = evse
        box.connectors[evse.id] = {}
    return box.evses[number]


async def _connector(work: Work, box: Box, evse: Evse, number: int) -> Connector:
    plugs = box.connectors[evse.id]
    if number not in plugs:
        plugs[number] = work.add(
            Connector(
                station_id=evse.station_id,
                evse_id=evse.id,
                evse_number=evse.number,
                number=number,
                created_at=work.now,
            )
        )
    return plugs[number]


def _stale(work: Work, at: datetime, known: datetime | None) -> bool:
    """What is known from the future came from a clock that was ahead, and has been set right since."""
    return known is not None and at < known <= work.now


def _tell(
    work: Work,
    station: Station,
    *,
    evse_number: int | None,
    connector_number: int | None,
    status: StationStatus,
    at: datetime,
) -> None:
    work.emit(
        StationStatusChanged(
            station_id=station.id,
            evse_number=evse_number,
            connector_number=connector_number,
            status=status,
            status_at=at,
        )
    )

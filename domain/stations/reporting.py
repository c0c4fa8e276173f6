"""What stations say of themselves."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.actor import Permission
from domain.stations import box as boxes
from domain.stations.events import StationBooted, StationConnected, StationDisconnected, StationStatusChanged
from domain.stations.models import Station, StationStatus, shown
from domain.stations.presence import Presence
from domain.work import Work

SKEW_NOTED_S = 2.0


async def connected(
    work: Work, *, station_ids: Collection[UUID], ocpp_version: str, peers: Mapping[UUID, str] | None = None
) -> None:
    """Sockets of these stations are live. Many at once, for a restart brings back thousands."""
    work.require(Permission.REPORT)
    shown = [(peers or {}).get(station_id) or None for station_id in station_ids]
    for station_id in await _change(work, station_ids, _CONNECTED, ocpp_version, work.now, shown):
        work.emit(StationConnected(station_id=station_id, ocpp_version=ocpp_version))


async def disconnected(work: Work, *, station_ids: Collection[UUID], seen_at: datetime | None = None) -> None:
    """The last sockets of these stations are gone, and the stations perhaps with them."""
    work.require(Permission.REPORT)
    for station_id in await _change(work, station_ids, _DISCONNECTED, seen_at):
        work.emit(StationDisconnected(station_id=station_id))


# By hand: after a restart there are as many as stations. They are held in one order, so that two processes do not
# wait for each other.
_HOLD: Final = "select id from station where id = any($1::uuid[]) order by id for update"
_CONNECTED: Final = """
update station
set ocpp_version = $2, connected_at = $3, last_seen_at = $3, peer = coalesce(told.peer, station.peer)
from unnest($1::uuid[], $4::text[]) as told (id, peer) where station.id = told.id
"""
_DISCONNECTED: Final = "update station set last_seen_at = greatest(last_seen_at, $2) where id = any($1::uuid[])"


async def _change(work: Work, station_ids: Collection[UUID], statement: str, *values: object) -> Sequence[UUID]:
    """Answers those that exist."""
    connection = await work.connection()
    found = [row["id"] for row in await connection.fetch(_HOLD, list(station_ids))]
    await connection.execute(statement, list(station_ids), *values)
    return found


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


_CLOCK: Final = """
update station set clock_skew_s = $2 where id = $1 and (clock_skew_s is null or abs(clock_skew_s - $2) >= $3)
"""


async def report_clock(work: Work, *, station_id: UUID, skew_s: float) -> None:
    """How far its clock is ahead of ours. Kept as it was where it is off by no more than a moment."""
    work.require(Permission.REPORT)
    await (await work.connection()).execute(_CLOCK, station_id, skew_s, SKEW_NOTED_S)


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
    box = await boxes.held(work, station_id)
    if evse_number is None or connector_number is None:
        if _stale(work, at, box.own_status_at):
            return
        if (box.own_status, box.error_code) == (status, error_code):
            return
        box.own_status, box.own_status_at, box.error_code = status, at, error_code
        box.summarize(at)
        status = box.status
    else:
        evse = box.evse(evse_number)
        plug = evse.plug(connector_number)
        if _stale(work, at, plug.status_at):
            return
        if (plug.reported, plug.error_code) == (status, error_code):
            await boxes.keep(work, box)  # it may be the first that is heard of this plug
            return
        plug.reported, plug.status_at, plug.error_code = status, at, error_code
        plug.error_info, plug.vendor_error_code = error_info, vendor_error_code
        if status is StationStatus.AVAILABLE and not evse.is_occupied:
            evse.charging_state = None
        status = plug.status = shown(status, evse.charging_state)
        box.summarize(at)
    await boxes.keep(work, box)
    _tell(work, station_id, evse_number=evse_number, connector_number=connector_number, status=status, at=at)


async def report_charging_state(
    work: Work, *, station_id: UUID, evse_number: int, state: StationStatus | None, at: datetime
) -> None:
    """OCPP 2.x: what the transaction on an EVSE is doing, which Occupied alone does not tell; None when it is over."""
    work.require(Permission.REPORT)
    box = await boxes.held(work, station_id)
    evse = box.evse(evse_number)
    if _stale(work, at, evse.charging_state_at) or evse.charging_state == state:
        await boxes.keep(work, box)
        return
    evse.charging_state, evse.charging_state_at = state, at
    changed: list[tuple[int | None, StationStatus]] = []
    for plug in evse.plugs.values():
        status = shown(plug.reported, state)
        if plug.status != status:
            plug.status = status
            changed.append((plug.number, status))
    box.summarize(at)
    await boxes.keep(work, box)
    if not evse.plugs:  # it has not told of any, and the EVSE shows the charge all the same
        changed.append((None, evse.status))
    for number, status in changed:
        _tell(work, station_id, evse_number=evse_number, connector_number=number, status=status, at=at)


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
    station = await work.get(Station, station_id, lock=True)
    station.configuration = {**station.configuration, **values}
    station.configuration_read_at, station.configuration_read_of = work.now, station.make
    if evses is not None:
        await _learn_evses(work, station_id, evses)
    return station


async def _learn_evses(work: Work, station_id: UUID, evses: int) -> None:
    box = await boxes.held(work, station_id)
    for number in range(1, min(evses, _EVSES_MAX) + 1):
        if not box.evse(number).plugs:
            status = box.evse(number).plug(1).status
            _tell(work, station_id, evse_number=number, connector_number=1, status=status, at=work.now)
    await boxes.keep(work, box)


_EVSES_MAX = 64  # a number beyond it is a mistake


def _stale(work: Work, at: datetime, known: datetime | None) -> bool:
    """What is known from the future came from a clock that was ahead, and has been set right since."""
    return known is not None and at < known <= work.now


def _tell(
    work: Work,
    station_id: UUID,
    *,
    evse_number: int | None,
    connector_number: int | None,
    status: StationStatus,
    at: datetime,
) -> None:
    work.emit(
        StationStatusChanged(
            station_id=station_id,
            evse_number=evse_number,
            connector_number=connector_number,
            status=status,
            status_at=at,
        )
    )

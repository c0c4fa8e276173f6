"""OCPP 1.6, 4.9: what connectors are doing. Connector n is EVSE n with connector 1, connector 0 the station."""

from ocpp.v16 import call as request
from ocpp.v16 import call_result as result

from domain import sessions, stations
from domain.stations import StationStatus
from gateways.ocpp.link import Call, Handler

STATUS = {
    "Available": StationStatus.AVAILABLE,
    "Preparing": StationStatus.PREPARING,
    "Charging": StationStatus.CHARGING,
    "SuspendedEVSE": StationStatus.SUSPENDED_EVSE,
    "SuspendedEV": StationStatus.SUSPENDED_EV,
    "Finishing": StationStatus.FINISHING,
    "Reserved": StationStatus.RESERVED,
    "Unavailable": StationStatus.UNAVAILABLE,
    "Faulted": StationStatus.FAULTED,
}
_SUSPENDED = (StationStatus.SUSPENDED_EV, StationStatus.SUSPENDED_EVSE)


async def status(call: Call, m: request.StatusNotification) -> result.StatusNotification:
    reported = STATUS.get(m.status, StationStatus.UNKNOWN)
    at = call.moment(m.timestamp)
    evse_number = m.connector_id or None
    said = (m.status, m.error_code, m.info, m.vendor_error_code)
    if call.plugs.repeats(evse_number, said, at, received_at=call.received_at):
        return result.StatusNotification()
    async with call.write() as work:
        await stations.report_status(
            work,
            station_id=call.station_id,
            evse_number=evse_number,
            connector_number=None if evse_number is None else 1,
            status=reported,
            at=at,
            error_code=None if m.error_code in (None, "NoError") else m.error_code,
            error_info=m.info,
            vendor_error_code=m.vendor_error_code,
        )
        if evse_number is not None and reported in _SUSPENDED:
            await sessions.suspend(work, station_id=call.station_id, evse_number=evse_number, at=at)
        elif evse_number is not None and reported is StationStatus.CHARGING:
            await sessions.resume(work, station_id=call.station_id, evse_number=evse_number, at=at)
        elif evse_number is not None and reported is StationStatus.AVAILABLE:
            await sessions.vacate(work, station_id=call.station_id, evse_number=evse_number, connector_number=1, at=at)
    call.plugs.heard(evse_number, said, at, received_at=call.received_at)
    return result.StatusNotification()


HANDLERS: dict[str, Handler] = {"StatusNotification": status}

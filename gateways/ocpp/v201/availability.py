"""OCPP 2.0.1, G: what connectors are doing. What a charge is doing comes with its TransactionEvents."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result

from domain import stations
from domain.stations import StationStatus
from gateways.ocpp.link import Call, Handler

STATUS = {
    "Available": StationStatus.AVAILABLE,
    "Occupied": StationStatus.OCCUPIED,
    "Reserved": StationStatus.RESERVED,
    "Unavailable": StationStatus.UNAVAILABLE,
    "Faulted": StationStatus.FAULTED,
}


async def status(call: Call, m: request.StatusNotification) -> result.StatusNotification:
    async with call.write() as work:
        await stations.report_status(
            work,
            station_id=call.station_id,
            evse_number=m.evse_id or None,
            connector_number=m.connector_id or None,
            status=STATUS.get(m.connector_status, StationStatus.UNKNOWN),
            at=call.moment(m.timestamp),
        )
    return result.StatusNotification()


HANDLERS: dict[str, Handler] = {"StatusNotification": status}

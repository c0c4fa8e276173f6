"""OCPP 2.0.1, G: what connectors are doing. What a charge is doing comes with its TransactionEvents."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.datatypes import EventDataType

from domain import sessions, stations
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
    reported, at = STATUS.get(m.connector_status, StationStatus.UNKNOWN), call.moment(m.timestamp)
    async with call.write() as work:
        await stations.report_status(
            work,
            station_id=call.station_id,
            evse_number=m.evse_id or None,
            connector_number=m.connector_id or None,
            status=reported,
            at=at,
        )
        if m.evse_id and reported is StationStatus.AVAILABLE:
            await sessions.vacate(work, station_id=call.station_id, evse_number=m.evse_id, at=at)
    return result.StatusNotification()


async def events(call: Call, m: request.NotifyEvent) -> result.NotifyEvent:
    """G01: a connector's state may be told as an event instead, which 2.1 prefers. An EVSE's is the sum of them."""
    told = [event for event in m.event_data if _tells_availability(event)]
    if told:
        async with call.write() as work:
            for event in told:
                evse = event.component.evse
                await stations.report_status(
                    work,
                    station_id=call.station_id,
                    evse_number=evse.id if evse else None,
                    connector_number=evse.connector_id if evse else None,
                    status=STATUS.get(event.actual_value, StationStatus.UNKNOWN),
                    at=call.moment(event.timestamp),
                )
    return result.NotifyEvent()


def _tells_availability(event: EventDataType) -> bool:
    part, evse = event.component.name, event.component.evse
    if event.variable.name != "AvailabilityState":
        return False
    return part == "ChargingStation" if evse is None else part == "Connector" and bool(evse.connector_id)


HANDLERS: dict[str, Handler] = {"StatusNotification": status, "NotifyEvent": events}

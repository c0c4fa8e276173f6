"""OCPP 2.0.1, G: what connectors are doing. What a charge is doing comes with its TransactionEvents."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.datatypes import EventDataType

from domain import sessions, stations
from domain.stations import StationStatus, Told
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.v201.inventory import named

STATUS = {
    "Available": StationStatus.AVAILABLE,
    "Occupied": StationStatus.OCCUPIED,
    "Reserved": StationStatus.RESERVED,
    "Unavailable": StationStatus.UNAVAILABLE,
    "Faulted": StationStatus.FAULTED,
}


async def status(call: Call, m: request.StatusNotification) -> result.StatusNotification:
    await _report(
        call, [_Told((m.evse_id or None, m.connector_id or None), m.connector_status, call.moment(m.timestamp))]
    )
    return result.StatusNotification()


async def events(call: Call, m: request.NotifyEvent) -> result.NotifyEvent:
    """G01: a connector's state may be told as an event instead, which 2.1 prefers. An EVSE's is the sum of them.

    Other variables are what their events say.
    """
    told, others = [], []
    for event in m.event_data:
        evse = event.component.evse
        if _tells_availability(event):
            plug = (evse.id, evse.connector_id) if evse else (None, None)
            told.append(_Told(plug, event.actual_value, call.moment(event.timestamp)))
        else:
            others.append(Told(name=named(event.component, event.variable), value=event.actual_value))
    await _report(call, told)
    if others:
        async with call.write() as work:
            await stations.observe(work, station_id=call.station_id, told=others)
    return result.NotifyEvent()


class _Told(NamedTuple):
    plug: tuple[int | None, int | None]
    word: str
    at: datetime


async def _report(call: Call, told: Sequence[_Told]) -> None:
    news = [one for one in told if not call.plugs.repeats(*one, received_at=call.received_at)]
    if not news:
        return
    async with call.write() as work:
        for (evse_number, connector_number), word, at in news:
            reported = STATUS.get(word, StationStatus.UNKNOWN)
            await stations.report_status(
                work,
                station_id=call.station_id,
                evse_number=evse_number,
                connector_number=connector_number,
                status=reported,
                at=at,
            )
            if evse_number and reported is StationStatus.AVAILABLE:
                await sessions.vacate(
                    work,
                    station_id=call.station_id,
                    evse_number=evse_number,
                    connector_number=connector_number,
                    at=at,
                )
    for one in news:
        call.plugs.heard(*one, received_at=call.received_at)


def _tells_availability(event: EventDataType) -> bool:
    part, evse = event.component.name, event.component.evse
    if event.variable.name != "AvailabilityState":
        return False
    return part == "ChargingStation" if evse is None else part == "Connector" and bool(evse.connector_id)


HANDLERS: dict[str, Handler] = {"StatusNotification": status, "NotifyEvent": events}

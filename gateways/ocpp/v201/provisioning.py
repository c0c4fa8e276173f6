"""OCPP 2.0.1, B01 to B03 and G02: who the station is, and that it is alive."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.enums import RegistrationStatusEnumType

from domain import stations
from domain.stations import Registration
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.onboarding import answered
from gateways.ocpp.v201.configuration import read

REGISTRATION = {
    Registration.ACCEPTED: RegistrationStatusEnumType.accepted,
    Registration.PENDING: RegistrationStatusEnumType.pending,
    Registration.REJECTED: RegistrationStatusEnumType.rejected,
}


async def boot(call: Call, m: request.BootNotification) -> result.BootNotification:
    box, modem = m.charging_station, m.charging_station.modem
    async with call.write() as work:
        station = await stations.boot(
            work,
            station_id=call.station_id,
            reason=m.reason,
            vendor=box.vendor_name,
            model=box.model,
            serial_number=box.serial_number,
            firmware_version=box.firmware_version,
            iccid=modem.iccid if modem else None,
            imsi=modem.imsi if modem else None,
        )
    return result.BootNotification(
        current_time=call.workplace.clock(),
        interval=answered(call, station, read=read),
        status=REGISTRATION[station.registration],
    )


async def heartbeat(call: Call, _m: request.Heartbeat) -> result.Heartbeat:
    """The answer is the station's clock; that it was heard from is kept in Redis, not here."""
    return result.Heartbeat(current_time=call.workplace.clock())


HANDLERS: dict[str, Handler] = {"BootNotification": boot, "Heartbeat": heartbeat}

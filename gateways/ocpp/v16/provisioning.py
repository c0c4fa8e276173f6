"""OCPP 1.6, 4.2 and 4.6: who the station is, and that it is alive."""

from ocpp.v16 import call as request
from ocpp.v16 import call_result as result
from ocpp.v16.enums import RegistrationStatus

from domain import stations
from domain.stations import Registration
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.onboarding import answered
from gateways.ocpp.v16.configuration import read

REGISTRATION = {
    Registration.ACCEPTED: RegistrationStatus.accepted,
    Registration.PENDING: RegistrationStatus.pending,
    Registration.REJECTED: RegistrationStatus.rejected,
}


async def boot(call: Call, m: request.BootNotification) -> result.BootNotification:
    async with call.write() as work:
        station = await stations.boot(
            work,
            station_id=call.station_id,
            vendor=m.charge_point_vendor,
            model=m.charge_point_model,
            serial_number=m.charge_point_serial_number or m.charge_box_serial_number,
            firmware_version=m.firmware_version,
            iccid=m.iccid,
            imsi=m.imsi,
            meter_type=m.meter_type,
            meter_serial_number=m.meter_serial_number,
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

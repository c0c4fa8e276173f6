"""OCPP 2.0.1, L: how far a firmware update has come."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result

from domain import stations
from gateways.ocpp.link import Call, Handler


async def firmware(call: Call, m: request.FirmwareStatusNotification) -> result.FirmwareStatusNotification:
    async with call.write() as work:
        await stations.report_progress(work, station_id=call.station_id, firmware=m.status)
    return result.FirmwareStatusNotification()


async def published(
    _call: Call, _m: request.PublishFirmwareStatusNotification
) -> result.PublishFirmwareStatusNotification:
    """Of a local controller that hands firmware on."""
    return result.PublishFirmwareStatusNotification()


HANDLERS: dict[str, Handler] = {
    "FirmwareStatusNotification": firmware,
    "PublishFirmwareStatusNotification": published,
}

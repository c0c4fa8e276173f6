"""OCPP 2.0.1, N: how far the upload of a log has come is kept; reports of monitors and customers are taken note of."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result

from domain import stations
from gateways.ocpp.link import Call, Handler


async def log(call: Call, m: request.LogStatusNotification) -> result.LogStatusNotification:
    async with call.write() as work:
        await stations.report_progress(work, station_id=call.station_id, upload=m.status)
    return result.LogStatusNotification()


async def monitors(_call: Call, _m: request.NotifyMonitoringReport) -> result.NotifyMonitoringReport:
    return result.NotifyMonitoringReport()


async def customer(_call: Call, _m: request.NotifyCustomerInformation) -> result.NotifyCustomerInformation:
    return result.NotifyCustomerInformation()


HANDLERS: dict[str, Handler] = {
    "LogStatusNotification": log,
    "NotifyMonitoringReport": monitors,
    "NotifyCustomerInformation": customer,
}

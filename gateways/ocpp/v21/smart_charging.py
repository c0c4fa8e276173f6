"""OCPP 2.1, K and R: that a charge has priority, and what stations do for the grid, is taken note of."""

from ocpp.v21 import call as request
from ocpp.v21 import call_result as result

from gateways.ocpp.link import Call, Handler


async def priority(_call: Call, _m: request.NotifyPriorityCharging) -> result.NotifyPriorityCharging:
    return result.NotifyPriorityCharging()


async def alarm(_call: Call, _m: request.NotifyDERAlarm) -> result.NotifyDERAlarm:
    return result.NotifyDERAlarm()


async def started(_call: Call, _m: request.NotifyDERStartStop) -> result.NotifyDERStartStop:
    return result.NotifyDERStartStop()


async def controls(_call: Call, _m: request.ReportDERControl) -> result.ReportDERControl:
    return result.ReportDERControl()


HANDLERS: dict[str, Handler] = {
    "NotifyPriorityCharging": priority,
    "NotifyDERAlarm": alarm,
    "NotifyDERStartStop": started,
    "ReportDERControl": controls,
}

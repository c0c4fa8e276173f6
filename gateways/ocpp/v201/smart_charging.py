"""OCPP 2.0.1, K: limits of others and wishes of cars are taken note of; we make no schedules yet and say so."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.enums import GenericStatusEnumType, NotifyEVChargingNeedsStatusEnumType

from gateways.ocpp.link import Call, Handler


async def limited(_call: Call, _m: request.NotifyChargingLimit) -> result.NotifyChargingLimit:
    return result.NotifyChargingLimit()


async def unlimited(_call: Call, _m: request.ClearedChargingLimit) -> result.ClearedChargingLimit:
    return result.ClearedChargingLimit()


async def profiles(_call: Call, _m: request.ReportChargingProfiles) -> result.ReportChargingProfiles:
    return result.ReportChargingProfiles()


async def needs(_call: Call, _m: request.NotifyEVChargingNeeds) -> result.NotifyEVChargingNeeds:
    """K15: rejected means that no schedule comes, and the car charges by what the station has."""
    return result.NotifyEVChargingNeeds(status=NotifyEVChargingNeedsStatusEnumType.rejected)


async def schedule(_call: Call, _m: request.NotifyEVChargingSchedule) -> result.NotifyEVChargingSchedule:
    """K15: accepted means that it was understood, not that it is agreed to."""
    return result.NotifyEVChargingSchedule(status=GenericStatusEnumType.accepted)


HANDLERS: dict[str, Handler] = {
    "NotifyChargingLimit": limited,
    "ClearedChargingLimit": unlimited,
    "ReportChargingProfiles": profiles,
    "NotifyEVChargingNeeds": needs,
    "NotifyEVChargingSchedule": schedule,
}

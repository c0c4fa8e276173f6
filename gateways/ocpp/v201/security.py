"""OCPP 2.0.1, A04: what happened to a station's security is kept."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result

from gateways.ocpp.link import Call, Handler
from gateways.ocpp.security import keep


async def event(call: Call, m: request.SecurityEventNotification) -> result.SecurityEventNotification:
    await keep(call, m)
    return result.SecurityEventNotification()


HANDLERS: dict[str, Handler] = {"SecurityEventNotification": event}

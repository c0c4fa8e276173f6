"""OCPP 1.6, security whitepaper: what happened to a station's security is kept."""

from ocpp.v16 import call as request
from ocpp.v16 import call_result as result

from gateways.ocpp.link import Call, Handler
from gateways.ocpp.security import keep


async def event(call: Call, m: request.SecurityEventNotification) -> result.SecurityEventNotification:
    await keep(call, m)
    return result.SecurityEventNotification()


HANDLERS: dict[str, Handler] = {"SecurityEventNotification": event}

"""OCPP 2.0.1, A04: what happened to a station's security is taken note of."""

import structlog
from ocpp.v201 import call as request
from ocpp.v201 import call_result as result

from gateways.ocpp.link import Call, Handler

log = structlog.get_logger()


async def event(call: Call, m: request.SecurityEventNotification) -> result.SecurityEventNotification:
    log.warning(
        "security event",
        tenant=str(call.tenant_id),
        station=call.identity,
        type=m.type,
        at=str(m.timestamp),
        info=m.tech_info,
    )
    return result.SecurityEventNotification()


HANDLERS: dict[str, Handler] = {"SecurityEventNotification": event}

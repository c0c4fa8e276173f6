"""What stations report of their security, which all versions say alike."""

from typing import Any

import structlog

from domain import security_events
from gateways.ocpp.link import Call

log = structlog.get_logger()


async def keep(call: Call, m: Any) -> None:
    """SecurityEventNotification: OCPP 2.0.1 A04, 1.6 security whitepaper."""
    log.warning(
        "security event",
        tenant=str(call.tenant_id),
        station=call.identity,
        type=m.type,
        at=str(m.timestamp),
        info=m.tech_info,
    )
    async with call.write() as work:
        await security_events.report(
            work, station_id=call.station_id, type=m.type, at=call.moment(m.timestamp), info=m.tech_info or None
        )

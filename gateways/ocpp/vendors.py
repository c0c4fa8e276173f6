"""Vendors' own messages, whatever the version."""

from typing import Any

import structlog

from domain import stations
from domain.stations import VendorAnswer, VendorMessage
from gateways.ocpp.link import Call

log = structlog.get_logger()


async def heard(call: Call, *, vendor_id: str, message_id: str | None, data: Any) -> VendorAnswer:
    """What a plug-in says to it. What nobody understands stands in the station's log, as all that it says."""
    message = VendorMessage(station_id=call.station_id, vendor_id=vendor_id, message_id=message_id, data=data)
    async with call.write() as work:
        answer = await stations.hear_vendor(work, message)
    log.info(
        "data transfer",
        tenant=str(call.tenant_id),
        station=call.identity,
        vendor=vendor_id,
        message=message_id,
        status=answer.status,
    )
    return answer

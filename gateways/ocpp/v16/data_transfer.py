"""OCPP 1.6, 4.3: vendors' own messages. We know no vendor yet and say so."""

import structlog
from ocpp.v16 import call as request
from ocpp.v16 import call_result as result
from ocpp.v16.enums import DataTransferStatus

from gateways.ocpp.link import Call, Handler

log = structlog.get_logger()


async def data_transfer(call: Call, m: request.DataTransfer) -> result.DataTransfer:
    log.info("data transfer", station=call.identity, vendor=m.vendor_id, message=m.message_id)
    return result.DataTransfer(status=DataTransferStatus.unknown_vendor_id)


HANDLERS: dict[str, Handler] = {"DataTransfer": data_transfer}

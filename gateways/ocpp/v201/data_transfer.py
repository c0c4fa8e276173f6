"""OCPP 2.0.1, P: vendors' own messages. We know no vendor yet and say so."""

import structlog
from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.enums import DataTransferStatusEnumType

from gateways.ocpp.link import Call, Handler

log = structlog.get_logger()


async def data_transfer(call: Call, m: request.DataTransfer) -> result.DataTransfer:
    log.info("data transfer", station=call.identity, vendor=m.vendor_id, message=m.message_id)
    return result.DataTransfer(status=DataTransferStatusEnumType.unknown_vendor_id)


HANDLERS: dict[str, Handler] = {"DataTransfer": data_transfer}

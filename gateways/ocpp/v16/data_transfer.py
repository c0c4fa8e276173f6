"""OCPP 1.6, 4.3 and 5.6: vendors' own messages, in either direction."""

from typing import Any

from ocpp.v16 import call as request
from ocpp.v16 import call_result as result
from ocpp.v16.enums import DataTransferStatus

from domain.commands import CommandKind
from domain.stations import VendorStatus
from gateways.ocpp.conversions import text_of
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.orders import Orders
from gateways.ocpp.vendors import heard

STATUS = {
    VendorStatus.ACCEPTED: DataTransferStatus.accepted,
    VendorStatus.REJECTED: DataTransferStatus.rejected,
    VendorStatus.UNKNOWN_MESSAGE: DataTransferStatus.unknown_message_id,
    VendorStatus.UNKNOWN_VENDOR: DataTransferStatus.unknown_vendor_id,
}


async def data_transfer(call: Call, m: request.DataTransfer) -> result.DataTransfer:
    answer = await heard(call, vendor_id=m.vendor_id, message_id=m.message_id, data=m.data)
    return result.DataTransfer(status=STATUS[answer.status], data=text_of(answer.data))


def _send(wanted: dict[str, Any]) -> request.DataTransfer:
    return request.DataTransfer(
        vendor_id=wanted["vendor_id"], message_id=wanted.get("message_id"), data=text_of(wanted.get("data"))
    )


HANDLERS: dict[str, Handler] = {"DataTransfer": data_transfer}

ORDERS: Orders = {CommandKind.DATA_TRANSFER: _send}

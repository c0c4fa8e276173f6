"""OCPP 2.0.1, P: vendors' own messages, in either direction."""

from typing import Any

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.enums import DataTransferStatusEnumType

from domain.commands import CommandKind
from domain.stations import VendorStatus
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.orders import Orders
from gateways.ocpp.vendors import heard

STATUS = {
    VendorStatus.ACCEPTED: DataTransferStatusEnumType.accepted,
    VendorStatus.REJECTED: DataTransferStatusEnumType.rejected,
    VendorStatus.UNKNOWN_MESSAGE: DataTransferStatusEnumType.unknown_message_id,
    VendorStatus.UNKNOWN_VENDOR: DataTransferStatusEnumType.unknown_vendor_id,
}


async def data_transfer(call: Call, m: request.DataTransfer) -> result.DataTransfer:
    answer = await heard(call, vendor_id=m.vendor_id, message_id=m.message_id, data=m.data)
    return result.DataTransfer(status=STATUS[answer.status], data=answer.data)


def _send(wanted: dict[str, Any]) -> request.DataTransfer:
    return request.DataTransfer(
        vendor_id=wanted["vendor_id"], message_id=wanted.get("message_id"), data=wanted.get("data")
    )


HANDLERS: dict[str, Handler] = {"DataTransfer": data_transfer}

ORDERS: Orders = {CommandKind.DATA_TRANSFER: _send}

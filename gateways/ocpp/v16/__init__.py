"""OCPP 1.6: which message is handled where, and how commands are put. One file per functional block."""

from gateways.ocpp.frames import Version
from gateways.ocpp.link import Handler
from gateways.ocpp.orders import Answers, Orders
from gateways.ocpp.v16 import (
    authorization,
    availability,
    data_transfer,
    firmware,
    local_lists,
    metering,
    provisioning,
    remote,
    reservation,
    security,
    transactions,
)

VERSION = Version.V16

HANDLERS: dict[str, Handler] = {
    **provisioning.HANDLERS,
    **authorization.HANDLERS,
    **transactions.HANDLERS,
    **metering.HANDLERS,
    **availability.HANDLERS,
    **data_transfer.HANDLERS,
    **firmware.HANDLERS,
    **security.HANDLERS,
}

ORDERS: Orders = {**remote.ORDERS, **reservation.ORDERS, **data_transfer.ORDERS, **local_lists.ORDERS}
ANSWERS: Answers = {**remote.ANSWERS, **local_lists.ANSWERS}

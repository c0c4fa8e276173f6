"""OCPP 2.0.1: which message is handled where, and how commands are put. One file per functional block."""

from gateways.ocpp.frames import Version
from gateways.ocpp.link import Handler
from gateways.ocpp.orders import Answers, Orders
from gateways.ocpp.v201 import (
    authorization,
    availability,
    data_transfer,
    device_model,
    diagnostics,
    display,
    firmware,
    inventory,
    local_lists,
    metering,
    network,
    provisioning,
    remote,
    reservation,
    security,
    smart_charging,
    transactions,
)

VERSION = Version.V201

HANDLERS: dict[str, Handler] = {
    **provisioning.HANDLERS,
    **authorization.HANDLERS,
    **transactions.HANDLERS,
    **metering.HANDLERS,
    **availability.HANDLERS,
    **reservation.HANDLERS,
    **data_transfer.HANDLERS,
    **inventory.HANDLERS,
    **diagnostics.HANDLERS,
    **firmware.HANDLERS,
    **security.HANDLERS,
    **smart_charging.HANDLERS,
    **display.HANDLERS,
}

ORDERS: Orders = {
    **remote.ORDERS,
    **reservation.ORDERS,
    **data_transfer.ORDERS,
    **device_model.ORDERS,
    **network.ORDERS,
    **local_lists.ORDERS,
}
ANSWERS: Answers = {**device_model.ANSWERS, **local_lists.ANSWERS}

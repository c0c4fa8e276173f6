"""OCPP 2.1: all that 2.0.1 says, in the same words, and more. Only what is more is written here.

What is added to `v201` is understood and said in 2.1 too; `tests/gateways/ocpp/test_v21.py` knows the few names in
which the two differ.
"""

from gateways.ocpp import v201
from gateways.ocpp.frames import Version
from gateways.ocpp.link import Handler
from gateways.ocpp.orders import Orders
from gateways.ocpp.v21 import diagnostics, remote, smart_charging, transactions

VERSION = Version.V21

HANDLERS: dict[str, Handler] = {
    **v201.HANDLERS,
    **transactions.HANDLERS,
    **diagnostics.HANDLERS,
    **smart_charging.HANDLERS,
}

ORDERS: Orders = {**v201.ORDERS, **remote.ORDERS}
ANSWERS = v201.ANSWERS

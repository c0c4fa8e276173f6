"""Stations with something that the demo's own do not have: readings of charges that nobody knows."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.journeys.servers import Server

ORPHANS = 8
NEVER_GIVEN = 2_147_483_600


def a_station_with_orphans(server: Server, identity: str) -> None:
    """One charge that goes on, and meter values of others that never began."""
    numbers = itertools.count(1)
    with connect(f"{server.ocpp}/demo/{identity}", subprotocols=[Subprotocol("ocpp1.6")], proxy=None) as socket:

        def call(action: str, payload: dict[str, Any]) -> None:
            number = str(next(numbers))
            socket.send(json.dumps([2, number, action, payload]))
            while json.loads(socket.recv(timeout=30))[:2] != [3, number]:
                pass

        now = datetime.now(UTC).isoformat()
        values = [{"timestamp": now, "sampledValue": [{"value": "1500"}]}]
        call("BootNotification", {"chargePointVendor": "Nobody", "chargePointModel": "One"})
        call("StartTransaction", {"connectorId": 1, "idTag": "DEMO", "meterStart": 1_000, "timestamp": now})
        for unknown in range(NEVER_GIVEN, NEVER_GIVEN + ORPHANS):
            call("MeterValues", {"connectorId": 9, "transactionId": unknown, "meterValue": values})


@contextmanager
def a_stubborn_station(server: Server, identity: str) -> Iterator[None]:
    """It is there, charges for as long as it is wanted, and refuses every order."""
    now = datetime.now(UTC).isoformat()
    start = {"connectorId": 1, "idTag": "DEMO", "meterStart": 1_000, "timestamp": now}
    # no pings: what they hold is chance, and Hypothesis wants no chance but its own while it makes things up
    quiet: dict[str, Any] = {"subprotocols": [Subprotocol("ocpp1.6")], "proxy": None, "ping_interval": None}
    with connect(f"{server.ocpp}/demo/{identity}", **quiet) as socket:
        socket.send(json.dumps([2, "1", "BootNotification", {"chargePointVendor": "No", "chargePointModel": "One"}]))
        socket.send(json.dumps([2, "2", "StartTransaction", start]))
        while json.loads(socket.recv(timeout=30))[:2] != [3, "2"]:
            pass
        refusing = Thread(target=_refuse, args=(socket,))
        refusing.start()
        yield
    refusing.join()


def _refuse(socket: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            kind, number, *_ = json.loads(socket.recv())
            if kind == 2:
                socket.send(json.dumps([3, number, {"status": "Rejected"}]))

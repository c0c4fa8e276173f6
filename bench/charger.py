"""The smallest OCPP 1.6 client: it sends a frame and waits for the answer."""

from itertools import count
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol


class Charger:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)

    @classmethod
    async def connected(cls, url: str) -> "Charger":
        socket = await connect(
            url, subprotocols=[Subprotocol("ocpp1.6")], compression=None, ping_interval=None, open_timeout=120
        )
        return cls(socket)

    async def call(self, action: str, payload: dict[str, Any]) -> Any:
        message_id = f"m{next(self._numbers)}"
        await self._socket.send(orjson.dumps([2, message_id, action, payload]).decode())
        while (answer := orjson.loads(await self._socket.recv()))[0] == 2:  # what we ask of it meanwhile
            await self._socket.send(orjson.dumps([4, answer[1], "NotImplemented", "", {}]).decode())
        assert answer[1] == message_id, answer
        return answer[2]

    async def close(self) -> None:
        await self._socket.close()

    async def closed(self) -> None:
        await self._socket.wait_closed()


BOOT = {"chargePointVendor": "Bench", "chargePointModel": "One"}


def status(turn: int) -> dict[str, Any]:
    """A status that differs from the one before, so that it is written."""
    return {"connectorId": 1, "errorCode": "NoError", "status": ("Available", "Preparing")[turn % 2]}


def meter(transaction_id: int, at: str, energy_wh: float) -> dict[str, Any]:
    values = [
        {"measurand": "Energy.Active.Import.Register", "unit": "Wh", "value": f"{energy_wh:.1f}"},
        {"measurand": "Power.Active.Import", "unit": "W", "value": "11000"},
    ]
    meter_value = [{"timestamp": at, "sampledValue": values}]
    return {"connectorId": 1, "transactionId": transaction_id, "meterValue": meter_value}

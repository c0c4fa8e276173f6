"""Chargers: those of the `ocpp` package, which knows nothing of us, and bare websockets, which see every byte."""

import asyncio
import itertools
import socket
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar, Self
from uuid import uuid4

import orjson
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

GUARD_S = 30.0

SILENCE = object()
"""An answer that never comes."""

Order = tuple[str, dict[str, Any]]
"""A call of the server's: its action and its payload, in the package's names."""


def now() -> datetime:
    """Whole milliseconds, which is what stations write."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@asynccontextmanager
async def socket_to(
    base: str, identity: str, subprotocol: str, *, password: str | None = None, over: socket.socket | None = None
) -> AsyncIterator[ClientConnection]:
    """`base` is what `/<identity>` is appended to, `over` a line that is there already; `InvalidStatus` for a no."""
    headers = {}
    if password is not None:
        headers["Authorization"] = f"Basic {b64encode(f'{identity}:{password}'.encode()).decode()}"
    async with connect(
        f"{base}/{identity}",
        subprotocols=[Subprotocol(subprotocol)],
        additional_headers=headers,
        proxy=None,
        sock=over,
    ) as connection:
        yield connection


class Charger(ABC):
    """One EVSE that takes a car; the same words for every version. A CALLERROR of the server's is raised."""

    subprotocol: ClassVar[str]
    obliging: ClassVar[Mapping[str, Any]]
    """What it answers to which action when nothing else is said."""
    point_type: ClassVar[Any]

    def __init__(self, connection: ClientConnection, identity: str) -> None:
        self.connection = connection
        self.identity = identity
        self.orders: asyncio.Queue[Order] = asyncio.Queue()
        self.answers: dict[str, Any] = dict(self.obliging)
        self._point = _obedient(self.point_type, self)(identity, connection, response_timeout=GUARD_S)

    @classmethod
    @asynccontextmanager
    async def connected(cls, base: str, identity: str, **given: Any) -> AsyncIterator[Self]:
        async with socket_to(base, identity, cls.subprotocol, **given) as connection:
            charger = cls(connection, identity)
            listening = asyncio.create_task(charger._point.start())
            try:
                yield charger
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError, ConnectionClosed):
                    await listening

    async def call(self, request: Any) -> Any:
        return await self._point.call(request, suppress=False)

    async def ordered(self) -> Order:
        """The next order, as it was taken."""
        async with asyncio.timeout(GUARD_S):
            return await self.orders.get()

    async def obey(self, action: str, order: dict[str, Any]) -> Any:
        self.orders.put_nowait((action, order))
        answer = self.answers[action]
        if answer is SILENCE:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @abstractmethod
    async def boot(self) -> str: ...

    @abstractmethod
    async def authorize(self, uid: str) -> str: ...

    @abstractmethod
    async def plug_in(self) -> None: ...

    @abstractmethod
    async def start(self, uid: str, wh: float, *, at: datetime | None = None, ordered_as: int | None = None) -> str:
        """The transaction's id. `ordered_as` is the number of the remote start that it answers (2.x)."""

    @abstractmethod
    async def meter(self, wh: float, w: float, *, at: datetime | None = None) -> None: ...

    @abstractmethod
    async def stop(self, wh: float, *, at: datetime | None = None) -> None: ...

    @abstractmethod
    async def unplug(self) -> None: ...


class Charger16(Charger):
    subprotocol = "ocpp1.6"
    point_type = ChargePoint16
    obliging: ClassVar[Mapping[str, Any]] = {
        "RemoteStartTransaction": result16.RemoteStartTransaction(status="Accepted"),
        "RemoteStopTransaction": result16.RemoteStopTransaction(status="Accepted"),
        "Reset": result16.Reset(status="Accepted"),
        "UnlockConnector": result16.UnlockConnector(status="Unlocked"),
        "ChangeAvailability": result16.ChangeAvailability(status="Scheduled"),
        "TriggerMessage": result16.TriggerMessage(status="Accepted"),
        "GetConfiguration": result16.GetConfiguration(
            configuration_key=[{"key": "HeartbeatInterval", "readonly": False, "value": "60"}],
            unknown_key=["Nonsense"],
        ),
        "ChangeConfiguration": result16.ChangeConfiguration(status="Accepted"),
    }

    transaction_id = 0

    async def boot(self) -> str:
        request = call16.BootNotification(
            charge_point_vendor="Voltex",
            charge_point_model="One",
            charge_point_serial_number="SN-16",
            firmware_version="1.6.1",
        )
        return str((await self.call(request)).status)

    async def authorize(self, uid: str) -> str:
        return str((await self.call(call16.Authorize(id_tag=uid))).id_tag_info["status"])

    async def plug_in(self) -> None:
        await self._status("Preparing")

    async def start(self, uid: str, wh: float, *, at: datetime | None = None, ordered_as: int | None = None) -> str:
        request = call16.StartTransaction(
            connector_id=1, id_tag=uid, meter_start=int(wh), timestamp=written(at or now())
        )
        self.transaction_id = (await self.call(request)).transaction_id
        await self._status("Charging")
        return str(self.transaction_id)

    async def meter(self, wh: float, w: float, *, at: datetime | None = None) -> None:
        sampled = [
            {"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": str(w / 1000), "measurand": "Power.Active.Import", "unit": "kW"},
        ]
        entry = {"timestamp": written(at or now()), "sampledValue": sampled}
        await self.call(call16.MeterValues(connector_id=1, transaction_id=self.transaction_id, meter_value=[entry]))

    async def stop(self, wh: float, *, at: datetime | None = None) -> None:
        await self.call(
            call16.StopTransaction(
                transaction_id=self.transaction_id, meter_stop=int(wh), timestamp=written(at or now()), reason="Local"
            )
        )
        await self._status("Finishing")

    async def unplug(self) -> None:
        await self._status("Available")

    async def _status(self, word: str) -> None:
        await self.call(
            call16.StatusNotification(connector_id=1, error_code="NoError", status=word, timestamp=written(now()))
        )


def _obliging(result: Any) -> Mapping[str, Any]:
    """In the words of 2.x: `result` is the package's module of one version."""
    return {
        "RequestStartTransaction": result.RequestStartTransaction(status="Accepted"),
        "RequestStopTransaction": result.RequestStopTransaction(status="Accepted"),
        "Reset": result.Reset(status="Accepted"),
        "UnlockConnector": result.UnlockConnector(status="Unlocked"),
        "ChangeAvailability": result.ChangeAvailability(status="Scheduled"),
        "TriggerMessage": result.TriggerMessage(status="Accepted"),
        "GetVariables": result.GetVariables(
            get_variable_result=[
                {
                    "attribute_status": "Accepted",
                    "attribute_value": "60",
                    "component": {"name": "OCPPCommCtrlr"},
                    "variable": {"name": "HeartbeatInterval"},
                },
                {
                    "attribute_status": "UnknownVariable",
                    "component": {"name": "OCPPCommCtrlr"},
                    "variable": {"name": "Nonsense"},
                },
            ]
        ),
        "SetVariables": result.SetVariables(
            set_variable_result=[
                {
                    "attribute_status": "Accepted",
                    "component": {"name": "OCPPCommCtrlr"},
                    "variable": {"name": "HeartbeatInterval"},
                }
            ]
        ),
    }


class Charger201(Charger):
    subprotocol = "ocpp2.0.1"
    point_type = ChargePoint201
    obliging: ClassVar[Mapping[str, Any]] = _obliging(result201)
    says: ClassVar[Any] = call201

    def __init__(self, connection: ClientConnection, identity: str) -> None:
        super().__init__(connection, identity)
        self.transaction_id = ""
        self._seq = itertools.count()

    async def boot(self) -> str:
        request = self.says.BootNotification(
            charging_station={
                "vendor_name": "Voltex",
                "model": "One",
                "serial_number": "SN-201",
                "firmware_version": "2.0.1",
            },
            reason="PowerUp",
        )
        return str((await self.call(request)).status)

    async def authorize(self, uid: str) -> str:
        request = self.says.Authorize(id_token={"id_token": uid, "type": "ISO14443"})
        return str((await self.call(request)).id_token_info["status"])

    async def plug_in(self) -> None:
        await self._status("Occupied")

    async def start(self, uid: str, wh: float, *, at: datetime | None = None, ordered_as: int | None = None) -> str:
        self.transaction_id = str(uuid4())
        info: dict[str, Any] = {"charging_state": "Charging"}
        if ordered_as is not None:
            info["remote_start_id"] = ordered_as
        await self._event(
            "Started",
            "Authorized" if ordered_as is None else "RemoteStart",
            info,
            at=at,
            meter_value=[(wh, None, "Transaction.Begin")],
            evse={"id": 1, "connector_id": 1},
            id_token={"id_token": uid, "type": "ISO14443"},
        )
        return self.transaction_id

    async def meter(self, wh: float, w: float, *, at: datetime | None = None) -> None:
        await self._event(
            "Updated",
            "MeterValuePeriodic",
            {"charging_state": "Charging"},
            at=at,
            meter_value=[(wh, w, "Sample.Periodic")],
        )

    async def stop(self, wh: float, *, at: datetime | None = None) -> None:
        info = {"charging_state": "EVConnected", "stopped_reason": "Local"}
        await self._event("Ended", "StopAuthorized", info, at=at, meter_value=[(wh, None, "Transaction.End")])

    async def unplug(self) -> None:
        await self._status("Available")

    async def _event(
        self,
        kind: str,
        trigger: str,
        info: dict[str, Any],
        *,
        at: datetime | None,
        meter_value: Sequence[tuple[float, float | None, str]],
        **more: Any,
    ) -> None:
        at = at or now()
        values = [
            {"timestamp": written(at), "sampled_value": _sampled201(wh, w, context)} for wh, w, context in meter_value
        ]
        await self.call(
            self.says.TransactionEvent(
                event_type=kind,
                timestamp=written(at),
                trigger_reason=trigger,
                seq_no=next(self._seq),
                transaction_info={"transaction_id": self.transaction_id, **info},
                meter_value=values,
                **more,
            )
        )

    async def _status(self, word: str) -> None:
        await self.call(
            self.says.StatusNotification(timestamp=written(now()), connector_status=word, evse_id=1, connector_id=1)
        )


class Charger21(Charger201):
    subprotocol = "ocpp2.1"
    point_type = ChargePoint21
    obliging: ClassVar[Mapping[str, Any]] = _obliging(result21)
    says: ClassVar[Any] = call21


def _sampled201(wh: float, w: float | None, context: str) -> list[dict[str, Any]]:
    sampled: list[dict[str, Any]] = [
        {
            "value": wh / 1000,
            "measurand": "Energy.Active.Import.Register",
            "context": context,
            "unit_of_measure": {"unit": "kWh"},
        }
    ]
    if w is not None:
        sampled.append(
            {"value": w, "measurand": "Power.Active.Import", "context": context, "unit_of_measure": {"unit": "W"}}
        )
    return sampled


def _obedient(point_type: Any, charger: Charger) -> Any:
    """The package's ChargePoint, with a handler for each of the charger's answers."""

    def handler(action: str) -> Any:
        async def obey(_point: Any, **order: Any) -> Any:
            return await charger.obey(action, order)

        obey.__name__ = f"on_{action}"
        return on(action)(obey)

    return type("Obedient", (point_type,), {f"on_{action}": handler(action) for action in charger.obliging})


class CallError(Exception):
    """The server's CALLERROR: code, description, details."""


class Bare:
    """A websocket that speaks OCPP-J byte by byte."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, base: str, identity: str, subprotocol: str = "ocpp1.6", **given: Any
    ) -> AsyncIterator[Self]:
        async with socket_to(base, identity, subprotocol, **given) as connection:
            yield cls(connection)

    async def call(self, action: str, payload: dict[str, Any], *, id: str | None = None) -> Any:
        """The payload of the answer; nothing else may come before it. Raises `CallError`."""
        message_id = id or str(uuid4())
        await self.say([2, message_id, action, payload])
        kind, answered, *rest = await self.heard()
        assert (kind in (3, 4), answered) == (True, message_id), (kind, answered, *rest)
        if kind == 4:
            raise CallError(*rest)
        return rest[0]

    async def say(self, frame: list[Any]) -> None:
        await self.connection.send(orjson.dumps(frame).decode())

    async def told(self, frame: list[Any]) -> str | bytes:
        """What is said next, byte for byte."""
        await self.say(frame)
        async with asyncio.timeout(GUARD_S):
            return await self.connection.recv()

    async def heard(self) -> Any:
        async with asyncio.timeout(GUARD_S):
            return orjson.loads(await self.connection.recv())

    async def ordered(self) -> tuple[str, str, Any]:
        """The next thing said is an order: its id, action and payload."""
        kind, message_id, action, payload = await self.heard()
        assert kind == 2
        return message_id, action, payload

    async def closed(self) -> int:
        """The code with which the server hangs up; nothing else may be said before it."""
        return await hung_up(self.connection)

    def drop(self) -> None:
        """As a power cut does."""
        self.connection.transport.abort()


async def hung_up(connection: ClientConnection) -> int:
    """The code with which the server hangs up, once somebody has read what it says before."""
    async with asyncio.timeout(GUARD_S):
        await connection.wait_closed()
    assert connection.close_code is not None
    return connection.close_code

"""A whole house behind real sockets, and stations that answer by a table and write down what they are asked."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import orjson
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateways.ocpp import Version
from tests.gateways.ocpp.wire import GUARD_S, _serving
from tests.tester import Clock, Tester, a_tester
from voltgraph.settings import Settings
from voltgraph.wiring import House

Payload = dict[str, Any]
Answer = Payload | Callable[[Payload], Payload]

BOOTS: dict[Version, Payload] = {
    Version.V16: {"chargePointVendor": "Voltex", "chargePointModel": "One", "firmwareVersion": "1.0"},
    Version.V201: {
        "reason": "PowerUp",
        "chargingStation": {"vendorName": "Voltex", "model": "Two", "firmwareVersion": "1.0"},
    },
}


class Error(Exception):
    """What a CALLERROR says: its code. As an answer of a box it is one."""


class Silence:
    """As an answer of a box: none."""


@dataclass
class Box:
    """One connection of a station."""

    connection: ClientConnection
    version: Version
    answers: dict[str, Answer | Error | Silence]
    heard: list[tuple[str, Payload]] = field(default_factory=list)
    """What it was asked, oldest first."""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _waiting: dict[str, "asyncio.Future[Any]"] = field(default_factory=dict)

    async def call(self, action: str, payload: Payload) -> Payload:
        """Its answer; raises `Error` with the code of a refusal."""
        message_id = str(uuid4())
        answer = self._waiting[message_id] = asyncio.get_running_loop().create_future()
        await self._say([2, message_id, action, payload])
        async with asyncio.timeout(GUARD_S):
            told: Payload = await answer
        return told

    async def boot(self, **changes: Any) -> Payload:
        return await self.call("BootNotification", BOOTS[self.version] | changes)

    async def asked(self, action: str, count: int = 1) -> list[Payload]:
        """What it was asked under that name, once it has been so often."""
        async with asyncio.timeout(GUARD_S), self._news:
            await self._news.wait_for(lambda: len(self.payloads(action)) >= count)
        return self.payloads(action)

    def payloads(self, action: str) -> list[Payload]:
        return [payload for name, payload in self.heard if name == action]

    async def listen(self) -> None:
        async for text in self.connection:
            kind, message_id, *rest = orjson.loads(text)
            if kind == 2:
                await self._answer(message_id, *rest)
            elif kind == 3:
                self._waiting.pop(message_id).set_result(rest[0])
            else:
                self._waiting.pop(message_id).set_exception(Error(rest[0]))

    async def _answer(self, message_id: str, action: str, payload: Payload) -> None:
        answer = self.answers.get(action, Error("NotImplemented"))
        if isinstance(answer, Silence):
            return
        if not isinstance(answer, Error):
            told = answer(payload) if callable(answer) else answer
            await self._say([3, message_id, told])
        else:
            await self._say([4, message_id, str(answer), "", {}])
        async with self._news:
            self.heard.append((action, payload))
            self._news.notify_all()

    async def _say(self, frame: list[Any]) -> None:
        await self.connection.send(orjson.dumps(frame).decode())


@dataclass
class Site:
    """One tenant of a house that serves stations."""

    tester: Tester
    port: int

    @classmethod
    @asynccontextmanager
    async def running(cls, settings: Settings, **changes: Any) -> AsyncIterator[Self]:
        async with (
            House.built(settings.model_copy(update={"station_ping_s": 0} | changes), clock=Clock()) as house,
            house.serving(),
            _serving(Starlette(routes=[house.stations.route])) as port,
        ):
            tester = await a_tester(house, f"acme-{uuid4().hex[-12:]}")
            try:
                yield cls(tester, port)
            finally:
                await house.stations.sockets.shutdown(over_s=0.0)

    @asynccontextmanager
    async def box(
        self,
        identity: str = "CP-1",
        version: Version = Version.V16,
        *,
        password: str | bytes | None = None,
        **answers: Answer | Error | Silence,
    ) -> AsyncIterator[Box]:
        """Raises websockets' `InvalidStatus` where it is not let in."""
        headers = {}
        if password is not None:
            shown = password.encode() if isinstance(password, str) else password
            headers["Authorization"] = f"Basic {b64encode(identity.encode() + b':' + shown).decode()}"
        url = f"ws://127.0.0.1:{self.port}/ocpp/{self.tester.slug}/{identity}"
        async with connect(
            url, subprotocols=[Subprotocol(version.value)], additional_headers=headers, proxy=None
        ) as connection:
            box = Box(connection, version, dict(answers))
            listening = asyncio.create_task(box.listen())
            try:
                yield box
            finally:
                listening.cancel()

    async def station(self, fields: str, identity: str = "CP-1") -> Any:
        data = await self.tester.gql(f'{{ stationByIdentity(identity: "{identity}") {{ {fields} }} }}')
        return data["stationByIdentity"]

    async def until(self, fields: str, wanted: Callable[[Any], bool], identity: str = "CP-1") -> Any:
        """What is shown of the station, once it is as wanted."""
        async with asyncio.timeout(GUARD_S):
            while not wanted(shown := await self.station(fields, identity)):  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.02)
        return shown

    async def send(self, command: str, fields: str = "status", identity: str = "CP-1") -> Any:
        station_id = (await self.station("id", identity))["id"]
        data = await self.tester.gql(
            f'mutation {{ sendCommand(stationId: "{station_id}", command: {command}) {{ {fields} }} }}'
        )
        return data["sendCommand"]

    async def refused(self, command: str, identity: str = "CP-1") -> list[str]:
        """The codes with which an order is refused."""
        station_id = (await self.station("id", identity))["id"]
        return await self.tester.gql_errors(
            f'mutation {{ sendCommand(stationId: "{station_id}", command: {command}) {{ id }} }}'
        )

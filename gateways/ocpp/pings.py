"""How often stations ping: as the house wants it, where they let us. What lies between forgets a line that is silent.

A station that has no such setting, or would not have it changed, is not asked again for days; one that gave no answer
is asked again when it boots next.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from domain.commands import CommandKind, CommandStatus
from domain.errors import Unavailable
from gateways.ocpp.frames import Version
from gateways.ocpp.link import Call, Handler, Line, Refused, VersionPackage, waited
from gateways.ocpp.memory import StationKey
from gateways.ocpp.orders import OcppVersion

log = structlog.get_logger()

KEYS: Final[Mapping[Version, str]] = {
    Version.V16: "WebSocketPingInterval",
    Version.V201: "OCPPCommCtrlr.WebSocketPingInterval",
    Version.V21: "OCPPCommCtrlr.WebSocketPingInterval",
}
_BOOT: Final = "BootNotification"


class Refusals(Protocol):
    """A port: what stations would not have, for all processes. May raise `domain.errors.Unavailable`."""

    async def refuses(self, station: StationKey, wish: str) -> bool: ...

    async def note(self, station: StationKey, wish: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Followed:
    VERSION: Version
    HANDLERS: Mapping[str, Handler]


class Pings:
    def __init__(self, *, interval_s: int, refusals: Refusals, spread_s: float = 10.0) -> None:
        """`spread_s`: stations that come as a crowd are not asked as one."""
        self._interval_s = interval_s
        self._refusals = refusals
        self._spread_s = spread_s

    def after_boots(self, package: OcppVersion) -> VersionPackage:
        """The package, with a step after each boot that was accepted; as it is where stations are to be left alone."""
        if self._interval_s == 0:
            return package
        boot = package.HANDLERS[_BOOT]

        async def booted(call: Call, m: Any) -> Any:
            answer = await boot(call, m)
            if answer.status == "Accepted":
                call.after(self._after_boot(call, package))
            return answer

        return _Followed(package.VERSION, {**package.HANDLERS, _BOOT: booted})

    async def _after_boot(self, call: Call, package: OcppVersion) -> None:
        if await waited(call.socket, random.uniform(0, self._spread_s)):
            await self.settle(call.socket, package, (call.tenant_id, call.station_id))

    async def settle(self, line: Line, package: OcppVersion, station: StationKey) -> None:
        """Has the station ping as often as it should, if it can. Raises `TimedOut` and `Unavailable`."""
        wish = f"{KEYS[package.VERSION]}={self._interval_s}"
        if await self._is_refused(station, wish):
            return
        try:
            is_done = await self._is_so(line, package) or await self._change(line, package)
        except Refused as error:
            log.info("station does not tell of its pings", station=str(station[1]), reason=error.message)
            is_done = False
        if not is_done:
            await self._refusals.note(station, wish)

    async def _is_refused(self, station: StationKey, wish: str) -> bool:
        try:
            return await self._refusals.refuses(station, wish)
        except Unavailable:
            return False

    async def _is_so(self, line: Line, package: OcppVersion) -> bool:
        """Whether it pings as often already. One that has no such setting, or none that can be changed, refuses."""
        key, kind = KEYS[package.VERSION], CommandKind.GET_CONFIGURATION
        answer = await line.call(package.ORDERS[kind]({"keys": [key]}))
        told = package.ANSWERS[kind](answer).result or {}
        setting = told.get("configuration", {}).get(key)
        if setting is None:
            raise Refused(kind, "Unknown", key)
        if str(setting["value"]).strip() == str(self._interval_s):
            return True
        if setting["readonly"]:
            raise Refused(kind, "ReadOnly", key)
        return False

    async def _change(self, line: Line, package: OcppVersion) -> bool:
        kind = CommandKind.CHANGE_CONFIGURATION
        wanted = {"key": KEYS[package.VERSION], "value": str(self._interval_s)}
        answer = await line.call(package.ORDERS[kind](wanted))
        if kind in package.ANSWERS:
            return package.ANSWERS[kind](answer).status is CommandStatus.ACCEPTED
        return answer.status in ("Accepted", "RebootRequired")

"""How often stations ping: as the house wants it, or somebody of one of them, where they let us. What lies between
forgets a line that is silent.

A station that has no such setting, or would not have it changed, is not asked again for days; one that gave no answer
is asked again when it boots next.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from domain import stations
from domain.actor import system
from domain.commands import CommandKind, CommandStatus, Outcome
from domain.errors import Unavailable
from domain.work import Workplace
from gateways.ocpp.frames import Version
from gateways.ocpp.link import Call, Handler, Line, VersionPackage, waited
from gateways.ocpp.memory import StationKey
from gateways.ocpp.orders import OcppVersion, carry_out

KEYS: Final[Mapping[Version, str]] = {
    Version.V16: "WebSocketPingInterval",
    Version.V201: "OCPPCommCtrlr.WebSocketPingInterval",
    Version.V21: "OCPPCommCtrlr.WebSocketPingInterval",
}
_BOOT: Final = "BootNotification"
_ANSWER_S: Final = 30.0

OwnInterval = Callable[[StationKey], Awaitable[int | None]]


class Refusals(Protocol):
    """A port: what stations would not have, for all processes. May raise `domain.errors.Unavailable`."""

    async def refuses(self, station: StationKey, wish: str) -> bool: ...

    async def note(self, station: StationKey, wish: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Followed:
    VERSION: Version
    HANDLERS: Mapping[str, Handler]


class Pings:
    def __init__(
        self, *, interval_s: int, refusals: Refusals, own: OwnInterval | None = None, spread_s: float = 10.0
    ) -> None:
        """`own`: what somebody wants of one station. `spread_s`: stations that come as a crowd are not asked as one."""
        self._interval_s = interval_s
        self._own = own
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
            async with call.socket.spare_turns:
                await self.settle(call.socket, package, (call.tenant_id, call.station_id))

    async def settle(self, line: Line, package: OcppVersion, station: StationKey) -> None:
        """Has the station ping as often as it should, if it can."""
        interval_s = await self._wanted_of(station)
        if interval_s == 0:
            return
        wish = f"{KEYS[package.VERSION]}={interval_s}"
        if not await self._is_refused(station, wish) and await self._refuses(line, package, interval_s):
            await self._refusals.note(station, wish)

    async def _wanted_of(self, station: StationKey) -> int:
        own = None if self._own is None else await self._own(station)
        return self._interval_s if own is None else own

    async def _is_refused(self, station: StationKey, wish: str) -> bool:
        try:
            return await self._refusals.refuses(station, wish)
        except Unavailable:
            return False

    async def _refuses(self, line: Line, package: OcppVersion, interval_s: int) -> bool:
        """One that has no such setting refuses too, and one that does not answer does not."""
        key, wanted = KEYS[package.VERSION], str(interval_s)
        told = await _order(line, package, CommandKind.GET_CONFIGURATION, {"keys": [key]})
        if told.miss is not None:
            return False
        setting = (told.result or {}).get("configuration", {}).get(key)
        if setting is None or str(setting["value"]).strip() == wanted:
            return setting is None
        if setting["readonly"]:
            return True
        taken = await _order(line, package, CommandKind.CHANGE_CONFIGURATION, {"key": key, "value": wanted})
        return taken.miss is None and taken.status is not CommandStatus.ACCEPTED


async def _order(line: Line, package: OcppVersion, kind: CommandKind, arguments: dict[str, Any]) -> Outcome:
    return await carry_out(line, package, kind=kind, arguments=arguments, timeout_s=_ANSWER_S)


async def own_interval(workplace: Workplace, station: StationKey) -> int | None:
    tenant_id, station_id = station
    async with workplace.open_work(system(tenant_id, "ocpp"), read_only=True) as work:
        found = await stations.by_ids(work, [station_id])
    return next((one.ping_interval_s for one in found), None)

"""What we ask of stations on our own: to boot where they do not, and how they are configured. A few at a time."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import structlog

from domain import commands, stations
from domain.actor import system
from domain.commands import CommandKind
from domain.errors import DomainError
from domain.stations import Connector, Registration, Station, StationRules
from domain.work import Workplace
from gateways.ocpp.frames import Version
from gateways.ocpp.link import Call, Line
from gateways.ocpp.orders import Carrier, OcppVersion
from gateways.ocpp.socket import StationSocket

log = structlog.get_logger()

_ANSWER_S: Final = 30.0
_PLUGS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a station has told of its settings. In 1.6 they say how many EVSEs it has; 2.x has a report for the rest."""

    values: Mapping[str, str | None]
    evses: int | None = None
    has_report: bool = False


Read = Callable[[Line], Awaitable[Configuration]]


def answered(call: Call, station: Station, *, read: Read) -> int:
    """The interval to answer a boot with. After the answer the configuration is read, where it is not known."""
    rules = call.workplace.port(StationRules)
    interval_s = rules.boot_interval_s(station.registration)
    call.socket.heartbeat_interval_s = interval_s
    call.socket.standing.told(station.registration)
    if station.registration is Registration.ACCEPTED and station.is_to_be_read(
        call.workplace.clock(), age=rules.configuration_age
    ):
        call.after(_learn(call, read))
    return interval_s


async def _learn(call: Call, read: Read) -> None:
    """Once at a time, however often it boots meanwhile."""
    standing = call.socket.standing
    if standing.is_read:
        return
    standing.is_read = True
    try:
        async with call.socket.spare_turns:
            await _learn_all(call, await read(call.socket))
    finally:
        standing.is_read = False


async def _learn_all(call: Call, told: Configuration) -> None:
    house = system(call.tenant_id, "ocpp")
    async with call.workplace.open_work(house) as work:
        await commands.learn_configuration(work, station_id=call.station_id, told=told.values, evses=told.evses)
    if told.has_report:
        await commands.ask_for_report(call.workplace, house, station_id=call.station_id)


class Reminder:
    """The endpoint's companion of a socket: some stations never boot again after they have lost the connection."""

    def __init__(self, workplace: Workplace, packages: Mapping[Version, OcppVersion]) -> None:
        self._workplace = workplace
        self._packages = packages
        self._carrier = Carrier()

    async def accompany(self, socket: StationSocket) -> None:
        """One that has not booted after a grace is asked to, once, if it never has; and what its plugs are doing."""
        grace_s = self._workplace.port(StationRules).boot_grace_s
        if not grace_s:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s * random.uniform(1.0, 2.0)):  # who came together is spread
                await socket.standing.booted.wait()
                return
        try:
            async with socket.spare_turns:
                await self._remind(socket)
        except DomainError as error:
            log.info("station not reminded", station=socket.identity, reason=error.message)
        except Exception:
            log.exception("station not reminded", station=socket.identity)

    async def _remind(self, socket: StationSocket) -> None:
        """It may refuse either, and often does: OCPP 2.x has an accepted station refuse to boot (F06.FR.17).

        Who has booted once is as it was, and a restart of ours is no reason for thousands to say so again.
        """
        if not await self._has_booted(socket):
            await self._trigger(socket, message="BOOT_NOTIFICATION")
        if socket.version is Version.V16:
            await self._trigger(socket, message="STATUS_NOTIFICATION")
            return
        for plug in await self._plugs(socket):  # 2.x wants to be told which (F06.FR.12)
            where = {"evse_number": plug.evse_number, "connector_number": plug.number}
            await self._trigger(socket, message="STATUS_NOTIFICATION", **where)

    async def _trigger(self, socket: StationSocket, **arguments: Any) -> None:
        await self._carrier.carry_out(
            socket,
            self._packages[socket.version],
            command_id=uuid4(),
            kind=CommandKind.TRIGGER_MESSAGE,
            arguments=arguments,
            timeout_s=_ANSWER_S,
        )

    async def _has_booted(self, socket: StationSocket) -> bool:
        tenant_id, station_id = socket.key
        async with self._workplace.open_work(system(tenant_id, "ocpp"), read_only=True) as work:
            return (await stations.by_id(work, station_id)).booted_at is not None

    async def _plugs(self, socket: StationSocket) -> Sequence[Connector]:
        tenant_id, station_id = socket.key
        async with self._workplace.open_work(system(tenant_id, "ocpp"), read_only=True) as work:
            evses = await stations.evses_of(work, [station_id])
            plugs = await stations.connectors_of(work, [evse.id for evse in evses])
        return plugs[:_PLUGS_MAX]

"""What the house asks of stations on its own, so that they begin to work."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from uuid import UUID, uuid4

from domain import stations
from domain.actor import Actor, Permission
from domain.commands.delivering import deliver
from domain.commands.link import StationLink
from domain.commands.models import Command, CommandKind
from domain.commands.secrets import is_secret
from domain.commands.service import request
from domain.errors import DomainError
from domain.stations import ReportBase, Station, StationRegistrationChanged
from domain.work import Work, Workplace

_BOOT_WITHIN_S: Final = 5.0


async def ask_to_boot(work: Work, changed: StationRegistrationChanged) -> None:
    """So that it learns at once how it stands with us. One that is away, or will not, learns of it when it boots."""
    work.require(Permission.CONTROL)
    link = work.port(StationLink)  # type: ignore[type-abstract]
    with suppress(DomainError):
        await link.deliver(
            tenant_id=work.tenant_id,
            station_id=changed.station_id,
            command_id=uuid4(),
            kind=CommandKind.TRIGGER_MESSAGE,
            arguments={"message": "BOOT_NOTIFICATION"},
            timeout_s=_BOOT_WITHIN_S,
        )


async def ask_for_report(workplace: Workplace, actor: Actor, *, station_id: UUID) -> Command:
    """OCPP 2.x: of all that the station is made of. It may refuse, and the report comes in its own time."""
    async with workplace.open_work(actor) as work:
        arguments = {"base": ReportBase.FULL.value}
        command = await request(work, station_id=station_id, kind=CommandKind.GET_BASE_REPORT, arguments=arguments)
    return await deliver(workplace, actor, command)


async def learn_configuration(
    work: Work, *, station_id: UUID, told: Mapping[str, str | None], evses: int | None = None
) -> Station:
    """All that a station has answered about its configuration; of passwords nothing is kept."""
    work.require(Permission.CONTROL)
    values = {key: value for key, value in told.items() if not is_secret(key)}
    return await stations.learn_configuration(work, station_id=station_id, values=values, evses=evses)

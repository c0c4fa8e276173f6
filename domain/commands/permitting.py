"""What may be ordered of a station that is not accepted: OCPP 1.6 section 4.2, 2.0.1 B02 and B03."""

from collections.abc import Mapping
from typing import Any

from domain.commands.models import CommandKind
from domain.commands.traits import traits_of
from domain.errors import Conflict
from domain.stations import Registration, Station


def permit(station: Station, kind: CommandKind, arguments: Mapping[str, Any]) -> None:
    """Raises `Conflict`. A rejected station answers nothing, but may be asked to boot again."""
    match station.registration:
        case Registration.PENDING if not traits_of(kind).while_pending:
            told = "PENDING: until it is accepted it can only be configured"
        case Registration.REJECTED if not _asks_to_boot(kind, arguments):
            told = "REJECTED: it can only be asked to boot"
        case _:
            return
    raise Conflict(f"station {station.identity} is {told}", registration=station.registration)


def _asks_to_boot(kind: CommandKind, arguments: Mapping[str, Any]) -> bool:
    return kind is CommandKind.TRIGGER_MESSAGE and arguments.get("message") == "BOOT_NOTIFICATION"

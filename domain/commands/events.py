from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from domain.events import Event


@dataclass(frozen=True, kw_only=True)
class CommandChanged(Event):
    """Told on the topic `command`, narrower by the command's id."""

    kind: ClassVar[str] = "command"
    key: ClassVar[str | None] = "command_id"

    command_id: UUID
    station_id: UUID
    status: str

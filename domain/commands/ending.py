"""What everybody who moves an order on has in common: the end, and the telling of it."""

from typing import Any

from domain.commands.events import CommandChanged
from domain.commands.link import Outcome
from domain.commands.models import MASK, Command, CommandStatus, is_secret
from domain.work import Work


def end(work: Work, command: Command, outcome: Outcome) -> None:
    """For whoever holds the row, of a command that has not ended."""
    command.status, command.completed_at = CommandStatus(outcome.status), work.now
    command.next_attempt_at = None
    command.arguments = command.shown_arguments
    command.result, command.error = _without_passwords(outcome.result), outcome.error
    tell(work, command)


def _without_passwords(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None or "configuration" not in result:
        return result
    told = {
        key: {**entry, "value": MASK} if is_secret(key) else entry for key, entry in result["configuration"].items()
    }
    return {**result, "configuration": told}


def tell(work: Work, command: Command) -> None:
    work.emit(CommandChanged(command_id=command.id, station_id=command.station_id, status=command.status))

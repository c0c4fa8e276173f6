"""What everybody who moves an order on has in common: the end, and the telling of it."""

from domain.commands.events import CommandChanged
from domain.commands.link import Outcome
from domain.commands.models import Command, CommandStatus
from domain.commands.secrets import without_secrets
from domain.work import Work


def end(work: Work, command: Command, outcome: Outcome) -> None:
    """For whoever holds the row, of a command that has not ended."""
    command.status, command.completed_at = CommandStatus(outcome.status), work.now
    command.next_attempt_at = None
    command.arguments = command.shown_arguments
    command.result, command.error = without_secrets(outcome.result), outcome.error
    tell(work, command)


def tell(work: Work, command: Command) -> None:
    work.emit(CommandChanged(command_id=command.id, station_id=command.station_id, status=command.status))

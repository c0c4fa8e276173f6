"""What is true of each kind of order: who goes first, what may be said twice, what is said before a station is ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.commands.models import CommandKind, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """`repeatable`: heard twice, it does no more than heard once. `while_pending`: also to a station that is not
    accepted yet (OCPP 1.6 section 4.2, 2.0.1 B02)."""

    priority: Priority = Priority.ROUTINE
    repeatable: bool = False
    while_pending: bool = False


# A kind that does not stand here waits its turn and is sent once.
_TRAITS: Final[Mapping[CommandKind, Traits]] = {
    CommandKind.REMOTE_STOP: Traits(priority=Priority.STOP, repeatable=True),  # it names the one charge that it ends
    CommandKind.REMOTE_START: Traits(priority=Priority.START),
    CommandKind.UNLOCK_CONNECTOR: Traits(priority=Priority.START),  # somebody stands there
    CommandKind.RESET: Traits(while_pending=True),
    CommandKind.CHANGE_AVAILABILITY: Traits(repeatable=True),
    CommandKind.TRIGGER_MESSAGE: Traits(repeatable=True, while_pending=True),
    CommandKind.GET_CONFIGURATION: Traits(repeatable=True, while_pending=True),
    CommandKind.CHANGE_CONFIGURATION: Traits(repeatable=True, while_pending=True),
    CommandKind.CLEAR_CACHE: Traits(repeatable=True),
    CommandKind.DATA_TRANSFER: Traits(),  # what it does is the vendor's secret
    CommandKind.RESERVE_NOW: Traits(repeatable=True),  # under the same number it takes its own place
    CommandKind.CANCEL_RESERVATION: Traits(repeatable=True),
    CommandKind.GET_VARIABLES: Traits(repeatable=True, while_pending=True),
    CommandKind.SET_VARIABLES: Traits(repeatable=True, while_pending=True),
    CommandKind.GET_BASE_REPORT: Traits(priority=Priority.DIAGNOSTICS, repeatable=True, while_pending=True),
    CommandKind.GET_REPORT: Traits(priority=Priority.DIAGNOSTICS, repeatable=True, while_pending=True),
    CommandKind.SET_NETWORK_PROFILE: Traits(repeatable=True, while_pending=True),
    CommandKind.GET_TRANSACTION_STATUS: Traits(repeatable=True),
    CommandKind.GET_LOCAL_LIST_VERSION: Traits(repeatable=True),
}

WHILE_PENDING: Final = frozenset(kind for kind, traits in _TRAITS.items() if traits.while_pending)


def traits_of(kind: CommandKind) -> Traits:
    return _TRAITS.get(kind, Traits())

"""What the end of an order tells of a station's list, and when the list is looked at again."""

from datetime import datetime, timedelta

from domain.commands import Command, CommandKind, CommandStatus
from domain.local_lists.models import LocalList, LocalListPolicy, LocalListStatus, UpdateType
from domain.stations import Station

LOOK_AGAIN = timedelta(hours=6)  # for what no event tells of: a place that is no more
_AGAIN, _AGAIN_MAX = timedelta(minutes=1), timedelta(hours=1)
_MISSING = {"NotSupported", "NotImplemented"}


def learn(kept: LocalList, station: Station, command: Command, after: dict[str, str] | None, now: datetime) -> bool:
    """Whether there is more to do now. `after` is what the station holds if it has taken what was sent."""
    kept.updated_at = now
    if _is_missing(command):
        _give_up(kept, station)
        return False
    if command.kind is CommandKind.SEND_LOCAL_LIST:
        return _learn_sent(kept, command, after, now)
    if command.kind is CommandKind.GET_LOCAL_LIST_VERSION and command.status is CommandStatus.ACCEPTED:
        _learn_version(kept, int((command.result or {})["version"]))
        return True
    if command.kind is CommandKind.GET_CONFIGURATION:
        return True  # a station that does not say how much it takes is sent what most take
    _fail(kept, command, now)
    return False


def settle(kept: LocalList, omitted: int, now: datetime) -> None:
    """It is as it should be."""
    if kept.status is not LocalListStatus.CURRENT or kept.omitted != omitted:
        kept.updated_at = now
    kept.status, kept.error, kept.attempts, kept.omitted = LocalListStatus.CURRENT, None, 0, omitted
    kept.wanted_version = kept.version
    kept.due_at = None if kept.policy is LocalListPolicy.OFF else now + LOOK_AGAIN


def _learn_sent(kept: LocalList, command: Command, after: dict[str, str] | None, now: datetime) -> bool:
    if command.status is CommandStatus.ACCEPTED:
        kept.version, kept.entries, kept.is_known = command.arguments["version"], after, True
        kept.status, kept.error, kept.attempts = LocalListStatus.PENDING, None, 0
        return True
    was_mismatch = (command.result or {}).get("status") == "VersionMismatch"
    if command.status is CommandStatus.REJECTED:
        kept.entries = None  # whatever it made of it, a full list mends it
    if was_mismatch and command.arguments["update"] == UpdateType.DIFFERENTIAL:
        return True
    _fail(kept, command, now)
    return False


def _learn_version(kept: LocalList, told: int) -> None:
    """Another version than ours: somebody else has written to it, or it was lost."""
    if told != kept.version:
        kept.entries = None
    kept.version, kept.wanted_version, kept.is_known = told, max(told, kept.wanted_version), True


def _is_missing(command: Command) -> bool:
    """1.6 says so in the answer, or by version -1; all of them by an error."""
    if command.kind not in (CommandKind.SEND_LOCAL_LIST, CommandKind.GET_LOCAL_LIST_VERSION):
        return False
    result = command.result or {}
    return bool({result.get("status"), result.get("error_code")} & _MISSING) or int(result.get("version") or 0) < 0


def _give_up(kept: LocalList, station: Station) -> None:
    """Until its firmware is another, or somebody says so."""
    kept.status, kept.error = LocalListStatus.NOT_SUPPORTED, "the station keeps no local list"
    kept.firmware_version, kept.due_at, kept.entries = station.firmware_version, None, None


def _fail(kept: LocalList, command: Command, now: datetime) -> None:
    kept.status, kept.error = LocalListStatus.FAILED, command.error
    kept.due_at = now + min(_AGAIN * 2 ** min(kept.attempts, 10), _AGAIN_MAX)
    kept.attempts += 1

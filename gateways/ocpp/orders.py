"""Commands carried out on a socket of this process, in whatever version it speaks."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, Protocol

from domain.commands import CommandKind, CommandStatus, Outcome
from domain.errors import Invalid, LimitExceeded
from gateways.ocpp.link import Line, Refused, VersionPackage

Orders = Mapping[CommandKind, Callable[[dict[str, Any]], Any]]  # our arguments -> the version's call
Answers = Mapping[CommandKind, Callable[[Any], Outcome]]  # where an answer is more than a status

# Words of either version that mean that it will be done. Scheduled: after the running charge. RebootRequired: then.
_YES = {"Accepted", "Scheduled", "Unlocked", "RebootRequired"}


class OcppVersion(VersionPackage, Protocol):
    """A version package that can also be ordered about."""

    ORDERS: Orders
    ANSWERS: Answers


class NoWord(Exception):
    """This version of OCPP cannot say what is wanted."""


async def carry_out(
    line: Line, version: OcppVersion, *, kind: CommandKind, arguments: dict[str, Any], timeout_s: float
) -> Outcome:
    """The station's answer to a command. Raises `Unavailable` and `TimedOut`; everything else is an outcome."""
    try:
        request = version.ORDERS[kind](arguments)
        answer = await line.call(request, deadline_s=timeout_s)
    except NoWord as error:
        return Outcome(status=CommandStatus.FAILED, result=None, error=str(error))
    except (Refused, Invalid, LimitExceeded) as error:
        return Outcome(status=CommandStatus.FAILED, result=dict(error.details) or None, error=error.message)
    if kind in version.ANSWERS:
        return version.ANSWERS[kind](answer)
    return _outcome(answer)


def _outcome(answer: Any) -> Outcome:
    said = str(getattr(answer, "status", "Accepted"))
    result = {name: value for name, value in _fields(answer).items() if value is not None}
    if said in _YES:
        return Outcome(status=CommandStatus.ACCEPTED, result=result, error=None)
    return Outcome(status=CommandStatus.REJECTED, result=result, error=f"the station answered {said}")


def _fields(answer: Any) -> dict[str, Any]:
    return asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else {}

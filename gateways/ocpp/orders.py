"""Commands carried out on a socket of this process, in whatever version it speaks."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.commands import CALLED_OFF, CommandKind, CommandStatus, Miss, Outcome, traits_of
from domain.errors import DomainError, Invalid, LimitExceeded, TimedOut, Unavailable
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


@dataclass(slots=True)
class _UnderWay:
    task: "asyncio.Task[Outcome]"
    on_wire: bool = False
    is_recalled: bool = False


class Carrier:
    """The orders that are under way on the sockets of this process."""

    def __init__(self) -> None:
        self._under_way: dict[UUID, _UnderWay] = {}

    async def carry_out(
        self,
        line: Line,
        version: OcppVersion,
        *,
        command_id: UUID,
        kind: CommandKind,
        arguments: dict[str, Any],
        timeout_s: float,
        send_within_s: float | None = None,
    ) -> Outcome:
        """The station's answer to an order, or why there is none."""

        def on_sent() -> None:
            under_way.on_wire = True

        carrying = _carry_out(line, version, kind, arguments, timeout_s, send_within_s, on_sent)
        under_way = _UnderWay(asyncio.create_task(carrying))
        self._under_way[command_id] = under_way
        try:
            return await under_way.task
        except asyncio.CancelledError:
            if under_way.is_recalled:
                return CALLED_OFF
            raise
        finally:
            if self._under_way.get(command_id) is under_way:
                del self._under_way[command_id]

    def recall(self, command_id: UUID) -> bool:
        """Takes an order out of its socket's queue; False where it is on the wire, or is not here."""
        under_way = self._under_way.get(command_id)
        if under_way is None or under_way.on_wire or under_way.task.done():
            return False
        under_way.is_recalled = True
        under_way.task.cancel()
        return True


async def _carry_out(
    line: Line,
    version: OcppVersion,
    kind: CommandKind,
    arguments: dict[str, Any],
    timeout_s: float,
    send_within_s: float | None,
    on_sent: Callable[[], None],
) -> Outcome:
    try:
        request = version.ORDERS[kind](arguments)
        answer = await line.call(
            request,
            deadline_s=timeout_s,
            priority=traits_of(kind).priority,
            send_within_s=send_within_s,
            on_sent=on_sent,
        )
    except NoWord as error:
        return Outcome(status=CommandStatus.FAILED, result=None, error=str(error))
    except (Refused, Invalid) as error:
        return Outcome(status=CommandStatus.FAILED, result=dict(error.details) or None, error=error.message)
    except (Unavailable, LimitExceeded) as error:
        return _missed(error, timeout_s)
    if kind in version.ANSWERS:
        return version.ANSWERS[kind](answer)
    return _outcome(answer)


def _missed(error: DomainError, timeout_s: float) -> Outcome:
    if isinstance(error, LimitExceeded) or error.details.get("on_wire") is False:
        miss, message = Miss.UNHEARD, error.message
    elif isinstance(error, TimedOut):
        miss, message = Miss.UNANSWERED, f"the station did not answer within {round(timeout_s, 1):g} s"
    else:
        miss, message = Miss.UNANSWERED, error.message
    status = CommandStatus.TIMEOUT if isinstance(error, TimedOut) else CommandStatus.FAILED
    return Outcome(status=status, result=None, error=message, miss=miss)


def _outcome(answer: Any) -> Outcome:
    said = str(getattr(answer, "status", "Accepted"))
    result = {name: value for name, value in _fields(answer).items() if value is not None}
    if said in _YES:
        return Outcome(status=CommandStatus.ACCEPTED, result=result, error=None)
    return Outcome(status=CommandStatus.REJECTED, result=result, error=f"the station answered {said}")


def _fields(answer: Any) -> dict[str, Any]:
    return asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else {}

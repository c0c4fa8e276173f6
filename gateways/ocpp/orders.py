"""Commands carried out on a socket of this process, in whatever version it speaks."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import reduce
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from domain.commands import CALLED_OFF, CommandKind, CommandStatus, Miss, Outcome, traits_of
from domain.errors import DomainError, Invalid, LimitExceeded, TimedOut, Unavailable
from gateways.ocpp.link import Line, Refused, VersionPackage

# our arguments -> the version's call, or several that are one after the other
Orders = Mapping[CommandKind, Callable[[dict[str, Any]], Any]]
Answers = Mapping[CommandKind, Callable[[Any], Outcome]]  # where an answer is more than a status

Item = TypeVar("Item")

_FRAME_BYTES: Final = 128  # of a message, beside its items

# Words of either version that mean that it will be done. Scheduled: after the running charge. RebootRequired: then.
_YES: Final = {"Accepted", "Scheduled", "Unlocked", "RebootRequired"}


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


async def carry_out(
    line: Line, version: OcppVersion, *, kind: CommandKind, arguments: dict[str, Any], timeout_s: float
) -> Outcome:
    """An order of the house's own, which is no command and nobody follows."""
    return await _carry_out(line, version, kind, arguments, timeout_s, None, lambda: None)


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
        requests = _put(version, kind, arguments)
    except NoWord as unsaid:
        return Outcome(CommandStatus.FAILED, None, str(unsaid), Miss.UNSAYABLE)
    answers, error = await _asked(
        line,
        requests,
        deadline_s=timeout_s,
        priority=traits_of(kind).priority,
        send_within_s=send_within_s,
        on_sent=on_sent,
    )
    if error is None:
        return _outcome(version, kind, answers)
    failed = _failure(error, timeout_s)
    if not answers:
        return failed
    told = _outcome(version, kind, answers).result or {}
    told_of = f"{len(answers)} of {len(requests)} messages were answered"
    return replace(failed, result={**told, **(failed.result or {})}, error=f"{failed.error}; {told_of}")


def _failure(error: DomainError, timeout_s: float) -> Outcome:
    """Raises what is no failure of the station's or the line's."""
    if isinstance(error, Refused | Invalid):
        return Outcome(status=CommandStatus.FAILED, result=dict(error.details) or None, error=error.message)
    if isinstance(error, Unavailable | LimitExceeded):
        return _missed(error, timeout_s)
    raise error


def _missed(error: DomainError, timeout_s: float) -> Outcome:
    if error.details.get("on_wire") is False:
        miss, message = Miss.UNHEARD, error.message
    elif isinstance(error, TimedOut):
        miss, message = Miss.UNANSWERED, f"the station did not answer within {round(timeout_s, 1):g} s"
    else:
        miss, message = Miss.UNANSWERED, error.message
    status = CommandStatus.TIMEOUT if isinstance(error, TimedOut) else CommandStatus.FAILED
    return Outcome(status=status, result=None, error=message, miss=miss)


def _put(version: OcppVersion, kind: CommandKind, arguments: dict[str, Any]) -> list[Any]:
    order = version.ORDERS.get(kind)
    if order is None:
        raise NoWord(f"OCPP {version.VERSION.number} has no word for {kind}")
    requests = order(arguments)
    return requests if isinstance(requests, list) else [requests]


async def _asked(
    line: Line, requests: list[Any], *, deadline_s: float, send_within_s: float | None, **how: Any
) -> tuple[list[Any], DomainError | None]:
    """The answers to all of them, or to those before the one that failed, and how it did."""
    now = asyncio.get_running_loop().time
    began = now()
    answers: list[Any] = []
    for request in requests:
        took_s = now() - began
        left_s = None if send_within_s is None else max(send_within_s - took_s, 0.0)
        try:
            answers.append(
                await line.call(request, deadline_s=max(deadline_s - took_s, 0.0), send_within_s=left_s, **how)
            )
        except DomainError as error:
            if answers:
                error.details["on_wire"] = True  # a part of it was
            return answers, error
    return answers, None


def _joined(first: Any, second: Any) -> Any:
    """Lists one after the other, of everything else the last word."""
    lists = {
        name: getattr(first, name) + value
        for name, value in vars(second).items()
        if isinstance(value, list) and isinstance(getattr(first, name), list)
    }
    return replace(second, **lists)


def in_parts(items: Sequence[Item], arguments: Mapping[str, Any], size: Callable[[Item], int]) -> list[list[Item]]:
    """By what the station takes in one message, where it has told: so many items, so many bytes of them."""
    items_max = arguments.get("items_per_message") or len(items)
    bytes_max = arguments.get("bytes_per_message") or sys.maxsize
    parts: list[list[Item]] = []
    room = 0
    for item in items:
        if not parts or len(parts[-1]) >= items_max or size(item) > room:
            parts.append([])
            room = bytes_max - _FRAME_BYTES
        parts[-1].append(item)
        room -= size(item)
    return parts


def _outcome(version: OcppVersion, kind: CommandKind, answers: list[Any]) -> Outcome:
    """Of several answers as of one."""
    answer = reduce(_joined, answers)
    return version.ANSWERS[kind](answer) if kind in version.ANSWERS else _word(answer)


def _word(answer: Any) -> Outcome:
    said = str(getattr(answer, "status", "Accepted"))
    result = {name: value for name, value in _fields(answer).items() if value is not None}
    if said in _YES:
        return Outcome(status=CommandStatus.ACCEPTED, result=result, error=None)
    return Outcome(status=CommandStatus.REJECTED, result=result, error=f"the station answered {said}")


def _fields(answer: Any) -> dict[str, Any]:
    return asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else {}

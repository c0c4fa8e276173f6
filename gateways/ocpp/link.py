"""What a version package (`v16/`, `v201/`, …) is written against.

It exports `VERSION: Version` and `HANDLERS: dict[str, Handler]`, and nothing else is asked of it:

    async def status(call: Call, m: StatusNotification) -> call_result.StatusNotification:
        async with call.write() as work:
            await stations.report_status(work, …, at=call.moment(m.timestamp))
        return call_result.StatusNotification()

A handler gets the `ocpp` package's dataclass (see `payloads` for nested objects) and returns one; a `datetime` in it
goes out as it should. What it may count on, and what not:

- Messages of one station come one at a time, in order, a repeated one once. A handler may still see a message again (an
  answer lost in a restart, something Unavailable half way), so use-cases are idempotent.
- Enumerations are strings and may be unknown; every required field named in `tolerance.WAIVED` may be None.
- It ends even when the station is gone, within `Limits.handle_timeout_s`.
- A `DomainError` becomes the CALLERROR that `FAULTS` names, a `Fault` is one, any other exception an InternalError.
- Calls to the station belong after the answer: `call.after(read_configuration(call))`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from domain import errors
from domain.actor import Actor
from domain.commands import Priority
from domain.stations import Registration
from domain.work import Work, Workplace
from gateways.ocpp.deviations import Deviation
from gateways.ocpp.frames import Code, Fault, MessageId, Payload, Version
from gateways.ocpp.plugs import Plugs
from gateways.ocpp.skew import ClockWatch
from gateways.ocpp.standing import Standing
from gateways.ocpp.times import can_be, parsed

_LOOK_S: Final = 0.25

Handler = Callable[["Call", Any], Awaitable[Any]]


class VersionPackage(Protocol):
    """A module that speaks one version."""

    @property
    def VERSION(self) -> Version: ...  # noqa: N802 - constants of a module

    @property
    def HANDLERS(self) -> Mapping[str, Handler]: ...  # noqa: N802


@dataclass(frozen=True, slots=True)
class Admission:
    """Who stands at the other end of a socket, as the gate found out."""

    actor: Actor
    tenant_id: UUID
    station_id: UUID
    peer: str = ""
    registration: Registration = Registration.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of one station is endured, and how long anything may take."""

    # Below the 200 kB that testers of the protocol send as "oversized", above what stations send.
    frame_bytes: int = 192 * 1024
    depth: int = 32
    inbox_messages: int = 64  # further ones wait in the network
    outbox_calls: int = 64
    messages_per_s: float | None = 50.0  # beyond it a station waits; nothing is dropped
    burst_messages: int = 200
    handle_timeout_s: float = 60.0
    retry_delays_s: tuple[float, ...] = (0.5, 2.0, 5.0, 10.0)  # while something is Unavailable: a restart of PostgreSQL
    repeat_window_s: float = 60.0
    heartbeat_interval_s: float = 300.0  # until the station is told its own
    idle_grace_s: float = 30.0
    spare_turns: int = 8  # of the stations of a process, how many are asked at once what nobody waits for
    close_grace_s: float = 10.0  # for messages in flight when we close
    handshakes_at_once: int = 16  # together with what else can wait, see `turnstile`
    handshakes_waiting: int = 10_000  # further ones are to come back later
    handshake_patience_s: float = 55.0  # less than proxies have; stations that have less themselves leave


class Refused(errors.Conflict):
    """The station answered with a CALLERROR, or with a result that cannot be used."""

    def __init__(self, action: str, error_code: str, description: str) -> None:
        super().__init__(
            f"the station refused {action}: {error_code} {description}".rstrip(),
            action=action,
            error_code=error_code,
            description=description,
        )


class Line(Protocol):
    """The socket, as far as handlers and commands need it."""

    @property
    def open(self) -> bool: ...

    heartbeat_interval_s: float
    """Tell what BootNotification answers: after three such intervals of silence the station is asked for a word, and
    after a grace without one the socket is closed."""

    standing: Standing
    """Tell what BootNotification answers."""

    spare_turns: asyncio.Semaphore
    """To be held while asking what nobody waits for: a crowd of stations is asked a few at a time."""

    async def call(
        self,
        request: Any,
        *,
        deadline_s: float = 30.0,
        priority: Priority | None = None,
        send_within_s: float | None = None,
        on_sent: Callable[[], None] | None = None,
    ) -> Any:
        """Sends a dataclass of `ocpp.*.call`, answers with that of `call_result`.

        After `send_within_s` it is not sent any more; `on_sent` is called as it goes on the wire. Leaving it early
        takes the call out of the queue.

        Raises `Invalid` (the request breaks the standard), `LimitExceeded` (too many wait already), `TimedOut`,
        `Unavailable` (the socket is gone) or `Refused`. Where `details["on_wire"]` is False, the station cannot have
        heard it.
        """
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """After the messages in flight are answered; with the code 0 the line is dropped without a Close frame.

        From a handler only by `call.after`.
        """
        ...


async def waited(line: Line, seconds: float) -> bool:
    """For followers: not longer than the line is open, since closing waits for them. Whether it still is."""
    until = asyncio.get_running_loop().time() + seconds
    while line.open and (left_s := until - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110 - it may close
        await asyncio.sleep(min(left_s, _LOOK_S))
    return line.open


@dataclass(slots=True, kw_only=True)
class Call:
    """One message of a station. `raw` is its payload as it came, vendor keys and all."""

    identity: str
    tenant_id: UUID
    station_id: UUID
    actor: Actor
    workplace: Workplace
    version: Version
    action: str
    message_id: MessageId
    received_at: datetime
    raw: Payload
    socket: Line
    tolerate: Callable[[Sequence[Deviation]], object]
    watch: ClockWatch = field(default_factory=ClockWatch)
    plugs: Plugs = field(default_factory=Plugs)
    followers: list[Coroutine[Any, Any, object]] = field(default_factory=list)

    def write(self) -> AbstractAsyncContextManager[Work]:
        return self.workplace.open_work(self.actor)

    def read(self) -> AbstractAsyncContextManager[Work]:
        return self.workplace.open_work(self.actor, read_only=True)

    def moment(self, written: object) -> datetime:
        """A station's own time; one that is absent or not believed is the time of receipt."""
        if not written:
            return self.received_at
        at = parsed(written)
        if at is not None:
            self.watch.note(at, self.received_at)
            if can_be(at, received_at=self.received_at):
                return at
        self.tolerate([Deviation("time", "timestamp", str(written)[:64])])
        return self.received_at

    def after(self, follower: Coroutine[Any, Any, object]) -> None:
        """Runs once the answer is on its way; the next message of the station does not wait for it."""
        self.followers.append(follower)


# What a domain error means to a station. Those that are not here are nobody's business there: InternalError.
FAULTS: Final[Mapping[type[errors.DomainError], Code]] = {
    errors.Invalid: Code.PROPERTY_CONSTRAINT_VIOLATION,
    errors.NotFound: Code.PROPERTY_CONSTRAINT_VIOLATION,
    errors.Forbidden: Code.SECURITY_ERROR,
    errors.Unauthenticated: Code.SECURITY_ERROR,
    errors.Conflict: Code.GENERIC_ERROR,
    errors.Unavailable: Code.INTERNAL_ERROR,
    errors.LimitExceeded: Code.INTERNAL_ERROR,
}


def fault_of(error: errors.DomainError) -> Fault:
    for family in type(error).__mro__:
        if family in FAULTS:
            return Fault(FAULTS[family], error.message)
    return Fault(Code.INTERNAL_ERROR, error.message)

"""One station's socket: a reader that never waits for a handler, a worker that takes one message at a time, and calls.

Whatever was received is handled, even when the station is gone by then: a stop must be recorded. So a socket ends in
two steps: the reader stops at the disconnect, the worker when nothing is left, and a newer socket of the same station
lets it finish first.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog
from prometheus_client import Counter, Gauge, Histogram
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.commands import Priority
from domain.errors import DomainError, Invalid, TimedOut
from domain.work import Workplace
from gateways.ocpp import frames
from gateways.ocpp.answering import Answering, Received
from gateways.ocpp.deviations import DeviationLog
from gateways.ocpp.frames import (
    TRANSACTION_ACTIONS,
    CallFrame,
    Code,
    ErrorFrame,
    Fault,
    Frame,
    ResultFrame,
    Unreadable,
    Version,
)
from gateways.ocpp.journal import Journal
from gateways.ocpp.link import Admission, Handler, Limits, Line, Refused
from gateways.ocpp.memory import AnswerMemory, StationKey
from gateways.ocpp.outbound import Answer, Outbound
from gateways.ocpp.pace import Haste, Pace
from gateways.ocpp.schemas import Form, Kind, actions, form
from gateways.ocpp.standing import Standing
from gateways.ocpp.turnstile import Turnstile

log = structlog.get_logger()

SOCKETS = Gauge("voltgraph_ocpp_sockets", "Open sockets of charging stations", ["version"], multiprocess_mode="livesum")
MESSAGES = Counter("voltgraph_ocpp_messages", "Messages of stations, by answer", ["version", "action", "result"])
CALLS = Counter("voltgraph_ocpp_calls", "Calls to stations, by outcome", ["version", "action", "result"])
RESULT_ERRORS = Counter(
    "voltgraph_ocpp_result_errors", "Answers that the other side could not use (OCPP 2.1)", ["direction", "code"]
)
HANDLE_SECONDS = Histogram("voltgraph_ocpp_handle_seconds", "From a message to its answer", ["version", "action"])

_UNKNOWN: Final = "unknown"  # the label of whatever a station invents
_UNREADABLE: Final = "unreadable"
_CODES: Final = frozenset(code.value for code in Code)
_TOLD_UNREADABLE: Final = 10  # per socket; they are counted anyhow

# After so many intervals without a message the station is asked whether it is there, whatever TCP says.
_SILENT_INTERVALS: Final = 3

DROP: Final = "voltgraph.drop"  # a server's extension of ASGI: lets the line go without a Close frame
_DROPPED: Final = 0
_CATCH_UP_S: Final = 5.0
_TOO_BIG: Final = 1009
_GOING_AWAY: Final = 1001


class StationSocket(Line):
    """`seen` is called for every message. `replaced` is set when a newer socket of the station has taken over."""

    def __init__(
        self,
        websocket: WebSocket,
        *,
        identity: str,
        admission: Admission,
        version: Version,
        handlers: Mapping[str, Handler],
        workplace: Workplace,
        limits: Limits,
        answers: AnswerMemory,
        deviations: DeviationLog,
        journal: Journal,
        turnstile: Turnstile,
        spare_turns: asyncio.Semaphore,
        seen: Callable[[], None],
    ) -> None:
        self.identity = identity
        self.admission = admission
        self.version = version
        self.replaced = False
        self.connected_at = self.last_received_at = workplace.clock()
        self._websocket = websocket
        self.standing = Standing(admission.registration)
        self.spare_turns = spare_turns
        self._clock = workplace.clock
        self._limits = limits
        self._seen = seen
        self._journal = journal
        self._answering = Answering(
            line=self,
            identity=identity,
            admission=admission,
            version=version,
            handlers=handlers,
            workplace=workplace,
            limits=limits,
            answers=answers,
            deviations=deviations,
            journal=journal,
        )
        self._turnstile = turnstile
        self._pace = Pace(limits.messages_per_s, burst=limits.burst_messages)
        self._charge_pace = Pace(limits.messages_per_s, burst=limits.burst_messages)
        self._haste = Haste()
        self._inbox: asyncio.Queue[Received | None] = asyncio.Queue(limits.inbox_messages)
        self._outbound = Outbound(self._send, waiting=limits.outbox_calls)
        self._followers: set[asyncio.Task[None]] = set()
        self._heartbeat_interval_s = limits.heartbeat_interval_s
        self._silence: asyncio.Timeout | None = None
        self._connected = True
        self._closing = False
        self._drained = asyncio.Event()
        self._unreadable = 0
        self._log = log.bind(tenant=str(admission.tenant_id), station=identity)

    @property
    def key(self) -> StationKey:
        return self.admission.tenant_id, self.admission.station_id

    @property
    def open(self) -> bool:
        return self._connected and not self._closing

    @property
    def heartbeat_interval_s(self) -> float:
        return self._heartbeat_interval_s

    @heartbeat_interval_s.setter
    def heartbeat_interval_s(self, interval_s: float) -> None:
        self._heartbeat_interval_s = interval_s if interval_s > 0 else self._limits.heartbeat_interval_s
        if self._silence is not None:
            self._silence.reschedule(asyncio.get_running_loop().time() + self._silence_s)

    @property
    def _silence_s(self) -> float:
        return self._heartbeat_interval_s * _SILENT_INTERVALS

    async def run(self, predecessor: "StationSocket | None" = None) -> None:
        """Until the station has gone and all it said is dealt with. The predecessor's messages come first."""
        SOCKETS.labels(self.version.number).inc()
        sender = asyncio.create_task(self._outbound.run())
        worker = asyncio.create_task(self._work(predecessor))
        try:
            await self._receive()
        finally:
            self._connected = False
            self._haste.more(urgent=True)  # nobody waits for a pace any longer
            self._outbound.close()
            sender.cancel()
            SOCKETS.labels(self.version.number).dec()
            await self._inbox.put(None)
            await worker
            self._drained.set()
            await self._end_followers()

    async def caught_up(self) -> None:
        """What has been received until now is answered; a station that never stops talking is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_S):
                await self._inbox.join()

    async def drained(self) -> None:
        """Nothing received is left to handle."""
        await self._drained.wait()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self._closing:
            return
        self._closing = True
        self._haste.more(urgent=True)
        self._outbound.close()
        try:
            async with asyncio.timeout(self._limits.close_grace_s):
                await self._inbox.join()
        except TimeoutError:
            self._log.warning("ocpp socket closed before all its messages were handled")
        await self._hang_up(code, reason)

    # --- calling -------------------------------------------------------------------------------------------------

    async def call(
        self,
        request: Any,
        *,
        deadline_s: float = 30.0,
        priority: Priority | None = None,
        send_within_s: float | None = None,
        on_sent: Callable[[], None] | None = None,
    ) -> Any:
        action = type(request).__name__
        request_form = self._request_form(action)
        payload = request_form.write(request)
        request_form.check(payload)
        self.standing.asked(action, payload)
        try:
            answer = await self._outbound.call(
                action,
                payload,
                deadline_s=deadline_s,
                priority=priority,
                send_within_s=send_within_s,
                on_sent=on_sent,
            )
            result = await self._understood(action, answer)
        except DomainError as error:
            CALLS.labels(self.version.number, action, _call_result(error)).inc()
            raise
        CALLS.labels(self.version.number, action, "ok").inc()
        return result

    def _request_form(self, action: str) -> Form:
        if action not in actions(self.version):
            raise Invalid(f"OCPP {self.version.number} does not know {action}", action=action)
        return form(self.version, action, Kind.REQUEST)

    async def _understood(self, action: str, answer: Answer) -> Any:
        if isinstance(answer, ErrorFrame):
            raise Refused(action, answer.code, answer.description)
        try:
            return self._read(action, {} if answer.payload == [] else answer.payload)
        except Fault as fault:
            if self.version is Version.V21:
                RESULT_ERRORS.labels("sent", fault.code.value).inc()
                await self._send(frames.result_error(answer.message_id, fault))
            word = fault.code.word(self.version)
            raise Refused(action, word, f"its answer cannot be used: {fault.description}") from fault

    def _read(self, action: str, payload: Any) -> Any:
        if not isinstance(payload, dict):
            raise Fault(Code.FORMAT_VIOLATION, "it is not a JSON object")
        reading = form(self.version, action, Kind.RESPONSE).read(payload)
        self._answering.note(action, reading.deviations)
        return reading.message

    # --- reading -------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        while (text := await self._next_text()) is not None:
            self.last_received_at = self._clock()
            self._seen()
            frame = frames.parse(text, self.version, max_depth=self._limits.depth)
            self._journal.heard(text, frame)
            await self._take(frame)

    async def _next_text(self) -> str | None:
        """The next message; None when there will be no more."""
        message = await self._next_message()
        if message is None:
            return None
        if message["type"] == "websocket.disconnect":
            self._journal.happened("disconnected", code=message.get("code"), reason=message.get("reason"))
            return None
        text = _text_of(message)
        if _is_longer(text, self._limits.frame_bytes):
            self._log.warning("ocpp message too big", characters=len(text))
            MESSAGES.labels(self.version.number, _UNREADABLE, "too big").inc()
            await self._hang_up(_TOO_BIG, "message too big")
            return None
        return text

    async def _next_message(self) -> Mapping[str, Any] | None:
        """None after silence. Its pings do not reach us, so a station that lives and is silent is asked for a word."""
        try:
            async with asyncio.timeout(self._silence_s) as self._silence:
                return await self._websocket.receive()
        except TimeoutError:
            self._start(self._ask_for_a_word(), "Heartbeat")
        finally:
            self._silence = None
        try:
            async with asyncio.timeout(self._limits.idle_grace_s):
                return await self._websocket.receive()
        except TimeoutError:
            self._log.info("ocpp socket closed after silence", seconds=self._silence_s + self._limits.idle_grace_s)
            await self._hang_up(_GOING_AWAY, "no message for too long")
            return None

    async def _ask_for_a_word(self) -> None:
        """Whatever it answers, also that it cannot, is a sign of life. The call is the same in every version."""
        await self._outbound.call(
            "TriggerMessage",
            {"requestedMessage": "Heartbeat"},
            deadline_s=self._limits.idle_grace_s,
            priority=None,
            send_within_s=None,
            on_sent=None,
        )

    async def _take(self, frame: Frame) -> None:
        match frame:
            case CallFrame():
                if not self._closing:  # unanswered, it comes again on the next socket
                    self._haste.more(urgent=frame.action in TRANSACTION_ACTIONS)
                    await self._inbox.put(Received(frame, self.last_received_at))
            case ErrorFrame(of_result=True):
                RESULT_ERRORS.labels("received", frame.code if frame.code in _CODES else _UNKNOWN).inc()
                self._log.warning(
                    "ocpp answer refused", id=frame.message_id, code=frame.code, description=frame.description
                )
            case ResultFrame() | ErrorFrame():
                if not self._outbound.settle(frame):
                    self._log.info("ocpp answer dropped: nobody waits for it", message_id=frame.message_id)
            case Unreadable():
                await self._refuse(frame)

    async def _refuse(self, frame: Unreadable) -> None:
        MESSAGES.labels(self.version.number, _UNREADABLE, "ignored" if frame.answer is None else "refused").inc()
        self._unreadable += 1
        await self._pace.wait(unless=self._haste)
        if self._unreadable <= _TOLD_UNREADABLE:
            self._log.warning("ocpp message unreadable", reason=frame.reason)
        if frame.answer is not None:
            await self._send(frame.answer)

    # --- working -------------------------------------------------------------------------------------------------

    async def _work(self, predecessor: "StationSocket | None") -> None:
        if predecessor is not None:
            await self._follow(predecessor)
        while (received := await self._inbox.get()) is not None:
            try:
                await self._paced(received.frame.action)
                await self._handle(received)
            except Exception:
                self._log.exception("ocpp message lost", action=received.frame.action)
            finally:
                self._haste.fewer(urgent=received.frame.action in TRANSACTION_ACTIONS)
                self._inbox.task_done()
        self._inbox.task_done()

    async def _paced(self, action: str) -> None:
        """What a charge is made of waits for no other's pace; nor does what stands before it, for order is kept."""
        if action in TRANSACTION_ACTIONS:
            await self._charge_pace.wait()
        else:
            await self._pace.wait(unless=self._haste)

    async def _follow(self, predecessor: "StationSocket") -> None:
        try:
            async with asyncio.timeout(self._limits.handle_timeout_s):
                await predecessor.drained()
        except TimeoutError:
            self._log.warning("ocpp messages of the previous socket are still being handled")

    async def _handle(self, received: Received) -> None:
        action = received.frame.action if received.frame.action in actions(self.version) else _UNKNOWN
        started_s = time.perf_counter()
        async with self._turnstile.message(received.frame.action):
            reply = await self._answering.reply(received)
        if reply.text is not None:
            await self._send(reply.text)
        HANDLE_SECONDS.labels(self.version.number, action).observe(time.perf_counter() - started_s)
        MESSAGES.labels(self.version.number, action, reply.result).inc()
        for follower in reply.followers:
            self._start(follower, action)

    # --- sending -------------------------------------------------------------------------------------------------

    async def _send(self, text: str) -> bool:
        self._journal.said(text)
        try:
            await self._websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            return False
        return True

    async def _hang_up(self, code: int, reason: str) -> None:
        self._journal.happened("closed", code=code, reason=reason)
        drop = self._websocket.scope.get("extensions", {}).get(DROP)
        if code == _DROPPED and drop is not None:
            drop()
            return
        try:
            await self._websocket.close(code or _GOING_AWAY, reason)
        except (WebSocketDisconnect, RuntimeError):
            self._log.debug("ocpp socket was closed already")

    # --- after the answer ----------------------------------------------------------------------------------------

    def _start(self, follower: Coroutine[Any, Any, object], action: str) -> None:
        task = asyncio.create_task(self._follower(follower, action))
        self._followers.add(task)
        task.add_done_callback(self._followers.discard)

    async def _follower(self, follower: Coroutine[Any, Any, object], action: str) -> None:
        try:
            await follower
        except DomainError as error:
            self._log.info("ocpp follow-up failed", action=action, reason=error.message)
        except Exception:
            self._log.exception("ocpp follow-up failed", action=action)

    async def _end_followers(self) -> None:
        """Their calls have failed by now; what else they do may end."""
        if self._followers:
            _, unfinished = await asyncio.wait(self._followers, timeout=self._limits.close_grace_s)
            for task in unfinished:
                task.cancel()


def _text_of(message: Mapping[str, Any]) -> str:
    """Binary frames are against the standard, and hold the same text."""
    text = message.get("text")
    return text if isinstance(text, str) else bytes(message["bytes"]).decode("utf-8", "replace")


def _is_longer(text: str, limit_bytes: int) -> bool:
    if len(text) * 4 <= limit_bytes:
        return False
    return len(text) > limit_bytes or len(text.encode()) > limit_bytes


def _call_result(error: DomainError) -> str:
    if isinstance(error, Refused):
        return "refused"
    return "timeout" if isinstance(error, TimedOut) else "failed"

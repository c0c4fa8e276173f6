"""What is answered to a message: by memory, by a handler, or by an error that names what is wrong."""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import uuid4

import structlog
from prometheus_client import Counter

from domain import stations
from domain.errors import DomainError, Invalid, Unavailable
from domain.work import Workplace
from gateways.ocpp import frames, memory
from gateways.ocpp.deviations import Deviation, DeviationLog
from gateways.ocpp.frames import TRANSACTION_ACTIONS, CallFrame, Code, Fault, Version
from gateways.ocpp.journal import Journal
from gateways.ocpp.link import Admission, Call, Handler, Limits, Line, fault_of
from gateways.ocpp.memory import AnswerMemory, Recent, Remembered
from gateways.ocpp.plugs import Plugs
from gateways.ocpp.schemas import SENDS, Kind, actions, form
from gateways.ocpp.skew import ClockWatch

log = structlog.get_logger()

INVALID_ANSWERS = Counter("voltgraph_ocpp_invalid_answers", "Own answers that break the schema", ["version", "action"])

# Answers that tell the time or a state grow old: the same id a little later is a new question.
_AGING_S: Final = {"Heartbeat": 5.0, "BootNotification": 5.0, "Authorize": 5.0}


@dataclass(frozen=True, slots=True)
class Received:
    frame: CallFrame
    at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` None: 2.1's SEND. `result` is a label for counting, `followers` what is to run once the answer is sent."""

    text: str | None
    result: str
    followers: Sequence[Coroutine[Any, Any, object]] = ()


class Answering:
    """For one socket, one message at a time."""

    def __init__(
        self,
        *,
        line: Line,
        identity: str,
        admission: Admission,
        version: Version,
        handlers: Mapping[str, Handler],
        workplace: Workplace,
        limits: Limits,
        answers: AnswerMemory,
        deviations: DeviationLog,
        journal: Journal,
    ) -> None:
        self._line = line
        self._identity = identity
        self._admission = admission
        self._station = (admission.tenant_id, admission.station_id)
        self._version = version
        self._handlers = handlers
        self._workplace = workplace
        self._limits = limits
        self._answers = answers
        self._deviations = deviations
        self._journal = journal
        self._recent = Recent(age_s=limits.repeat_window_s)
        self._numbers_ids = False
        self._sole_after_s = time.monotonic() + answers.age_s + limits.handle_timeout_s
        self._watch = ClockWatch()
        self._plugs = Plugs()
        self._log = log.bind(tenant=str(admission.tenant_id), station=identity)

    async def reply(self, received: Received) -> Reply:
        frame = received.frame
        try:
            reply = await self._answer(received)
        except Fault as fault:
            self._log.info("ocpp message refused", action=frame.action, code=fault.code, detail=fault.description)
            reply = Reply(frames.error(self._version, frame.message_id, fault), fault.code.word(self._version))
        return Reply(None, reply.result, reply.followers) if frame.unconfirmed else reply

    def note(self, action: str, deviations: Sequence[Deviation]) -> None:
        if not deviations:
            return
        for told in self._deviations.note(
            deviations,
            tenant_id=self._admission.tenant_id,
            station_id=self._admission.station_id,
            identity=self._identity,
            version=self._version,
            action=action,
        ):
            self._journal.happened("tolerated", action=action, kind=told.kind, path=told.path, detail=told.message)

    async def _answer(self, received: Received) -> Reply:
        frame = received.frame
        self._check_id(frame)
        digest = memory.digest(frame)
        remembered = await self._recall(frame, digest)
        if remembered is not None:
            return Reply(remembered, "repeated")
        call, answer = await self._handle(received)
        if frame.unconfirmed:
            return Reply(None, "ok", call.followers)
        text = self._result_text(frame, answer)
        await self._remember(frame, Remembered(digest, text))
        return Reply(text, "ok", call.followers)

    def _check_id(self, frame: CallFrame) -> None:
        """The standard wants a string. A number is forgiven where refusing would lose something, and from then on."""
        if isinstance(frame.message_id, str) or self._numbers_ids:
            return
        if not frame.payload:
            raise Fault(Code.PROTOCOL_ERROR, "the message id is not a string")
        self._numbers_ids = True

    # --- handling ------------------------------------------------------------------------------------------------

    async def _handle(self, received: Received) -> tuple[Call, Any]:
        frame = received.frame
        self._line.standing.check(self._version, frame.action)
        handler = self._handler(frame.action)
        reading = form(self._version, frame.action, Kind.REQUEST).read(frame.payload)
        oddities = [Deviation("frame", oddity, oddity) for oddity in frame.oddities]
        self.note(frame.action, [*oddities, *reading.deviations])
        call = self._call(received)
        try:
            answer = await self._run(handler, call, reading.message)
        except Exception as error:
            _discard(call)
            raise self._fault(error, frame.action) from error
        skew_s = self._watch.due(received.at)
        if skew_s is not None:
            call.after(_tell_skew(call, skew_s))
        return call, answer

    def _handler(self, action: str) -> Handler:
        """The `ocpp` package has these two codes the other way round."""
        handler = self._handlers.get(action)
        if handler is not None:
            return handler
        if action in actions(self._version):
            raise Fault(Code.NOT_SUPPORTED, f"{action} is not supported")
        raise Fault(Code.NOT_IMPLEMENTED, f"{action[:60]} is not known to OCPP {self._version.number}")

    def _call(self, received: Received) -> Call:
        return Call(
            identity=self._identity,
            tenant_id=self._admission.tenant_id,
            station_id=self._admission.station_id,
            actor=self._admission.actor,
            workplace=self._workplace,
            version=self._version,
            action=received.frame.action,
            message_id=received.frame.message_id,
            received_at=received.at,
            raw=received.frame.payload,
            socket=self._line,
            tolerate=partial(self.note, received.frame.action),
            watch=self._watch,
            plugs=self._plugs,
        )

    async def _run(self, handler: Handler, call: Call, message: Any) -> Any:
        """Tried again while something is unavailable: a charger may say it once only."""
        async with asyncio.timeout(self._limits.handle_timeout_s):
            for delay_s in self._limits.retry_delays_s:
                try:
                    return await handler(call, message)
                except Unavailable as error:
                    self._log.warning("ocpp message tried again", action=call.action, reason=error.message)
                _discard(call)
                await asyncio.sleep(delay_s)
            return await handler(call, message)

    def _fault(self, error: Exception, action: str) -> Fault:
        if isinstance(error, Fault):
            return error
        if isinstance(error, DomainError):
            return fault_of(error)
        error_id = uuid4().hex[:12]
        self._log.error("ocpp handler failed", action=action, error_id=error_id, exc_info=error)
        return Fault(Code.INTERNAL_ERROR, f"internal error {error_id}", errorId=error_id)

    def _result_text(self, frame: CallFrame, answer: Any) -> str:
        if (self._version, frame.action) in SENDS:  # called instead of sent: the standard knows no answer to it
            return frames.result(frame.message_id, {})
        answer_form = form(self._version, frame.action, Kind.RESPONSE)
        payload = {} if answer is None else answer_form.write(answer)
        try:
            answer_form.check(payload)
        except Invalid as error:  # most stations take it; none could do anything with an error
            INVALID_ANSWERS.labels(self._version.number, frame.action).inc()
            self._log.error("ocpp answer breaks the schema", action=frame.action, detail=error.message)
        return frames.result(frame.message_id, payload)

    # --- remembering ---------------------------------------------------------------------------------------------

    async def _recall(self, frame: CallFrame, digest: bytes) -> str | None:
        window_s = _AGING_S.get(frame.action, self._limits.repeat_window_s)
        recent = self._recent.recall(frame.message_id, age_s=window_s)
        if recent is not None and recent.digest == digest:
            return recent.answer
        if frame.action in TRANSACTION_ACTIONS:
            kept = await self._recall_across_sockets(frame)
            return kept.answer if kept is not None and kept.digest == digest else None
        if recent is not None:
            raise Fault(Code.RPC_FRAMEWORK_ERROR, "the message id was used before with another payload")
        return None

    async def _recall_across_sockets(self, frame: CallFrame) -> Remembered | None:
        try:
            elsewhere = time.monotonic() < self._sole_after_s
            return await self._answers.recall(self._station, frame.message_id, elsewhere=elsewhere)
        except DomainError as error:
            self._log.warning("ocpp answers not recalled", reason=error.message)
            return None

    async def _remember(self, frame: CallFrame, remembered: Remembered) -> None:
        if frame.action == "BootNotification":
            self._recent.clear()  # from here on it may number its messages anew
            self._plugs.forget()
        self._recent.remember(frame.message_id, remembered)
        if frame.action in TRANSACTION_ACTIONS:
            try:
                await self._answers.remember(self._station, frame.message_id, remembered)
            except DomainError as error:
                self._log.warning("ocpp answer not remembered", reason=error.message)


async def _tell_skew(call: Call, skew_s: float) -> None:
    async with call.write() as work:
        await stations.report_clock(work, station_id=call.station_id, skew_s=skew_s)


def _discard(call: Call) -> None:
    for follower in call.followers:
        follower.close()
    call.followers.clear()

"""What a station and we say to each other, for the station log: frames as entries.

The socket hands over what it hears and says as it is. All that takes time is done when the log asks for it: which
answer belongs to which call, and how long that took.
"""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from domain.station_log import Direction, Draft, EntryKind, Recorder, Secrets
from gateways.ocpp.frames import CallFrame, ErrorFrame, Frame, MessageId, MessageType, ResultFrame, Unreadable

_PENDING: Final = 64  # calls in each direction whose answers are awaited
_UNREADABLE_CHARACTERS: Final = 1_000
_HEARTBEAT: Final = "Heartbeat"
_FRAME_CHARACTERS: Final = 200  # what an entry takes beside its text


class _Said(NamedTuple):
    at: datetime
    passed_s: float
    what: Frame | str | tuple[str, dict[str, Any]]
    """Heard, said, or an event and what is to be told of it."""
    text: str = ""


class Journal:
    """Of one socket. Without a recorder there is no log, and nothing is remembered."""

    __slots__ = ("_asked_by_it", "_asked_by_us", "_clock", "_recorder", "secrets", "station_id", "tenant_id")

    def __init__(
        self, recorder: Recorder | None, *, tenant_id: UUID, station_id: UUID, clock: Callable[[], datetime]
    ) -> None:
        self.tenant_id = tenant_id
        self.station_id = station_id
        self.secrets = Secrets()
        self._recorder = recorder
        self._clock = clock
        self._asked_by_it = _Calls()
        self._asked_by_us = _Calls()

    def heard(self, text: str, frame: Frame) -> None:
        if self._recorder is not None:
            said = _Said(self._clock(), perf_counter(), frame, text if isinstance(frame, Unreadable) else "")
            self._recorder.take(self, said, _FRAME_CHARACTERS + len(text))

    def said(self, text: str) -> None:
        if self._recorder is not None:
            said = _Said(self._clock(), perf_counter(), text)
            self._recorder.take(self, said, _FRAME_CHARACTERS + len(text))

    def happened(self, event: str, **facts: Any) -> None:
        """Something that is no frame; what is None of it is not told."""
        if self._recorder is not None:
            told = {name: fact for name, fact in facts.items() if fact not in (None, "")}
            self._recorder.take(self, _Said(self._clock(), perf_counter(), (event, told)), 2 * _FRAME_CHARACTERS)

    # --- in words ------------------------------------------------------------------------------------------------

    def put(self, said: _Said) -> Draft | None:
        what = said.what
        if isinstance(what, str):
            return self._out(said, orjson.loads(what))
        if isinstance(what, tuple):
            event, facts = what
            return Draft(said.at, Direction.NONE, EntryKind.EVENT, event, None, facts)
        return self._in(said, what)

    def _in(self, said: _Said, frame: Frame) -> Draft | None:
        match frame:
            case CallFrame():
                return self._call_heard(said, frame)
            case ResultFrame():
                action, ms = self._asked_by_us.answered(frame.message_id, said.passed_s)
                return Draft(said.at, Direction.IN, EntryKind.RESULT, action, str(frame.message_id), frame.payload, ms)
            case ErrorFrame():
                calls = self._asked_by_it if frame.of_result else self._asked_by_us
                action, ms = calls.answered(frame.message_id, said.passed_s)
                payload = {"description": frame.description, "details": frame.details}
                return Draft(
                    said.at, Direction.IN, EntryKind.ERROR, action, str(frame.message_id), payload, ms, frame.code
                )
            case Unreadable():
                text = self._unreadable(said.text)
                return Draft(said.at, Direction.IN, EntryKind.EVENT, "unreadable", None, text)

    def _call_heard(self, said: _Said, frame: CallFrame) -> Draft | None:
        """A heartbeat says nothing that its answer does not: the two are one entry."""
        kind = EntryKind.SEND if frame.unconfirmed else EntryKind.CALL
        if kind is EntryKind.CALL:
            self._asked_by_it.asked(frame.message_id, frame.action, said.passed_s)
            if frame.action == _HEARTBEAT and not frame.payload:
                return None
        return Draft(said.at, Direction.IN, kind, frame.action, str(frame.message_id), frame.payload)

    def _unreadable(self, text: str) -> str:
        text = self.secrets.masked(text)
        return text if len(text) <= _UNREADABLE_CHARACTERS else f"{text[:_UNREADABLE_CHARACTERS]}…"

    def _out(self, said: _Said, frame: list[Any]) -> Draft | None:
        kind, message_id = frame[0], frame[1]
        if kind in (MessageType.CALL, MessageType.SEND):
            if kind == MessageType.CALL:
                self._asked_by_us.asked(message_id, frame[2], said.passed_s)
            sent = EntryKind.CALL if kind == MessageType.CALL else EntryKind.SEND
            return Draft(said.at, Direction.OUT, sent, frame[2], str(message_id), frame[3])
        calls = self._asked_by_us if kind == MessageType.RESULT_ERROR else self._asked_by_it
        action, ms = calls.answered(message_id, said.passed_s)
        if kind == MessageType.RESULT:
            if action == _HEARTBEAT and not self._keeps_heartbeats:
                return None
            return Draft(said.at, Direction.OUT, EntryKind.RESULT, action, str(message_id), frame[2], ms)
        payload = {"description": frame[3], "details": frame[4]}
        return Draft(said.at, Direction.OUT, EntryKind.ERROR, action, str(message_id), payload, ms, frame[2])

    @property
    def _keeps_heartbeats(self) -> bool:
        return self._recorder is not None and self._recorder.rules.heartbeats


class _Calls:
    """Of one direction, until they are answered."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: dict[MessageId, tuple[str, float]] = {}

    def asked(self, message_id: MessageId, action: str, at_s: float) -> None:
        self._pending.pop(message_id, None)
        self._pending[message_id] = action, at_s
        if len(self._pending) > _PENDING:
            del self._pending[next(iter(self._pending))]

    def answered(self, message_id: MessageId, at_s: float) -> tuple[str | None, float | None]:
        """The action, and after how many milliseconds."""
        action, asked_s = self._pending.pop(message_id, (None, at_s))
        return action, None if action is None else round((at_s - asked_s) * 1000, 3)

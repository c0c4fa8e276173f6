"""OCPP-J frames: text in, frame out, and back. Never raises on what a station sends."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final

import orjson

MessageId = str | int | float
Payload = dict[str, Any]


class Version(StrEnum):
    """The subprotocols as the handshake names them, oldest first."""

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"
    V21 = "ocpp2.1"

    @property
    def number(self) -> str:
        return self.value.removeprefix("ocpp")


class MessageType(IntEnum):
    CALL = 2
    RESULT = 3
    ERROR = 4
    RESULT_ERROR = 5  # 2.1
    SEND = 6  # 2.1


class Code(StrEnum):
    """Why a CALL is not answered by a result, in the words of 2.x; `word` knows those of 1.6."""

    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    INTERNAL_ERROR = "InternalError"
    PROTOCOL_ERROR = "ProtocolError"
    SECURITY_ERROR = "SecurityError"
    FORMAT_VIOLATION = "FormatViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    GENERIC_ERROR = "GenericError"
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"

    def word(self, version: Version) -> str:
        return _WORDS_16.get(self, self.value) if version is Version.V16 else self.value


# OCPP-J 1.6, table 7, has two words of its own (one misspelled there) and lacks two of 2.x
_WORDS_16: Final = {
    Code.FORMAT_VIOLATION: "FormationViolation",
    Code.OCCURRENCE_CONSTRAINT_VIOLATION: "OccurenceConstraintViolation",
    Code.RPC_FRAMEWORK_ERROR: "GenericError",
    Code.MESSAGE_TYPE_NOT_SUPPORTED: "GenericError",
}

# What a charge is made of: no frame with one of these gets an error that could be avoided
TRANSACTION_ACTIONS: Final = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"})

MAX_DEPTH: Final = 32
_UNREADABLE_ID: Final = "-1"  # OCPP-J 2.0.1, 4.2.3
_ID_CHARS: Final = 36
_DESCRIPTION_CHARS: Final = 255
_ID_LIMIT: Final = 2**63


class Fault(Exception):
    """Answers a CALL with a CALLERROR. A handler may raise it; anything else it raises becomes one."""

    def __init__(self, code: Code, description: str, **details: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.details = details


@dataclass(frozen=True, slots=True)
class CallFrame:
    """`oddities` tell what was forgiven; `unconfirmed` is 2.1's SEND, which gets no answer of any kind."""

    message_id: MessageId
    action: str
    payload: Payload
    oddities: tuple[str, ...] = ()
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class ResultFrame:
    """`payload` is whatever came; only the sender of the CALL knows what it should be."""

    message_id: MessageId
    payload: Any


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """`of_result` is 2.1's CALLRESULTERROR: the station could not use our answer."""

    message_id: MessageId
    code: str
    description: str
    details: Any
    of_result: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No frame. `answer` is what the version's standard wants said to it, if anything."""

    reason: str
    answer: str | None = None


Frame = CallFrame | ResultFrame | ErrorFrame | Unreadable


def parse(text: str, version: Version, *, max_depth: int = MAX_DEPTH) -> Frame:
    try:
        return _frame(_load(text, max_depth), version)
    except _NoFrameError as error:
        return Unreadable(error.reason, error.answer(version))


def call(message_id: str, action: str, payload: Payload) -> str:
    return _text([MessageType.CALL, message_id, action, payload])


def result(message_id: MessageId, payload: Payload) -> str:
    return _text([MessageType.RESULT, message_id, payload])


def error(version: Version, message_id: MessageId, fault: Fault) -> str:
    return _error(MessageType.ERROR, version, message_id, fault)


def result_error(message_id: MessageId, fault: Fault) -> str:
    """2.1's CALLRESULTERROR: an answer to our CALL that cannot be used."""
    return _error(MessageType.RESULT_ERROR, Version.V21, message_id, fault)


def _error(kind: MessageType, version: Version, message_id: MessageId, fault: Fault) -> str:
    code, description = fault.code.word(version), fault.description[:_DESCRIPTION_CHARS]
    try:
        return _text([kind, message_id, code, description, fault.details])
    except TypeError:  # details are for the curious; what JSON cannot hold is told as text
        return _text([kind, message_id, code, description, {"details": repr(fault.details)[:1000]}])


class _NoFrameError(Exception):
    """`code` None: nobody is answered, in no version."""

    def __init__(self, reason: str, code: Code | None, message_id: MessageId | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.message_id = message_id

    def answer(self, version: Version) -> str | None:
        """1.6 knows no answer to what has no readable id or type; 2.x answers those with the id -1."""
        if self.code is None or (version is Version.V16 and self._nameless):
            return None
        message_id = _UNREADABLE_ID if self.message_id is None else self.message_id
        return error(version, message_id, Fault(self.code, self.reason))

    @property
    def _nameless(self) -> bool:
        return self.message_id is None or self.code is Code.MESSAGE_TYPE_NOT_SUPPORTED


def _frame(items: list[Any], version: Version) -> Frame:
    message_id = _readable_id(items[1]) if len(items) > 1 else None
    kind = _kind(items, version)
    if kind is MessageType.CALL or kind is MessageType.SEND:
        return _call_frame(kind, message_id, items)
    if kind is None:
        raise _NoFrameError("the message type is not supported", Code.MESSAGE_TYPE_NOT_SUPPORTED, message_id)
    if message_id is None:  # errors about answers would be answered by errors
        raise _NoFrameError("an answer without a readable message id", None)
    if kind is MessageType.RESULT:
        return ResultFrame(message_id, items[2] if len(items) > 2 and items[2] is not None else {})
    return _error_frame(kind, message_id, items)


def _kind(items: list[Any], version: Version) -> MessageType | None:
    number = items[0]
    if isinstance(number, str) and number.isdecimal() and len(number) == 1:
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if number in (2, 3, 4) or (number in (5, 6) and version is Version.V21):
        return MessageType(int(number))
    # charge boxes exist that start and stop transactions with message type 1
    misnumbered = number == 1 and version is Version.V16 and len(items) == 4
    return MessageType.CALL if misnumbered and items[2] in tuple(TRANSACTION_ACTIONS) else None


def _call_frame(kind: MessageType, message_id: MessageId | None, items: list[Any]) -> CallFrame:
    refusable = kind is MessageType.CALL
    if message_id is None:
        raise _NoFrameError("the message id cannot be read", Code.RPC_FRAMEWORK_ERROR if refusable else None)
    if len(items) < 4 or not isinstance(items[2], str):
        reason = "a CALL has four elements: type, message id, action, payload"
        raise _NoFrameError(reason, Code.PROTOCOL_ERROR if refusable else None, message_id)
    payload = {} if items[3] is None or items[3] == [] else items[3]
    if isinstance(payload, _TooDeep):
        reason = "the payload is nested too deeply"
        raise _NoFrameError(reason, Code.FORMAT_VIOLATION if refusable else None, message_id)
    if not isinstance(payload, dict):
        reason = "the payload is not a JSON object"
        raise _NoFrameError(reason, Code.TYPE_CONSTRAINT_VIOLATION if refusable else None, message_id)
    return CallFrame(message_id, items[2], payload, _oddities(items), unconfirmed=not refusable)


def _oddities(items: list[Any]) -> tuple[str, ...]:
    checks = (
        (items[0] not in (2, 6) or not isinstance(items[0], int), "message type"),
        (not isinstance(items[1], str), "numeric message id"),
        (isinstance(items[1], str) and len(items[1]) > _ID_CHARS, "long message id"),
        (not isinstance(items[3], dict), "payload"),
        (len(items) > 4, "extra elements"),
    )
    return tuple(name for odd, name in checks if odd)


def _error_frame(kind: MessageType, message_id: MessageId, items: list[Any]) -> ErrorFrame:
    code, description, details = (*items[2:5], *(None,) * 3)[:3]
    return ErrorFrame(
        message_id,
        code if isinstance(code, str) else Code.GENERIC_ERROR.value,
        description if isinstance(description, str) else "",
        {} if details is None or isinstance(details, _TooDeep) else details,
        of_result=kind is MessageType.RESULT_ERROR,
    )


def _readable_id(value: Any) -> MessageId | None:
    """What can be sent back as it came."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and abs(value) < _ID_LIMIT else None


class _TooDeep:
    """Stands for an element that was nested deeper than allowed, so that its frame can still be answered."""


def _load(text: str, max_depth: int) -> list[Any]:
    if not text.strip("\x00 \r\n\t"):  # some stations send these, and they mean nothing
        raise _NoFrameError("an empty message", None)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _load_leniently(text)
    if not isinstance(value, list) or not value:
        raise _NoFrameError("the message is not the JSON array of an OCPP frame", Code.RPC_FRAMEWORK_ERROR)
    if text.count("[") + text.count("{") > max_depth:
        value = [_TooDeep() if _is_deeper(item, max_depth - 1) else item for item in value]
    if "\\u0000" in text:  # padding of fixed-size buffers; no database takes it
        value = [*value[:2], *(_mapped(item, _without_zeros) for item in value[2:])]
    return value


def _load_leniently(text: str) -> Any:
    """NaN, raw line breaks in strings, a byte order mark, zero bytes after the end: seen, and understandable."""
    try:
        return _mapped(json.loads(text.strip("\ufeff\x00 \r\n\t"), strict=False), _encodable)
    except (ValueError, RecursionError) as error:
        raise _NoFrameError("the message is not JSON", Code.RPC_FRAMEWORK_ERROR) from error


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """With every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    return [_mapped(item, change) for item in value] if isinstance(value, list) else value


def _without_zeros(text: str) -> str:
    return text.replace("\x00", "")


def _encodable(text: str) -> str:
    """Half of a surrogate pair is no character."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_deeper(value: Any, levels: int) -> bool:
    """Level by level: the recursion limit is smaller than what a parser lets through."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            item
            for container in layer
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not layer:
            return False
    return True


def _text(items: list[Any]) -> str:
    return orjson.dumps(items).decode()

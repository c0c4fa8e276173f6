"""What real chargers get wrong, and how much of it is forgiven.

An error of the schema is either kept (the value stays, the deviation is noted), converted, or makes its value unusable.
An unusable value takes with it the nearest thing that can be left out: an optional property, or one of several elements
of a list. Only when nothing can be left out is the message refused.
"""

import copy
from typing import Any, Final

import jsonschema_rs

from domain.station_log import holds_secrets
from gateways.ocpp.conversions import converted
from gateways.ocpp.deviations import Deviation
from gateways.ocpp.frames import Code, Fault, Payload
from gateways.ocpp.payloads import Shape

# Keywords of the schema whose violation changes no meaning: the value is kept as it came.
KEPT: Final = {
    "additionalProperties": "extra",
    "maxLength": "length",
    "minLength": "length",
    "pattern": "length",
    "maximum": "range",
    "minimum": "range",
    "exclusiveMaximum": "range",
    "exclusiveMinimum": "range",
    "multipleOf": "range",
    "maxItems": "items",
    "minItems": "items",
    "uniqueItems": "items",
    "enum": "enum",
}

# Enumerations that say what a message is; every other may hold words of the station's own.
DECISIVE: Final = frozenset({("TransactionEvent", "eventType")})

# What comes beside a meter's signature: 2.0.1 demands it, 2.1 does not.
_SIGNED: Final = {
    f"meterValue[].sampledValue[].signedMeterValue.{name}" for name in ("signingMethod", "encodingMethod", "publicKey")
}

# Required fields without which a charge is still understood; the handler finds None.
WAIVED: Final = {
    "StartTransaction": {"idTag", "meterStart", "timestamp"},
    "StopTransaction": {"transactionId", "meterStop", "timestamp", "transactionData[].timestamp"},
    "MeterValues": {"connectorId", "evseId", "meterValue[].timestamp"} | _SIGNED,
    "TransactionEvent": {"triggerReason", "seqNo", "timestamp", "meterValue[].timestamp"} | _SIGNED,
}

_CODES: Final = {
    "required": Code.OCCURRENCE_CONSTRAINT_VIOLATION,
    "type": Code.TYPE_CONSTRAINT_VIOLATION,
}

Path = tuple[str | int, ...]


def mended(
    action: str, payload: Payload, validator: jsonschema_rs.Validator, shape: Shape
) -> tuple[Payload, list[Deviation]]:
    """What can be understood of an invalid payload; raises `Fault` when that is not enough."""
    mending = _Mending(action, copy.deepcopy(payload), shape)
    for _ in range(_MAX_TYPE_PASSES):  # a converted value may itself hold wrong types
        wrong = [error for error in validator.iter_errors(mending.payload) if error.kind.name == "type"]
        if not wrong:
            break
        for error in wrong:
            mending.convert(error)
        mending.sweep()
    for error in validator.iter_errors(mending.payload):
        mending.judge(error)
    mending.sweep()
    return mending.payload, mending.deviations


_MAX_TYPE_PASSES: Final = 4


class _Mending:
    def __init__(self, action: str, payload: Payload, shape: Shape) -> None:
        self.payload = payload
        self._action = action
        self._shape = shape
        self._is_confidential = holds_secrets(payload)
        self._waived = WAIVED.get(action, set())
        self._deviations: dict[tuple[str, str], Deviation] = {}
        self._thinned: dict[Path, jsonschema_rs.ValidationError] = {}  # lists that lost elements

    @property
    def deviations(self) -> list[Deviation]:
        """Each kind once per path, however many elements have it."""
        return list(self._deviations.values())

    def convert(self, error: jsonschema_rs.ValidationError) -> None:
        path: Path = tuple(error.instance_path)
        value = _at(self.payload, path)
        if value is _GONE:
            return
        fixed = None if value is None else converted(value, error.kind.as_dict()["types"], key=path[-1] if path else "")
        if fixed is None:
            self._note("null" if value is None else "type", path, self._words(error))
            self._leave_out(path, error)
        else:
            self._note("type", path, self._words(error))
            _put(self.payload, path, fixed)

    def judge(self, error: jsonschema_rs.ValidationError) -> None:
        path: Path = tuple(error.instance_path)
        value = _at(self.payload, path)
        if value is _GONE:
            return
        keyword = error.kind.name
        if keyword == "required":
            self._miss((*path, error.kind.as_dict()["property"]), error)
        elif keyword == "enum":
            self._reword(path, value, error)
        elif keyword == "additionalProperties":
            for name in error.kind.as_dict()["unexpected"]:
                self._note("extra", (*path, name), self._words(error))
        elif keyword in KEPT:
            self._note(KEPT[keyword], path, self._words(error))
        else:
            self._leave_out(path, error)

    def sweep(self) -> None:
        """Takes out what is gone, and the lists that nothing is left of."""
        while self._thinned:
            path, error = self._thinned.popitem()
            items = _at(self.payload, path)
            if items is not _GONE and all(item is _GONE for item in items):
                self._leave_out(path, error)
        self.payload = _without_gone(self.payload)

    def _miss(self, path: Path, error: jsonschema_rs.ValidationError) -> None:
        self._note("missing", path, self._words(error))
        if _pattern(path) not in self._waived:
            self._leave_out(path[:-1], error)

    def _reword(self, path: Path, value: Any, error: jsonschema_rs.ValidationError) -> None:
        self._note("enum", path, self._words(error))
        wanted = {option.casefold(): option for option in error.kind.as_dict()["options"] if isinstance(option, str)}
        known = wanted.get(value.strip().casefold()) if isinstance(value, str) else None
        if known is not None:
            _put(self.payload, path, known)
        elif (self._action, _pattern(path)) in DECISIVE:
            self._leave_out(path, error)

    def _leave_out(self, path: Path, error: jsonschema_rs.ValidationError) -> None:
        """The nearest optional thing around an unusable value, or the message."""
        if not path:
            raise Fault(_code(error), f"{_pattern(tuple(error.instance_path)) or self._action}: {self._words(error)}")
        parent, key = path[:-1], path[-1]
        _put(self.payload, path, _GONE)
        if isinstance(key, int):
            self._thinned[parent] = error
        elif self._is_required(path) and _pattern(path) not in self._waived:
            self._leave_out(parent, error)

    def _is_required(self, path: Path) -> bool:
        shape: Shape | None = self._shape
        for key in path[:-1]:
            if isinstance(key, str) and shape is not None:
                shape = shape.below(key)
        return shape is not None and path[-1] in shape.required

    def _words(self, error: jsonschema_rs.ValidationError) -> str:
        return words(error, confidential=self._is_confidential)

    def _note(self, kind: str, path: Path, message: str) -> None:
        pattern = _pattern(path)
        self._deviations.setdefault((kind, pattern), Deviation(kind, pattern, message[:200]))


_GONE: Final = object()


def words(error: jsonschema_rs.ValidationError, *, confidential: bool) -> str:
    """What is wrong; the validator's words have the value in them."""
    return f"violates {error.kind.name}" if confidential else error.message


def _code(error: jsonschema_rs.ValidationError) -> Code:
    return _CODES.get(error.kind.name, Code.PROPERTY_CONSTRAINT_VIOLATION)


def _pattern(path: Path) -> str:
    """`meterValue[].sampledValue[].unit`; keys of the station's own making are cut short."""
    text = "".join("[]" if isinstance(key, int) else f".{key[:60]}" for key in path)
    return text.removeprefix(".")


def _at(value: Any, path: Path) -> Any:
    for key in path:
        if value is _GONE:
            return _GONE
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return _GONE
    return value


def _put(payload: Payload, path: Path, value: Any) -> None:
    _at(payload, path[:-1])[path[-1]] = value


def _without_gone(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_gone(item) for key, item in value.items() if item is not _GONE}
    if isinstance(value, list):
        return [_without_gone(item) for item in value if item is not _GONE]
    return value

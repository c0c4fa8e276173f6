"""Values of a wrong type, read as the right one: numbers as text, text as numbers, one for a list of one."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

# Text in which some stations put whole objects.
_TEXT_OF_ANYTHING: Final = frozenset({"data"})

_INTEGER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_INT_LIMIT: Final = 2**63
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}


def converted(value: Any, types: Sequence[str], *, key: str | int) -> Any:
    """The value as the first of the types it can be read as; None when there is none."""
    for wanted in types:
        fixed = _CONVERSIONS[wanted](value, key)
        if fixed is not None:
            return fixed
    return None


def _to_integer(value: Any, _key: str | int) -> int | None:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    number = _to_number(value, _key)
    return None if number is None or abs(number) >= _INT_LIMIT else round(number)


def _to_number(value: Any, _key: str | int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value.strip().replace(",", ".") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _to_text(value: Any, key: str | int) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return _as_json(value) if key in _TEXT_OF_ANYTHING else None


def text_of(value: Any) -> str | None:
    """Anything that JSON has, where OCPP 1.6 has text alone."""
    return value if value is None or isinstance(value, str) else _as_json(value)


def _as_json(value: Any) -> str | None:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return None


def _to_boolean(value: Any, _key: str | int) -> bool | None:
    return _TRUTH.get(str(value).strip().lower())


def _to_object(value: Any, _key: str | int) -> dict[str, Any] | None:
    return {} if value == [] else None


def _to_list(value: Any, _key: str | int) -> list[Any] | None:
    return [value]


_CONVERSIONS: Final[dict[str, Callable[[Any, str | int], Any]]] = {
    "integer": _to_integer,
    "number": _to_number,
    "string": _to_text,
    "boolean": _to_boolean,
    "object": _to_object,
    "array": _to_list,
    "null": lambda _value, _key: None,
}

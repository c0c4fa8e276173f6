"""What a reading is at a point of another value type: converted where nothing is lost by it, else a misfit.

| point | what comes | what is kept |
|---|---|---|
| NUMBER | a text that says a number | the number |
| BOOLEAN | true, false, 1, 0 as text | 1 or 0 |
| BOOLEAN | another number | the number: the point is a NUMBER from then on |
| TEXT | a number | the number as text |
| ENUM | a number, its name, or both | as it came |
| any | a text that is not GOOD, and nothing at all that is BAD | as it came: it says why there is no value |
"""

from decimal import Decimal, InvalidOperation
from math import isfinite

from domain.points.models import ValueType
from domain.points.readings import Quality, Reading

Content = tuple[float | None, str | None]  # value, text

_TRUTHS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}


def of_first(reading: Reading) -> ValueType:
    """The type of a point of which this is the first reading. A text that is BAD, as `NaN`, says that numbers come."""
    if reading.value is not None:
        if isinstance(reading.value, bool):
            return ValueType.BOOLEAN
        return ValueType.NUMBER if reading.text is None else ValueType.ENUM
    if reading.text is None or (reading.quality is Quality.BAD and _is_float(reading.text)):
        return ValueType.NUMBER
    return ValueType.TEXT


def fitted(kind: ValueType, value: float | None, text: str | None, quality: Quality) -> Content | None:
    """What is kept of it at a point of that type; None: it does not fit."""
    if value is None and (text is None or quality is not Quality.GOOD):
        return value, text
    match kind:
        case ValueType.NUMBER if value is None:
            number = number_of(text or "")
            return None if number is None else (number, None)
        case ValueType.BOOLEAN if value is None:
            truth = _TRUTHS.get((text or "").strip().lower())
            return None if truth is None else (truth, None)
        case ValueType.BOOLEAN if value not in (0, 1):
            return None
        case ValueType.TEXT if text is None and value is not None:
            return None, text_of(value)
    return value, text


def misfit(kind: ValueType, text: str | None) -> str:
    return f"the point is a {kind}, and {(text or '')[:80]!r} says none"


def number_of(text: str) -> float | None:
    """The number that a text says, where a float can hold all of its digits."""
    if "_" in text:  # which Python takes for a digit's neighbor
        return None
    try:
        number, exact = float(text), Decimal(text.strip())
    except (ValueError, InvalidOperation):
        return None
    return number if isfinite(number) and Decimal(repr(number)) == exact else None


def text_of(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

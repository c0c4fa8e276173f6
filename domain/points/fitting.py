"""What a reading is at a point of another value type or unit: converted where nothing is lost by it, else a misfit.

| point | what comes | what is kept |
|---|---|---|
| NUMBER | a text that says a number | the number |
| BOOLEAN | true, false, 1, 0 as text | 1 or 0 |
| BOOLEAN | another number | the number: the point is a NUMBER from then on |
| TEXT | a number | the number as text |
| ENUM | a number, its name, or both | as it came |
| any | a text that is not GOOD, and nothing at all that is BAD | as it came: it says why there is no value |
| any, in some unit | a number in another one of the same dimension (`domain.units`) | the number in the point's unit |
"""

from decimal import Decimal, InvalidOperation
from math import isfinite

from domain.points.models import ValueType
from domain.points.readings import Quality, Reading
from domain.units import CONVERSIONS, converted

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


def content(kind: ValueType, unit: str | None, reading: Reading) -> Content | None:
    """What is kept of it at a point of that type and unit; None: it does not fit. A number may be too large by then."""
    _, _, value, text, quality, given, _, _ = reading
    if given is None or given == unit:
        return fitted(kind, None if value is None else float(value), text, quality)
    if value is not None:
        value = _in_unit(float(value), given, unit)
        return None if value is None else fitted(kind, value, text, quality)
    found = fitted(kind, value, text, quality)
    if found is None or found[0] is None:
        return found
    value = _in_unit(found[0], given, unit)  # a text that says a number
    return None if value is None else (value, None)


def _in_unit(value: float, given: str, unit: str | None) -> float | None:
    known = CONVERSIONS.get(given)
    if known is not None and known.base == unit:
        return known.apply(value)
    return None if unit is None else converted(value, given, unit)


def misfit(kind: ValueType, unit: str | None, reading: Reading) -> str:
    is_number = reading.value is not None or fitted(kind, None, reading.text, reading.quality) is not None
    if is_number and reading.unit is not None and reading.unit != unit:
        return f"the point is in {unit}, and the reading in {reading.unit}"
    return f"the point is a {kind}, and {(reading.text or '')[:80]!r} says none"


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
    value = float(value)  # a whole number, or a boolean
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

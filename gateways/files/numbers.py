"""Numbers as people and programs write them."""

import re
from collections.abc import Iterable

LENGTH_MAX = 1_000  # more than a float has digits
NOTHING = frozenset({"", "-", "--", "nan", "null", "none", "na", "n/a", "#n/a", "nil"})
_BOOLEANS = {"true": 1.0, "false": 0.0, "on": 1.0, "off": 0.0, "yes": 1.0, "no": 0.0}

_GROUPED = {  # thousands apart, by whether the decimal sign is a comma
    False: re.compile(r"[-+]?\d{1,3}(?:[, '\u00a0\u202f\u2019]\d{3})+(?:\.\d*)?(?:[eE][-+]?\d+)?", re.ASCII),
    True: re.compile(r"[-+]?\d{1,3}(?:[. '\u00a0\u202f\u2019]\d{3})+(?:,\d*)?(?:[eE][-+]?\d+)?", re.ASCII),
}
_SEPARATORS = re.compile(r"[ '\u00a0\u202f\u2019]")
_WITH_COMMA = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:[. '\u00a0\u202f\u2019]\d{3})+),\d+", re.ASCII)
_WITH_POINT = re.compile(r"[-+]?(?:\d*|\d{1,3}(?:[, '\u00a0\u202f\u2019]\d{3})+)\.\d+", re.ASCII)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}[.,]\d{3}", re.ASCII)  # 1,234: one of either


def number(text: str, *, comma: bool) -> float:
    """`text` without blanks around it. Raises `ValueError`, which says why."""
    if len(text) > LENGTH_MAX:
        raise ValueError(f"{text[:80]!r}… is no number")
    if not comma or not ("," in text or "." in text):
        try:
            if "_" not in text:
                return float(text)
        except ValueError:
            pass
    if comma and "." not in text and not _SEPARATORS.search(text):
        try:
            return float(text.replace(",", "."))
        except ValueError:
            pass
    if _GROUPED[comma].fullmatch(text):
        plain = _SEPARATORS.sub("", text).replace("." if comma else ",", "")
        return float(plain.replace(",", "."))
    known = _BOOLEANS.get(text.casefold())
    if known is None:
        raise ValueError(_why(text, comma))
    return known


def _why(text: str, comma: bool) -> str:
    if not comma and _WITH_COMMA.fullmatch(text):
        return f"{text[:80]!r} is no number with a decimal point: say decimalComma if that is what its comma is"
    if comma and _WITH_POINT.fullmatch(text):
        return f"{text[:80]!r} is no number with a decimal comma, which is what this file has"
    return f"{text[:80]!r} is no number"


def has_decimal_comma(texts: Iterable[str], delimiter: str) -> bool:
    """Whether the numbers at the beginning of a file are with a comma; `1,234` alone says so only where it is not the
    delimiter that is."""
    found = False
    for text in texts:
        if len(text) > LENGTH_MAX:
            continue
        if _WITH_POINT.fullmatch(text) and not _THOUSANDS.fullmatch(text):
            return False
        found = found or bool(_WITH_COMMA.fullmatch(text) and not (delimiter == "," and _THOUSANDS.fullmatch(text)))
    return found

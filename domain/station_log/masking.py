"""What nobody may read in a log: keys, passwords, credentials in addresses.

Most of what stations say holds none of them, which is found out by a look at the text. Only what might is taken apart.
A secret that was found once is not shown again on that line wherever it stands, such as in a station's complaint that
it does not like it. The uids of tokens are no secrets: without them nobody can help.
"""

import json
import re
from typing import Any, Final

import orjson

MASK: Final = "********"

_SUSPECT: Final = ("pass", "secret", "key", "://", "pwd", "bearer", "simpin", "credential", "accesst")
_NAMES: Final = (
    *("password", "passwd", "passphrase", "passcode", "pwd", "secret", "authorizationkey", "privatekey", "apikey"),
    *("vpnkey", "simpin", "bearer", "credential", "accesstoken"),
)
_VALUES: Final = ("value", "data")
_NAMED_BY: Final = ("key", "name", "variable", "variablename", "parameter")
_USER: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#\"'<>]*@")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_SIGNATURE: Final = re.compile(
    r"([?&][^=&\s\"']*(?:sig|token|key|secret|pass|pwd|credential)[^=&\s\"']*=)[^&#\s\"']+", re.IGNORECASE
)
_SAID: Final = re.compile(r"[:=\"']")
_PRIVATE: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_LETTERS: Final = re.compile(r"[^a-z0-9]+")
_KNOWN: Final = 16
_KNOWN_MIN_CHARS: Final = 6  # what is shorter stands anywhere by chance
_TOO_DEEP: Final = 100


class Secrets:
    """Of one line, in the order of what was said on it."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def masked(self, payload: Any) -> str:
        """As JSON; a text stays one."""
        if isinstance(payload, str):
            return self.hidden_in(self._unreadable(payload))
        text = written(payload)
        return self.hidden_in(written(self._of(payload)) if _is_suspect(text) else text)

    def hidden_in(self, text: str) -> str:
        """Without those that are known."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        return text

    def _unreadable(self, text: str) -> str:
        """In what cannot be read, nobody knows what belongs to what, nor what would have come: a value may stand before
        its name. Those of meters are none that matter."""
        parsed = _parsed(text)
        if parsed is not None:
            return written(self._of(parsed))
        if not _is_suspect(text) and ("value" not in text.lower() or "sampledvalue" in text.lower()):
            return text
        return f"{MASK} ({len(text)} characters that may hold secrets)"

    def _of(self, value: Any, *, secret: bool = False, named: bool = False, within: str = "", depth: int = 0) -> Any:
        """`secret`: whatever it is; `named`: its values are."""
        if depth > _TOO_DEEP:
            return MASK
        if isinstance(value, dict):
            named = named or _names_a_secret(value)
            return {
                key: self._of(
                    item,
                    secret=secret or _is_secret(_plain(key), within) or (named and _plain(key).endswith(_VALUES)),
                    named=named,
                    within=_plain(key),
                    depth=depth + 1,
                )
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._of(one, secret=secret, named=named, within=within, depth=depth + 1) for one in value]
        if value is None or isinstance(value, bool):
            return value
        if secret:
            self._remember(str(value))
            return MASK
        return self._of_text(value, depth) if isinstance(value, str) else value

    def _of_text(self, text: str, depth: int) -> str:
        """JSON in a string (DataTransfer), an address, or a sentence."""
        if not _is_suspect(text):
            return text
        if _PRIVATE.search(text):
            return MASK
        parsed = _parsed(text)
        if parsed is not None:
            return written(self._of(parsed, depth=depth + 1))
        besides = _ADDRESS.sub("", text)
        if _SAID.search(besides) and _is_secret(_plain(besides)):
            return MASK
        return _SIGNATURE.sub(rf"\1{MASK}", _USER.sub(rf"\1{MASK}@", text))

    def _remember(self, secret: str) -> None:
        for form in dict.fromkeys((secret, written(secret)[1:-1])):
            if len(form) >= _KNOWN_MIN_CHARS and form not in self._known:
                self._known = (*self._known, form)[-_KNOWN:]


def holds_secrets(payload: Any) -> bool:
    """Whether something of it may not be shown."""
    return Secrets().masked(payload) != written(payload)


def written(payload: Any) -> str:
    try:
        return orjson.dumps(payload, default=repr).decode()
    except TypeError:  # an integer beyond 64 bits, half a surrogate pair, deep nesting
        return _written_leniently(payload)


def _written_leniently(payload: Any) -> str:
    try:
        return json.dumps(payload, default=repr)
    except (ValueError, RecursionError):
        return f'"{MASK}"'


def _parsed(text: str) -> Any:
    """What JSON holds other values; None for all else."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict | list) else None


def _is_suspect(text: str) -> bool:
    text = text.lower()
    for word in _SUSPECT:  # noqa: SIM110 -- any() takes twice as long, and every entry comes by here
        if word in text:
            return True
    return False


def _plain(name: object) -> str:
    return _LETTERS.sub("", str(name).lower())


def _is_secret(name: str, within: str = "") -> bool:
    return any(word in name for word in _NAMES) or (name == "key" and within == "vpn")


def _names_a_secret(value: dict[Any, Any]) -> bool:
    """`{key, value}` of 1.6, `{variable: {name}, attributeValue}` of 2.x, and what vendors make of it."""
    for key, item in value.items():
        if _plain(key) in _NAMED_BY:
            name = item.get("name") if isinstance(item, dict) else item
            if isinstance(name, str) and _is_secret(_plain(name)):
                return True
    return False

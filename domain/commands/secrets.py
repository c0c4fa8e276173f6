"""What of an order and its answer nobody is shown: passwords, wherever they stand."""

from collections.abc import Mapping
from typing import Any

MASK = "********"

# The settings that hold a station's password, in 1.6 (security whitepaper) and in 2.x; instances behind a slash
_SETTINGS = frozenset({"authorizationkey", "basicauthpassword"})
_FIELDS = frozenset({"password", "pre_shared_key", "sim_pin"})


def is_secret(key: str) -> bool:
    return key.rpartition(".")[2].partition("/")[0].strip().casefold() in _SETTINGS


def without_secrets(said: Any) -> Any:
    """The value of a secret setting (beside its `key` or `variable`, or under its name), and fields that hold one."""
    if isinstance(said, list):
        return [without_secrets(one) for one in said]
    if not isinstance(said, Mapping):
        return said
    hides_value = is_secret(str(said.get("key") or said.get("variable") or ""))
    return {name: _shown(name, value, hides_value=hides_value) for name, value in said.items()}


def _shown(name: str, value: Any, *, hides_value: bool) -> Any:
    if value is None:
        return None
    if name in _FIELDS or (name == "value" and hides_value):
        return MASK
    if is_secret(name) and isinstance(value, Mapping):
        return {**value, "value": MASK}
    return without_secrets(value)

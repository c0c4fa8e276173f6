"""Payloads between JSON and the dataclasses of the `ocpp` package, by what the schema says of each key.

Inbound, a field holds what its annotation names: in 2.x nested objects are dataclasses of `datatypes`, in 1.6 (where
the package says `Dict` and `List`) they are dicts with snake_case keys. Enumerations stay strings, for stations invent
values. `customData`, `signedMeterValue` and everything a schema leaves open (`data`) is kept as it came; keys that no
schema knows are dropped here and stay in the raw payload. A required field that is missing (see `tolerance.WAIVED`) is
None.

Outbound, dataclasses (also of another version, which spells some names differently) and dicts of either spelling become
camelCase without None; a `datetime` becomes UTC with Z and
milliseconds.
"""

import re
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from typing import Any, Final

from gateways.ocpp.times import stamp

OPAQUE: Final = frozenset({"customData", "signedMeterValue"})


class Shape:
    """One object of a message: how its keys are called on either side, and what stands below them."""

    __slots__ = ("_back", "_below", "_loosely", "_must", "_names", "_type", "required")

    def __init__(self, schema: Mapping[str, Any], root: Mapping[str, Any], type_: type | None) -> None:
        self._type = type_
        self._names: dict[str, str] = {}
        self._below: dict[str, Shape] = {}
        hints = typing.get_type_hints(type_) if type_ else {}
        by_letters = {_letters(name): name for name in hints}
        for key, below in schema.get("properties", {}).items():
            name = by_letters.get(_letters(key)) if type_ else snake(key)
            if name is None:
                continue  # the package forgot it; the raw payload has it
            self._names[key] = name
            target = _object_of(below, root)
            if target is not None and key not in OPAQUE:
                self._below[key] = Shape(target, root, _dataclass_in(hints.get(name)))
        self._back = {name: key for key, name in self._names.items()}
        self._loosely = {_letters(key): key for key in self._names}
        self.required = frozenset(schema.get("required", ()))
        self._must = frozenset(self._names[key] for key in self.required if key in self._names) | _demanded(type_)

    def below(self, key: str) -> "Shape | None":
        return self._below.get(key)

    def read(self, value: Any) -> Any:
        """A payload (or a list of them) as the dataclass or dict that handlers get."""
        if isinstance(value, list):
            return [self.read(item) for item in value]
        if not isinstance(value, dict):
            return value
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = self._names.get(key)
            if name is None or item is None:
                continue
            below = self._below.get(key)
            found[name] = item if below is None else below.read(item)
        for name in self._must:
            found.setdefault(name, None)
        return found if self._type is None else self._type(**found)

    def write(self, value: Any) -> Any:
        """A dataclass, dict or list of them as a payload."""
        if isinstance(value, list | tuple):
            return [self.write(item) for item in value if item is not None]
        items = _items(value)
        if items is None:
            return _scalar(value)
        payload: dict[str, Any] = {}
        for name, item in items.items():
            if item is None:
                continue
            key = self._back.get(name) or self._loosely.get(_letters(name), name)
            below = self._below.get(key)
            payload[key] = _plain(item) if below is None else below.write(item)
        return payload


def _demanded(type_: type | None) -> set[str]:
    """The package demands some fields of 1.6's security messages that the standard leaves out as one likes."""
    if type_ is None or not is_dataclass(type_):
        return set()
    return {field.name for field in fields(type_) if field.default is MISSING and field.default_factory is MISSING}


def snake(key: str) -> str:
    """As the `ocpp` package spells its fields."""
    key = key.replace("V2X", "_v2x").replace("V2G", "_v2g")
    key = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", key)
    return re.sub(r"([a-z0-9])([A-Z])(?=\S)", r"\1_\2", key).lower()


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _object_of(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The object schema that a property, or each item of it, has."""
    while "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("type") == "array":
        return _object_of(schema.get("items", {}), root)
    return schema if "properties" in schema else None


def _dataclass_in(hint: Any) -> type | None:
    """`X` of `X`, `Optional[X]`, `List[X]`, if it is a dataclass."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    found = (_dataclass_in(argument) for argument in typing.get_args(hint))
    return next((type_ for type_ in found if type_ is not None), None)


def _items(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, dict):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def _plain(value: Any) -> Any:
    """What a schema leaves open goes out as it is."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    return stamp(value) if isinstance(value, datetime) else value

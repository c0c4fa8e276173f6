"""The messages of each version: the `ocpp` package's schema files, compiled when first needed, and its dataclasses."""

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final

import jsonschema_rs

from domain.errors import Invalid
from domain.station_log import holds_secrets
from gateways.ocpp.deviations import Deviation
from gateways.ocpp.frames import Payload, Version
from gateways.ocpp.payloads import Shape
from gateways.ocpp.tolerance import mended, words


class Kind(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"


_PACKAGES: Final = {Version.V16: "ocpp.v16", Version.V201: "ocpp.v201", Version.V21: "ocpp.v21"}
_MODULES: Final = {Kind.REQUEST: "call", Kind.RESPONSE: "call_result"}
_REQUEST: Final = "Request"
_RESPONSE: Final = "Response"
SENDS: Final = {(Version.V21, "NotifyPeriodicEventStream")}  # unconfirmed, and named without a suffix


@dataclass(frozen=True, slots=True)
class Reading:
    """A payload understood: the package's dataclass (a dict where it has none), and what had to be forgiven."""

    message: Any
    deviations: Sequence[Deviation] = ()


class Form:
    """One message of one version in one direction."""

    def __init__(self, action: str, schema: dict[str, Any], type_: type | None) -> None:
        self.action = action
        self._validator = jsonschema_rs.validator_for(schema, validate_formats=False)
        self._shape = Shape(schema, schema, type_)

    def read(self, payload: Payload) -> Reading:
        """Raises `Fault` when the message cannot be used."""
        if self._validator.is_valid(payload):
            return Reading(self._shape.read(payload))
        payload, deviations = mended(self.action, payload, self._validator, self._shape)
        return Reading(self._shape.read(payload), deviations)

    def write(self, message: Any) -> Payload:
        payload: Payload = self._shape.write(message)
        return payload

    def check(self, payload: Payload) -> None:
        """Raises `Invalid` for a payload of our own that breaks the standard."""
        if self._validator.is_valid(payload):
            return
        error = next(self._validator.iter_errors(payload), None)
        if error is not None:
            field = ".".join(str(key) for key in error.instance_path)
            wrong = words(error, confidential=holds_secrets(payload))
            raise Invalid(f"{self.action} {field}: {wrong}".replace(" :", ":"), field=field)


@cache  # bounded by the versions' messages: `actions` is asked first
def form(version: Version, action: str, kind: Kind) -> Form:
    module = importlib.import_module(f"{_PACKAGES[version]}.{_MODULES[kind]}")
    file = resources.files(_PACKAGES[version]) / "schemas" / f"{action}{_suffix(version, action, kind)}.json"
    return Form(action, json.loads(file.read_text(encoding="utf-8-sig")), getattr(module, action, None))


@cache
def actions(version: Version) -> frozenset[str]:
    """Every action that the version knows, whoever may send it."""
    files = (resources.files(_PACKAGES[version]) / "schemas").iterdir()
    names = (file.name.removesuffix(".json") for file in files if file.name.endswith(".json"))
    return frozenset(name.removesuffix(_REQUEST) for name in names if not name.endswith(_RESPONSE))


def _suffix(version: Version, action: str, kind: Kind) -> str:
    if kind is Kind.RESPONSE:
        return _RESPONSE
    return "" if version is Version.V16 or (version, action) in SENDS else _REQUEST

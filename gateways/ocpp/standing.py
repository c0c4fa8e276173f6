"""How a station was last told that it stands with us, and what it may therefore say (OCPP 2.0.1 B01 to B03).

What it says of a charge is taken in any case: it has happened, and a station that is refused drops it in the end.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from domain.stations import Registration
from gateways.ocpp.frames import TRANSACTION_ACTIONS, Code, Fault, Version

_ALWAYS: Final = frozenset({"BootNotification", "SecurityEventNotification", *TRANSACTION_ACTIONS})

# OCPP 1.6 knows no refusal here. No card is accepted, which is an answer; an error might be taken for being offline,
# when some stations let anybody charge. And a station without the time could not write down what it does.
_IN_16: Final = frozenset({"Authorize", "Heartbeat"})

# What a station says because we have asked it to, and may say while it is pending.
_ANSWERED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "GetBaseReport": ("NotifyReport",),
    "GetReport": ("NotifyReport",),
    "GetMonitoringReport": ("NotifyMonitoringReport",),
    "CustomerInformation": ("NotifyCustomerInformation",),
    "GetLog": ("LogStatusNotification",),
    "GetDiagnostics": ("DiagnosticsStatusNotification",),
    "UpdateFirmware": ("FirmwareStatusNotification",),
    "SignedUpdateFirmware": ("SignedFirmwareStatusNotification",),
    "DataTransfer": ("DataTransfer",),
}
_TRIGGERS: Final = frozenset({"TriggerMessage", "ExtendedTriggerMessage"})


class Standing:
    """For one socket. `booted` is set when the station has booted on it, `is_read` while we ask for its settings."""

    def __init__(self, registration: Registration) -> None:
        """As the house sees the station; one that does not boot was told so on another socket."""
        self._registration = registration
        self._asked_for: set[str] = set()
        self.booted = asyncio.Event()
        self.is_read = False

    def told(self, registration: Registration) -> None:
        """What its BootNotification is answered."""
        self._registration = registration
        self.booted.set()

    def asked(self, action: str, payload: Mapping[str, Any]) -> None:
        """A call of ours, as it goes out."""
        if action in _TRIGGERS:
            wanted = str(payload.get("requestedMessage"))
            self._asked_for.add("SignCertificate" if wanted.startswith("Sign") else wanted)
        self._asked_for.update(_ANSWERED_BY.get(action, ()))

    def check(self, version: Version, action: str) -> None:
        """Raises the `Fault` for what a station may not say yet."""
        if self._registration is Registration.ACCEPTED or action in _ALWAYS:
            return
        if version is Version.V16 and action in _IN_16:
            return
        if self._registration is Registration.PENDING and action in self._asked_for:
            return
        raise Fault(Code.SECURITY_ERROR, f"the station is {self._registration.lower()}: it may not say this yet")

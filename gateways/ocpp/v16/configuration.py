"""OCPP 1.6, 5.8 and chapter 9: the settings of a station, all at once or, where it cannot, those that we need."""

from collections.abc import Sequence
from typing import Any, Final

from ocpp.v16 import call

from gateways.ocpp.link import Line, Refused
from gateways.ocpp.onboarding import Configuration

_MAX_KEYS: Final = "GetConfigurationMaxKeys"
_CONNECTORS: Final = "NumberOfConnectors"  # a station that does not tell this has not told all
_NEEDED: Final = (
    _CONNECTORS,
    "SupportedFeatureProfiles",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "MaxChargingProfilesInstalled",
    "ConnectorSwitch3to1PhaseSupported",
    "HeartbeatInterval",
    "WebSocketPingInterval",
    "MeterValueSampleInterval",
    "MeterValuesSampledData",
    "ClockAlignedDataInterval",
    "MeterValuesAlignedData",
    "StopTxnSampledData",
    "StopTxnAlignedData",
    "AuthorizeRemoteTxRequests",
    "AuthorizationCacheEnabled",
    "AllowOfflineTxForUnknownId",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "LocalAuthListEnabled",
    "LocalAuthListMaxLength",
    "SendLocalListMaxLength",
    "ReserveConnectorZeroSupported",
    "ConnectionTimeOut",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "SecurityProfile",
)
_FEW: Final = 5  # keys at a time where it does not say how many it takes

Told = dict[str, str | None]


async def read(line: Line) -> Configuration:
    try:
        told = await _ask(line)
    except Refused:
        told = {}
    if _CONNECTORS not in told:
        told |= await _ask(line, [_MAX_KEYS])
        at_once = _number(told.get(_MAX_KEYS)) or _FEW
        for begin in range(0, len(_NEEDED), at_once):
            told |= await _ask(line, _NEEDED[begin : begin + at_once])
    return Configuration(told, evses=_number(told.get(_CONNECTORS)))


async def _ask(line: Line, keys: Sequence[str] | None = None) -> Told:
    answer: Any = await line.call(call.GetConfiguration(key=None if keys is None else list(keys)))
    return {entry["key"]: entry.get("value") for entry in answer.configuration_key or []}


def _number(written: str | None) -> int | None:
    return int(written) if written is not None and written.strip().isdecimal() and int(written) > 0 else None

"""What an OCPP 1.6 server may ask of a station."""

from collections.abc import Callable

from gateways.sim import reservations
from gateways.sim.charger import Charger, Reset
from gateways.sim.outlet import Card, Order, Outlet, Reason
from gateways.sim.settings import Kind, Setting, read, write
from gateways.sim.wire import Answer, Payload

KEYS = {
    "AuthorizationCacheEnabled": Setting(fixed="true"),
    "AuthorizeRemoteTxRequests": Setting(fixed="false"),
    "ClockAlignedDataInterval": Setting(fixed="0"),
    "ConnectionTimeOut": Setting(Kind.INTEGER, "connection_timeout_s", writable=True),
    "ConnectorPhaseRotation": Setting(fixed="0.RST"),
    "GetConfigurationMaxKeys": Setting(fixed="50"),
    "HeartbeatInterval": Setting(Kind.INTEGER, "heartbeat_s", writable=True),
    "LocalAuthorizeOffline": Setting(Kind.BOOLEAN, "authorizes_offline", writable=True),
    "LocalPreAuthorize": Setting(fixed="false"),
    "MeterValueSampleInterval": Setting(Kind.INTEGER, "meter_interval_s", writable=True),
    "MeterValuesAlignedData": Setting(fixed=""),
    "MeterValuesSampledData": Setting(Kind.MEASURANDS, "sampled", writable=True),
    "NumberOfConnectors": Setting(),
    "ReserveConnectorZeroSupported": Setting(fixed="true"),
    "ResetRetries": Setting(fixed="1"),
    "StopTransactionOnEVSideDisconnect": Setting(fixed="true"),
    "StopTransactionOnInvalidId": Setting(Kind.BOOLEAN, "stops_on_invalid_token", writable=True),
    "StopTxnAlignedData": Setting(fixed=""),
    "StopTxnSampledData": Setting(Kind.MEASURANDS, "sampled_at_end", writable=True),
    "SupportedFeatureProfiles": Setting(fixed="Core,RemoteTrigger,Reservation"),
    "TransactionMessageAttempts": Setting(Kind.INTEGER, "attempts", writable=True),
    "TransactionMessageRetryInterval": Setting(Kind.INTEGER, "retry_s", writable=True),
    "UnlockConnectorOnEVSideDisconnect": Setting(fixed="true"),
    "WebSocketPingInterval": Setting(Kind.INTEGER, "ping_s", writable=True),
}


def remote_start(charger: Charger, request: Payload) -> Answer:
    card = Card(request["idTag"])
    outlet = charger.outlet_for(card, request.get("connectorId"))
    if outlet is None:
        return Answer({"status": "Rejected"})
    order = Order(card)
    return Answer({"status": "Accepted"}, then=lambda: charger.order(outlet, order))


def remote_stop(charger: Charger, request: Payload) -> Answer:
    outlet = charger.outlet_charging(str(request["transactionId"]))
    if outlet is None:
        return Answer({"status": "Rejected"})
    return Answer({"status": "Accepted"}, then=lambda: charger.stop(outlet, Reason.REMOTE))


def reset(charger: Charger, request: Payload) -> Answer:
    kind = {"Soft": Reset.SOFT, "Hard": Reset.HARD}[request["type"]]
    return Answer({"status": "Accepted"}, then=lambda: charger.reset(kind))


def unlock(charger: Charger, request: Payload) -> Answer:
    outlet = charger.outlet(request["connectorId"])
    if outlet is None or not charger.make.has_socket:
        return Answer({"status": "NotSupported"})
    return Answer({"status": "Unlocked"}, then=lambda: charger.stop(outlet, Reason.UNLOCK))


def change_availability(charger: Charger, request: Payload) -> Answer:
    operative = {"Operative": True, "Inoperative": False}[request["type"]]
    outlet = charger.outlet(request["connectorId"])
    if outlet is None and request["connectorId"] != 0:
        return Answer({"status": "Rejected"})
    scheduled = charger.busy(outlet) and not operative
    return Answer(
        {"status": "Scheduled" if scheduled else "Accepted"},
        then=lambda: charger.put_in_service(outlet, operative=operative),
    )


def trigger(charger: Charger, request: Payload) -> Answer:
    handler = TRIGGERS.get(request["requestedMessage"])
    if handler is None:
        return Answer({"status": "NotImplemented"})
    number = request.get("connectorId")
    if number and charger.outlet(number) is None:
        return Answer({"status": "Rejected"})
    outlets = charger.outlets if not number else [outlet for outlet in charger.outlets if outlet.number == number]
    own = number in (None, 0)
    return Answer({"status": "Accepted"}, then=lambda: handler(charger, [] if number == 0 else outlets, own))


def _trigger_boot(charger: Charger, outlets: list[Outlet], own: bool) -> None:
    charger.boot_asked.set()


def _trigger_heartbeat(charger: Charger, outlets: list[Outlet], own: bool) -> None:
    charger.spawn(charger.link.call("Heartbeat", {}))


def _trigger_status(charger: Charger, outlets: list[Outlet], own: bool) -> None:
    for outlet in [*([None] if own else []), *outlets]:
        call = charger.dialect.status(charger, outlet)
        if call is not None:
            charger.spawn(charger.link.call(*call))


def _trigger_meter(charger: Charger, outlets: list[Outlet], own: bool) -> None:
    for outlet in outlets:
        charger.meter(outlet, triggered=True)


TRIGGERS: dict[str, Callable[[Charger, list[Outlet], bool], None]] = {
    "BootNotification": _trigger_boot,
    "Heartbeat": _trigger_heartbeat,
    "StatusNotification": _trigger_status,
    "MeterValues": _trigger_meter,
}


def get_configuration(charger: Charger, request: Payload) -> Answer:
    wanted = request.get("key") or list(KEYS)
    known = [
        {"key": key, "readonly": not KEYS[key].writable, "value": value_of(charger, key)}
        for key in wanted
        if key in KEYS
    ]
    return Answer({"configurationKey": known, "unknownKey": [key for key in wanted if key not in KEYS]})


def value_of(charger: Charger, key: str) -> str:
    return str(len(charger.outlets)) if key == "NumberOfConnectors" else read(charger.settings, KEYS[key])


def change_configuration(charger: Charger, request: Payload) -> Answer:
    setting = KEYS.get(request["key"])
    if setting is None:
        return Answer({"status": "NotSupported"})
    if not setting.writable or not write(charger.settings, setting, request["value"]):
        return Answer({"status": "Rejected"})
    charger.settings_changed()
    return Answer({"status": "Accepted"})


def data_transfer(charger: Charger, request: Payload) -> Answer:
    own = request["vendorId"] == charger.make.vendor
    return Answer({"status": "UnknownMessageId" if own else "UnknownVendorId"})


def clear_cache(charger: Charger, request: Payload) -> Answer:
    return Answer({"status": "Accepted"}, then=charger.cards.clear)


def reserve_now(charger: Charger, request: Payload) -> Answer:
    """Connector 0 is any."""
    return reservations.reserve(
        charger,
        request["reservationId"],
        uid=request["idTag"],
        until=request["expiryDate"],
        outlet_number=request["connectorId"] or None,
    )


def cancel_reservation(charger: Charger, request: Payload) -> Answer:
    return reservations.cancel(charger, request["reservationId"])


HANDLERS: dict[str, Callable[[Charger, Payload], Answer]] = {
    "RemoteStartTransaction": remote_start,
    "RemoteStopTransaction": remote_stop,
    "Reset": reset,
    "UnlockConnector": unlock,
    "ChangeAvailability": change_availability,
    "TriggerMessage": trigger,
    "GetConfiguration": get_configuration,
    "ChangeConfiguration": change_configuration,
    "DataTransfer": data_transfer,
    "ClearCache": clear_cache,
    "ReserveNow": reserve_now,
    "CancelReservation": cancel_reservation,
}

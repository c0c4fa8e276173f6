"""What an OCPP 2.0.1 server may ask of a station."""

from collections.abc import Callable

from gateways.sim import device_model, reservations, v201_messages
from gateways.sim.charger import Charger, Reset
from gateways.sim.outlet import Card, Order, Outlet, Reason
from gateways.sim.wire import Answer, Payload, Refusal


def request_start(charger: Charger, request: Payload) -> Answer:
    token = request["idToken"]
    card = Card(token["idToken"], token["type"])
    outlet = charger.outlet_for(card, request.get("evseId"))
    if outlet is None:
        return Answer({"status": "Rejected"})
    order = Order(card, remote_start_id=request["remoteStartId"])
    return Answer({"status": "Accepted"}, then=lambda: charger.order(outlet, order))


def request_stop(charger: Charger, request: Payload) -> Answer:
    outlet = charger.outlet_charging(request["transactionId"])
    if outlet is None:
        return Answer({"status": "Rejected"})
    return Answer({"status": "Accepted"}, then=lambda: charger.stop(outlet, Reason.REMOTE))


def reset(charger: Charger, request: Payload) -> Answer:
    """Of the whole station: one EVSE alone it cannot reset (no AllowReset in its device model), nor resume (2.1)."""
    kind = {"Immediate": Reset.IMMEDIATE, "OnIdle": Reset.ON_IDLE, "ImmediateAndResume": None}[request["type"]]
    if kind is None or "evseId" in request:
        return Answer({"status": "Rejected"})
    scheduled = kind is Reset.ON_IDLE and charger.busy(None)
    return Answer({"status": "Scheduled" if scheduled else "Accepted"}, then=lambda: charger.reset(kind))


def unlock(charger: Charger, request: Payload) -> Answer:
    """An authorized transaction is never broken by it (F05.FR.02); an attached cable has no lock."""
    outlet = charger.outlet(request["evseId"])
    if outlet is None or request["connectorId"] != 1:
        return Answer({"status": "UnknownConnector"})
    if outlet.session is not None:
        return Answer({"status": "OngoingAuthorizedTransaction"})
    return Answer({"status": "Unlocked" if charger.make.has_socket else "UnlockFailed"})


def change_availability(charger: Charger, request: Payload) -> Answer:
    operative = {"Operative": True, "Inoperative": False}[request["operationalStatus"]]
    number = request.get("evse", {}).get("id", 0)
    outlet = charger.outlet(number)
    if outlet is None and number != 0:
        return Answer({"status": "Rejected"})
    scheduled = charger.busy(outlet) and not operative
    return Answer(
        {"status": "Scheduled" if scheduled else "Accepted"},
        then=lambda: charger.put_in_service(outlet, operative=operative),
    )


def trigger(charger: Charger, request: Payload) -> Answer:
    wanted, evse = request["requestedMessage"], request.get("evse", {})
    act = TRIGGERS.get(wanted)
    if act is None:
        return Answer({"status": "NotImplemented"})
    outlets = [outlet for outlet in charger.outlets if evse.get("id", 0) in (0, outlet.number)]
    if wanted == "TransactionEvent":
        outlets = [outlet for outlet in outlets if outlet.session]
    refused = (
        not outlets
        or (wanted == "BootNotification" and charger.registration == "Accepted")  # F06.FR.17
        or (wanted == "StatusNotification" and "connectorId" not in evse)  # F06.FR.12
    )
    return Answer({"status": "Rejected"}) if refused else Answer({"status": "Accepted"}, lambda: act(charger, outlets))


def _boot(charger: Charger, outlets: list[Outlet]) -> None:
    charger.boot_asked.set()


def _heartbeat(charger: Charger, outlets: list[Outlet]) -> None:
    charger.spawn(charger.link.call("Heartbeat", {}))


def _status(charger: Charger, outlets: list[Outlet]) -> None:
    for outlet in outlets:
        if call := charger.dialect.status(charger, outlet):
            charger.spawn(charger.link.call(*call))


def _meter_values(charger: Charger, outlets: list[Outlet]) -> None:
    for outlet in outlets:
        outlet.advance(charger.now_s)
        if call := v201_messages.outside_transaction(charger, outlet, charger.read(outlet)):
            charger.spawn(charger.link.call(*call))


def _transaction_event(charger: Charger, outlets: list[Outlet]) -> None:
    for outlet in outlets:
        charger.meter(outlet, triggered=True)


TRIGGERS: dict[str, Callable[[Charger, list[Outlet]], None]] = {
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "StatusNotification": _status,
    "MeterValues": _meter_values,
    "TransactionEvent": _transaction_event,
}


def get_variables(charger: Charger, request: Payload) -> Answer:
    return Answer({"getVariableResult": [device_model.get(charger, one) for one in _few(request["getVariableData"])]})


def set_variables(charger: Charger, request: Payload) -> Answer:
    results = [device_model.put(charger, item) for item in _few(request["setVariableData"])]
    return Answer({"setVariableResult": results}, then=charger.settings_changed)


def _few(items: list[Payload]) -> list[Payload]:
    """B06.FR.16: more than ItemsPerMessage is an error of the server's."""
    if len(items) > device_model.ITEMS_PER_MESSAGE:
        raise Refusal("OccurrenceConstraintViolation", f"more than {device_model.ITEMS_PER_MESSAGE} items")
    return items


def get_base_report(charger: Charger, request: Payload) -> Answer:
    if request["reportBase"] == "SummaryInventory":
        return Answer({"status": "NotSupported"})
    return Answer(
        {"status": "Accepted"},
        then=lambda: charger.spawn(
            _report(
                charger,
                request["requestId"],
                device_model.inventory(charger, writable_only=request["reportBase"] == "ConfigurationInventory"),
            )
        ),
    )


def get_report(charger: Charger, request: Payload) -> Answer:
    """It knows no criteria (B08.FR.05)."""
    if "componentCriteria" in request:
        return Answer({"status": "NotSupported"})
    named = device_model.matching(charger, request.get("componentVariable"))
    if not named:
        return Answer({"status": "EmptyResultSet"})
    return Answer({"status": "Accepted"}, then=lambda: charger.spawn(_report(charger, request["requestId"], named)))


async def _report(charger: Charger, request_id: int, variables: list[device_model.Variable]) -> None:
    for part in device_model.reports(charger, variables, request_id=request_id):
        await charger.link.call("NotifyReport", part)


def set_network_profile(charger: Charger, request: Payload) -> Answer:
    """It stays where it is."""
    return Answer({"status": "Rejected"})


def reserve_now(charger: Charger, request: Payload) -> Answer:
    if request.get("connectorType") not in (None, charger.make.connector_type):
        return Answer({"status": "Rejected"})
    return reservations.reserve(
        charger,
        request["id"],
        uid=request["idToken"]["idToken"],
        until=request["expiryDateTime"],
        outlet_number=request.get("evseId"),
    )


def cancel_reservation(charger: Charger, request: Payload) -> Answer:
    return reservations.cancel(charger, request["reservationId"])


def transaction_status(charger: Charger, request: Payload) -> Answer:
    wanted = request.get("transactionId")
    if wanted is None:
        return Answer({"messagesInQueue": charger.outbox.holds(None)})
    ongoing = charger.outlet_charging(wanted) is not None
    return Answer({"ongoingIndicator": ongoing, "messagesInQueue": charger.outbox.holds(wanted)})


def data_transfer(charger: Charger, request: Payload) -> Answer:
    own = request["vendorId"] == charger.make.vendor
    return Answer({"status": "UnknownMessageId" if own else "UnknownVendorId"})


def clear_cache(charger: Charger, request: Payload) -> Answer:
    return Answer({"status": "Accepted"}, then=charger.cards.clear)


HANDLERS: dict[str, Callable[[Charger, Payload], Answer]] = {
    "RequestStartTransaction": request_start,
    "RequestStopTransaction": request_stop,
    "Reset": reset,
    "UnlockConnector": unlock,
    "ChangeAvailability": change_availability,
    "TriggerMessage": trigger,
    "GetVariables": get_variables,
    "SetVariables": set_variables,
    "GetBaseReport": get_base_report,
    "GetReport": get_report,
    "SetNetworkProfile": set_network_profile,
    "ReserveNow": reserve_now,
    "CancelReservation": cancel_reservation,
    "GetTransactionStatus": transaction_status,
    "DataTransfer": data_transfer,
    "ClearCache": clear_cache,
}

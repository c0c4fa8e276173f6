"""OCPP 2.0.1 messages of a station, built from what has happened."""

from gateways.sim.charger import Call, Charger
from gateways.sim.outlet import Card, Cause, Outlet, Reading, Reason, Session, Status
from gateways.sim.settings import ENERGY
from gateways.sim.wire import Payload, moment

CHARGING_STATE = {Status.CHARGING: "Charging", Status.SUSPENDED_EV: "SuspendedEV"}
STARTED_BY = {Cause.CARD: "Authorized", Cause.CABLE: "CablePluggedIn", Cause.REMOTE: "RemoteStart"}
# stoppedReason and triggerReason
STOPPED_BY = {
    Reason.LOCAL: ("Local", "StopAuthorized"),
    Reason.REMOTE: ("Remote", "RemoteStop"),
    Reason.EV_DISCONNECTED: ("EVDisconnected", "EVDeparted"),
    Reason.TARGET_REACHED: ("SOCLimitReached", "ChargingStateChanged"),
    Reason.SOFT_RESET: ("ImmediateReset", "ResetCommand"),
    Reason.HARD_RESET: ("ImmediateReset", "ResetCommand"),
    Reason.UNLOCK: ("Other", "UnlockCommand"),
    Reason.POWER_LOSS: ("PowerLoss", "AbnormalCondition"),
    Reason.DEAUTHORIZED: ("DeAuthorized", "Deauthorized"),
}


def id_token(card: Card) -> Payload:
    return {"idToken": card.uid, "type": card.kind}


def meter_values(reading: Reading, *, measurands: tuple[str, ...], context: str) -> list[Payload]:
    """Empty where nothing of the reading is wanted."""
    sampled = []
    for value in reading.values:
        if value.measurand not in measurands:
            continue
        sample = {
            "value": value.value,
            "context": context,
            "measurand": value.measurand,
            "location": value.location,
            "unitOfMeasure": {"unit": value.unit},
        }
        sampled.append(sample | ({"phase": value.phase} if value.phase else {}))
    return [{"timestamp": moment(reading.at), "sampledValue": sampled}] if sampled else []


def started(charger: Charger, session: Session, reading: Reading) -> Call:
    """The only event of a transaction that names the EVSE."""
    event = _event(charger, session, reading, "Started", STARTED_BY[session.cause], state="EVConnected")
    if session.remote_start_id is not None:
        event["transactionInfo"]["remoteStartId"] = session.remote_start_id
    if session.reservation is not None:
        event["reservationId"] = session.reservation
    event["evse"] = {"id": session.outlet, "connectorId": 1}
    event["idToken"] = id_token(session.card)
    event["meterValue"] = meter_values(reading, measurands=(ENERGY,), context="Transaction.Begin")
    return "TransactionEvent", event


def changed(charger: Charger, outlet: Outlet, session: Session) -> Call:
    state = CHARGING_STATE.get(outlet.status, "EVConnected")
    return "TransactionEvent", _event(
        charger, session, charger.read(outlet), "Updated", "ChargingStateChanged", state=state
    )


def metered(charger: Charger, outlet: Outlet, session: Session, reading: Reading, *, triggered: bool) -> Call | None:
    context, trigger = ("Trigger", "Trigger") if triggered else ("Sample.Periodic", "MeterValuePeriodic")
    values = meter_values(reading, measurands=charger.settings.sampled, context=context)
    if not values and not triggered:
        return None
    state = CHARGING_STATE.get(outlet.status, "EVConnected")
    event = _event(charger, session, reading, "Updated", trigger, state=state)
    return "TransactionEvent", event | ({"meterValue": values} if values else {})


def stopped(charger: Charger, session: Session, reading: Reading, reason: Reason) -> Call:
    stopped_reason, trigger = STOPPED_BY[reason]
    event = _event(charger, session, reading, "Ended", trigger, state="EVConnected")
    event["transactionInfo"]["stoppedReason"] = stopped_reason
    if reason is Reason.LOCAL:
        event["idToken"] = id_token(session.card)
    measurands = (ENERGY, *charger.settings.sampled_at_end)
    event["meterValue"] = meter_values(reading, measurands=measurands, context="Transaction.End")
    return "TransactionEvent", event


def outside_transaction(charger: Charger, outlet: Outlet, reading: Reading) -> Call | None:
    values = meter_values(reading, measurands=charger.settings.sampled, context="Trigger")
    return ("MeterValues", {"evseId": outlet.number, "meterValue": values}) if values else None


def _event(
    charger: Charger, session: Session, reading: Reading, event_type: str, trigger: str, *, state: str
) -> Payload:
    sequence, session.next_sequence = session.next_sequence, session.next_sequence + 1
    event: Payload = {
        "eventType": event_type,
        "timestamp": moment(reading.at),
        "triggerReason": trigger,
        "seqNo": sequence,
        "transactionInfo": {"transactionId": session.transaction_id, "chargingState": state},
    }
    return event if charger.link.online.is_set() else event | {"offline": True}

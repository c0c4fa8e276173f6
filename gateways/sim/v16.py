"""OCPP 1.6-J in a station's words."""

from dataclasses import dataclass

from gateways.sim import v16_commands
from gateways.sim.catalog import serial_of
from gateways.sim.charger import Call, Charger
from gateways.sim.outbox import Message, Stage
from gateways.sim.outlet import Card, Outlet, Place, Reading, Reason, Session, Status
from gateways.sim.wire import Answer, Payload, Refusal, moment

STATUS = {
    Status.AVAILABLE: "Available",
    Status.AWAITING_CABLE: "Preparing",
    Status.PREPARING: "Preparing",
    Status.CHARGING: "Charging",
    Status.SUSPENDED_EV: "SuspendedEV",
    Status.FINISHING: "Finishing",
    Status.UNAVAILABLE: "Unavailable",
}
REASON = {
    Reason.LOCAL: "Local",
    Reason.REMOTE: "Remote",
    Reason.EV_DISCONNECTED: "EVDisconnected",
    Reason.TARGET_REACHED: "Other",
    Reason.SOFT_RESET: "SoftReset",
    Reason.HARD_RESET: "HardReset",
    Reason.UNLOCK: "UnlockCommand",
    Reason.POWER_LOSS: "PowerLoss",
    Reason.DEAUTHORIZED: "DeAuthorized",
}
NO_TRANSACTION = -1  # what a station says whose StartTransaction the server would not take


def meter_values(reading: Reading, *, measurands: tuple[str, ...], context: str) -> list[Payload]:
    """Empty where nothing of the reading is wanted."""
    sampled = []
    for value in reading.values:
        if value.measurand not in measurands:
            continue
        sample = {
            "value": str(value.value),
            "context": context,
            "measurand": value.measurand,
            "location": value.location,
            "unit": value.unit,
        }
        sampled.append(sample | ({"phase": value.phase} if value.phase else {}))
    return [{"timestamp": moment(reading.at), "sampledValue": sampled}] if sampled else []


@dataclass
class V16:
    subprotocol: str = "ocpp1.6"
    malformed_code: str = "FormationViolation"
    keeps_message_ids: bool = False

    def boot(self, charger: Charger, *, reason: str) -> Call:
        make, serial = charger.make, serial_of(charger.identity)
        return "BootNotification", {
            "chargePointVendor": make.vendor,
            "chargePointModel": make.model,
            "chargePointSerialNumber": serial,
            "firmwareVersion": make.firmware,
            "meterType": "MID class B",
            "meterSerialNumber": f"M{serial}",
        }

    def word(self, outlet: Outlet) -> str:
        return "Reserved" if outlet.place and outlet.status is Status.AVAILABLE else STATUS[outlet.status]

    def status(self, charger: Charger, outlet: Outlet | None) -> Call:
        own = "Available" if charger.operative else "Unavailable"
        return "StatusNotification", {
            "connectorId": outlet.number if outlet else 0,
            "errorCode": "NoError",
            "status": self.word(outlet) if outlet else own,
            "timestamp": moment(charger.clock()),
        }

    def authorize(self, card: Card) -> Call:
        return "Authorize", {"idTag": card.uid}

    def new_transaction_id(self) -> None:
        """The server's to give, in the answer to StartTransaction."""

    def started(self, charger: Charger, session: Session, reading: Reading) -> Call:
        start: Payload = {
            "connectorId": session.outlet,
            "idTag": session.card.uid,
            "meterStart": reading.register_wh,
            "timestamp": moment(reading.at),
        }
        if session.reservation is not None:
            start["reservationId"] = session.reservation
        return "StartTransaction", start

    def changed(self, charger: Charger, outlet: Outlet, session: Session) -> None:
        """StatusNotification has said it."""

    def metered(self, charger: Charger, outlet: Outlet, reading: Reading, *, triggered: bool) -> Call | None:
        context = "Trigger" if triggered else "Sample.Periodic"
        values = meter_values(reading, measurands=charger.settings.sampled, context=context)
        return ("MeterValues", {"connectorId": outlet.number, "meterValue": values}) if values else None

    def stopped(self, charger: Charger, session: Session, reading: Reading, reason: Reason) -> Call:
        stop: Payload = {
            "meterStop": reading.register_wh,
            "timestamp": moment(reading.at),
            "reason": REASON[reason],
        }
        if reason is Reason.LOCAL:
            stop["idTag"] = session.card.uid
        measurands = charger.settings.sampled_at_end
        if values := meter_values(reading, measurands=measurands, context="Transaction.End"):
            stop["transactionData"] = values
        return "StopTransaction", stop

    def freed(self, place: Place, why: str) -> None:
        """1.6 has no word for it: the status says that the connector is free."""

    def sealed(self, message: Message) -> Payload:
        """The number is filled in at the last moment: the server may have given it only just now."""
        if message.session is None or message.stage is Stage.START:
            return message.payload
        known = message.session.transaction_id
        if known is None and message.stage is Stage.METER:
            return message.payload
        return message.payload | {"transactionId": int(known) if known else NO_TRANSACTION}

    def learn(self, session: Session, answer: Payload) -> None:
        if isinstance(answer.get("transactionId"), int):
            session.transaction_id = str(answer["transactionId"])

    def card_status(self, answer: Payload) -> str | None:
        info = answer.get("idTagInfo")
        return info.get("status") if isinstance(info, dict) else None

    def answer(self, charger: Charger, action: str, request: Payload) -> Answer:
        if charger.registration == "Rejected":
            raise Refusal("GenericError", "not registered")
        handler = v16_commands.HANDLERS.get(action)
        if handler is None:
            raise Refusal("NotImplemented", action)
        return handler(charger, request)

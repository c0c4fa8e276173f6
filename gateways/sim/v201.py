"""OCPP 2.0.1 in a station's words."""

from dataclasses import dataclass
from uuid import uuid4

from gateways.sim import v201_commands, v201_messages
from gateways.sim.catalog import serial_of
from gateways.sim.charger import Call, Charger
from gateways.sim.outbox import Message
from gateways.sim.outlet import Card, Outlet, Place, Reading, Reason, Session, Status
from gateways.sim.wire import Answer, Payload, Refusal, moment

STATUS = {Status.AVAILABLE: "Available", Status.AWAITING_CABLE: "Available", Status.UNAVAILABLE: "Unavailable"}


@dataclass
class V201:
    subprotocol: str = "ocpp2.0.1"
    malformed_code: str = "FormatViolation"
    keeps_message_ids: bool = True

    def boot(self, charger: Charger, *, reason: str) -> Call:
        make = charger.make
        return "BootNotification", {
            "reason": reason,
            "chargingStation": {
                "model": make.model,
                "vendorName": make.vendor,
                "serialNumber": serial_of(charger.identity),
                "firmwareVersion": make.firmware,
            },
        }

    def word(self, outlet: Outlet) -> str:
        word = STATUS.get(outlet.status, "Occupied")
        return "Reserved" if outlet.place and word == "Available" else word

    def status(self, charger: Charger, outlet: Outlet | None) -> Call | None:
        """There is no connector 0 any more."""
        if outlet is None:
            return None
        return "StatusNotification", {
            "timestamp": moment(charger.clock()),
            "connectorStatus": self.word(outlet),
            "evseId": outlet.number,
            "connectorId": 1,
        }

    def authorize(self, card: Card) -> Call:
        return "Authorize", {"idToken": v201_messages.id_token(card)}

    def new_transaction_id(self) -> str:
        return str(uuid4())

    def started(self, charger: Charger, session: Session, reading: Reading) -> Call:
        return v201_messages.started(charger, session, reading)

    def changed(self, charger: Charger, outlet: Outlet, session: Session) -> Call:
        return v201_messages.changed(charger, outlet, session)

    def metered(self, charger: Charger, outlet: Outlet, reading: Reading, *, triggered: bool) -> Call | None:
        if outlet.session is None:
            return v201_messages.outside_transaction(charger, outlet, reading)
        return v201_messages.metered(charger, outlet, outlet.session, reading, triggered=triggered)

    def stopped(self, charger: Charger, session: Session, reading: Reading, reason: Reason) -> Call:
        return v201_messages.stopped(charger, session, reading, reason)

    def freed(self, place: Place, why: str) -> Call:
        return "ReservationStatusUpdate", {"reservationId": place.number, "reservationUpdateStatus": why}

    def sealed(self, message: Message) -> Payload:
        return message.payload

    def learn(self, session: Session, answer: Payload) -> None:
        """The station itself has named the transaction."""

    def card_status(self, answer: Payload) -> str | None:
        info = answer.get("idTokenInfo")
        return info.get("status") if isinstance(info, dict) else None

    def answer(self, charger: Charger, action: str, request: Payload) -> Answer:
        if charger.registration == "Rejected":
            raise Refusal("SecurityError", "not registered")
        handler = v201_commands.HANDLERS.get(action)
        if handler is None:
            raise Refusal("NotImplemented", action)
        return handler(charger, request)

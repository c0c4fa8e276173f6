"""Each member of `StationCommand` that came with issue 5, from GraphQL to stations that know nothing of us and back."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

from tests.journeys.chargers import Charger, Charger16, Charger21, Charger201, now, written
from tests.journeys.clients import Operator

pytestmark = pytest.mark.anyio

OUTCOME = """outcome { __typename
  ... on StatusOutcome { status reasonCode } ... on DataTransferOutcome { status data }
  ... on TransactionStatusOutcome { ongoing messagesInQueue }
  ... on VariablesOutcome { variables { variable status value } } }"""
ANSWER = f"kind status error {OUTCOME} report {{ complete parts }} reservation {{ id number status session {{ id }} }}"
SEND = f"mutation ($id: ID!, $c: StationCommand!) {{ sendCommand(stationId: $id, command: $c) {{ {ANSWER} }} }}"
RESERVE = f"mutation ($input: CreateReservationInput!) {{ createReservation(input: $input) {{ {ANSWER} }} }}"
CANCEL = f"mutation ($id: ID!) {{ cancelReservation(reservationId: $id) {{ {ANSWER} }} }}"
RESERVATION = "query ($id: ID!) { reservation(id: $id) { status session { transactionId } } }"
VARIABLES = "variables { nodes { component variable value } }"

HEARTBEAT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


def _two(result: Any) -> Mapping[str, Any]:
    """What 2.x answers beyond 1.6."""
    read = {**HEARTBEAT, "attribute_status": "Accepted", "attribute_value": "60"}
    return {
        "GetVariables": result.GetVariables(get_variable_result=[read]),
        "SetVariables": result.SetVariables(set_variable_result=[{**HEARTBEAT, "attribute_status": "Accepted"}]),
        "GetBaseReport": result.GetBaseReport(status="Accepted"),
        "GetReport": result.GetReport(status="EmptyResultSet"),
        "SetNetworkProfile": result.SetNetworkProfile(status="Accepted"),
        "GetTransactionStatus": result.GetTransactionStatus(messages_in_queue=True, ongoing_indicator=False),
    }


def _any(result: Any) -> Mapping[str, Any]:
    return {
        "ClearCache": result.ClearCache(status="Accepted"),
        "DataTransfer": result.DataTransfer(status="Accepted", data="warm"),
        "ReserveNow": result.ReserveNow(status="Accepted"),
        "CancelReservation": result.CancelReservation(status="Accepted"),
    }


class Whole16(Charger16):
    obliging: ClassVar[Mapping[str, Any]] = {
        **Charger16.obliging,
        **_any(result16),
        "ExtendedTriggerMessage": result16.ExtendedTriggerMessage(status="NotImplemented"),
    }


class Whole201(Charger201):
    obliging: ClassVar[Mapping[str, Any]] = {**Charger201.obliging, **_any(result201), **_two(result201)}


class Whole21(Charger21):
    obliging: ClassVar[Mapping[str, Any]] = {**Charger21.obliging, **_any(result21), **_two(result21)}


every_version = pytest.mark.parametrize("kind", [Whole16, Whole201, Whole21])
version_2 = pytest.mark.parametrize("kind", [Whole201, Whole21])

YES = {"__typename": "StatusOutcome", "status": "Accepted", "reasonCode": None}
KEY = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
FOR_ALL: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
    ({"clearCache": True}, "ClearCache", "ACCEPTED", YES),
    (
        {"dataTransfer": {"vendorId": "acme", "messageId": "temperature", "data": "?"}},
        "DataTransfer",
        "ACCEPTED",
        {"__typename": "DataTransferOutcome", "status": "Accepted", "data": "warm"},
    ),
]
FOR_16: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
    (
        {"triggerMessage": {"message": "SIGN_CERTIFICATE"}},
        "ExtendedTriggerMessage",
        "REJECTED",
        {**YES, "status": "NotImplemented"},
    ),
    ({"triggerMessage": {"message": "DIAGNOSTICS_STATUS_NOTIFICATION"}}, "TriggerMessage", "ACCEPTED", YES),
]
FOR_2: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
    (
        {"getVariables": {"variables": [KEY]}},
        "GetVariables",
        "ACCEPTED",
        {
            "__typename": "VariablesOutcome",
            "variables": [{"variable": "HeartbeatInterval", "status": "Accepted", "value": "60"}],
        },
    ),
    (
        {"setVariables": {"variables": [{**KEY, "value": "90"}]}},
        "SetVariables",
        "ACCEPTED",
        {
            "__typename": "VariablesOutcome",
            "variables": [{"variable": "HeartbeatInterval", "status": "Accepted", "value": None}],
        },
    ),
    (
        {"getReport": {"criteria": ["PROBLEM"], "variables": [{"component": "EVSE", "evseNumber": 1}]}},
        "GetReport",
        "REJECTED",
        {**YES, "status": "EmptyResultSet"},
    ),
    (
        {"setNetworkProfile": {"slot": 1, "url": "wss://csms.example/ocpp", "securityProfile": 2}},
        "SetNetworkProfile",
        "ACCEPTED",
        YES,
    ),
    (
        {"getTransactionStatus": {}},
        "GetTransactionStatus",
        "ACCEPTED",
        {"__typename": "TransactionStatusOutcome", "ongoing": False, "messagesInQueue": True},
    ),
    ({"triggerMessage": {"message": "LOG_STATUS_NOTIFICATION"}}, "TriggerMessage", "ACCEPTED", YES),
]


@every_version
async def test_a_station_takes_each_order_and_its_answer_is_understood(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    async with kind.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        for order, action, status, outcome in [*FOR_ALL, *(FOR_16 if kind is Whole16 else FOR_2)]:
            command = await operator.ask(SEND, id=station_id, c=order)
            assert ((await charger.ordered())[0], command["status"], command["outcome"]) == (action, status, outcome)
            assert command["kind"].replace("_", "").casefold() == next(iter(order)).casefold()


async def test_what_1_6_cannot_say_fails_with_the_reason(base: str, operator: Operator, identity: str) -> None:
    async with Whole16.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        for order, *_ in FOR_2[:-1]:
            command = await operator.ask(SEND, id=station_id, c=order)
            assert (command["status"], command["outcome"]) == ("FAILED", None)
            assert command["error"].startswith("OCPP 1.6 has no word for")
        assert charger.orders.empty()


@every_version
async def test_a_reservation_is_kept_used_or_let_go(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    uid = await operator.token()
    async with kind.connected(base, identity) as charger:
        await charger.boot()
        station_id = (await operator.station(identity))["id"]
        wanted = {"stationId": station_id, "tokenUid": uid, "evseNumber": 1, "expiresAt": "2126-01-01T00:00:00Z"}

        let_go = (await operator.ask(RESERVE, input=wanted))["reservation"]
        action, order = await charger.ordered()
        number = order["reservation_id"] if kind is Whole16 else order["id"]
        assert (action, number, let_go["status"]) == ("ReserveNow", let_go["number"], "ACCEPTED")
        cancelled = await operator.ask(CANCEL, id=let_go["id"])
        assert await charger.ordered() == ("CancelReservation", {"reservation_id": number})
        assert (cancelled["status"], cancelled["reservation"]["status"]) == ("ACCEPTED", "CANCELLED")

        order_ = {"reserveNow": {key: wanted[key] for key in ("tokenUid", "evseNumber", "expiresAt")}}
        used = (await operator.ask(SEND, id=station_id, c=order_))["reservation"]
        transaction_id = await _started(charger, uid, used["number"])
        told = await operator.ask(RESERVATION, id=used["id"])
        assert told == {"status": "USED", "session": {"transactionId": transaction_id}}

        charger.answers["ReserveNow"] = type(charger.answers["ReserveNow"])(status="Occupied")
        refused = await operator.ask(RESERVE, input=wanted)
        assert (refused["status"], refused["reservation"]["status"]) == ("REJECTED", "OCCUPIED")


async def _started(charger: Charger, uid: str, number: int) -> str:
    at = written(now())
    if isinstance(charger, Charger16):
        request = call16.StartTransaction(
            connector_id=1, id_tag=uid, meter_start=0, timestamp=at, reservation_id=number
        )
        return str((await charger.call(request)).transaction_id)
    says: Any = call21 if isinstance(charger, Charger21) else call201
    await charger.call(
        says.TransactionEvent(
            event_type="Started",
            timestamp=at,
            trigger_reason="Authorized",
            seq_no=0,
            transaction_info={"transaction_id": f"TX-{number}"},
            evse={"id": 1, "connector_id": 1},
            id_token={"id_token": uid, "type": "ISO14443"},
            reservation_id=number,
        )
    )
    return f"TX-{number}"


@version_2
async def test_a_report_comes_after_its_answer_in_any_order(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    says: Any = call21 if kind is Whole21 else call201
    async with kind.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        ordered = await operator.ask(SEND, id=station_id, c={"getBaseReport": {"base": "FULL"}})
        assert ordered["report"] == {"complete": False, "parts": 0}
        request_id = (await charger.ordered())[1]["request_id"]
        for seq in (2, 0, 0, 1):
            variable = {"component": {"name": "Ctrlr"}, "variable": {"name": f"V{seq}"}}
            row = {**variable, "variable_attribute": [{"value": str(seq)}]}
            await charger.call(
                says.NotifyReport(
                    request_id=request_id,
                    generated_at=written(now()),
                    seq_no=seq,
                    tbc=seq < 2,
                    report_data=[row],
                )
            )
        rows = (await operator.station(identity, VARIABLES))["variables"]["nodes"]

    assert sorted((row["variable"], row["value"]) for row in rows) == [("V0", "0"), ("V1", "1"), ("V2", "2")]

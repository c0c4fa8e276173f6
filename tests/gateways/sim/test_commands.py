"""What a server may ask of a station, and what the station then does."""

from typing import Any

import pytest
from ocpp.exceptions import NotImplementedError as OcppNotImplemented
from ocpp.exceptions import OccurrenceConstraintViolationError
from ocpp.v16 import call as call_v16
from ocpp.v201 import call as call_v201

from tests.gateways.sim.conftest import Simulate
from tests.gateways.sim.csms import Csms

pytestmark = pytest.mark.anyio

# Station 3 has two sockets for plugs, and nobody comes to its second one for a while.
DUO = "SIM-003"
CALM = {"first": 3, "speed": 1}
LIVELY = {"first": 1, "speed": 15}


def statuses(csms: Csms, number: int) -> list[str]:
    own = [one for one in csms.calls("StatusNotification") if one.get("evseId", one["connectorId"]) == number]
    return [one.get("status") or one["connectorStatus"] for one in own]


def events(csms: Csms, kind: str) -> list[dict[str, Any]]:
    return [one for one in csms.calls("TransactionEvent") if one["eventType"] == kind]


def charging(csms: Csms) -> bool:
    return len(csms.settled("MeterValues")) > 1 or len(csms.settled("TransactionEvent")) > 3


async def booted(csms: Csms) -> None:
    await csms.until(lambda: csms.calls("StatusNotification"))


async def test_a_1_6_server_starts_and_stops_a_charge(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", **CALM) as fleet:
        await booted(csms)
        started = await csms.ask(DUO, call_v16.RemoteStartTransaction(id_tag="APP-1", connector_id=2))
        again = await csms.ask(DUO, call_v16.RemoteStartTransaction(id_tag="APP-2", connector_id=2))
        await csms.until(lambda: any(one["connectorId"] == 2 for one in csms.settled("MeterValues")))
        number = next(one["transactionId"] for one in csms.calls("MeterValues") if one["connectorId"] == 2)
        stopped = await csms.ask(DUO, call_v16.RemoteStopTransaction(transaction_id=number))
        await csms.until(lambda: csms.settled("StopTransaction"))
        unknown = await csms.ask(DUO, call_v16.RemoteStopTransaction(transaction_id=1))
        report = await fleet.stopped()

    assert [started.status, again.status, stopped.status, unknown.status] == [
        "Accepted",
        "Rejected",
        "Accepted",
        "Rejected",
    ]
    start = next(one for one in csms.calls("StartTransaction") if one["connectorId"] == 2)
    assert start["idTag"] == "APP-1"
    assert {"idTag": "APP-1"} not in csms.calls("Authorize")
    stop = csms.calls("StopTransaction")[0]
    assert (stop["transactionId"], stop["reason"]) == (number, "Remote")
    assert [one.reason for one in report.stations[0].sessions if one.token_uid == "APP-1"] == ["REMOTE"]


async def test_a_server_starts_the_charge_of_a_car_that_is_plugged_in_and_waits(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", first=1, speed=0.5):
        await csms.until(lambda: "Preparing" in statuses(csms, 1))
        answer = await csms.ask("SIM-001", call_v16.RemoteStartTransaction(id_tag="APP-1"))
        await csms.until(lambda: csms.calls("StartTransaction"))

    assert answer.status == "Accepted"
    assert csms.calls("Authorize") == []
    assert csms.calls("StartTransaction")[0]["idTag"] == "APP-1"


async def test_a_2_0_1_server_starts_and_stops_a_charge(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", **CALM):
        await booted(csms)
        token = {"id_token": "APP-1", "type": "Central"}
        started = await csms.ask(DUO, call_v201.RequestStartTransaction(id_token=token, remote_start_id=77, evse_id=2))
        await csms.until(lambda: any(one["evse"]["id"] == 2 for one in events(csms, "Started")))
        event = next(one for one in events(csms, "Started") if one["evse"]["id"] == 2)
        transaction_id = event["transactionInfo"]["transactionId"]
        stopped = await csms.ask(DUO, call_v201.RequestStopTransaction(transaction_id=transaction_id))
        await csms.until(lambda: events(csms, "Ended"))

    assert [started.status, stopped.status] == ["Accepted", "Accepted"]
    assert (event["triggerReason"], event["transactionInfo"]["remoteStartId"]) == ("RemoteStart", 77)
    assert event["idToken"] == {"idToken": "APP-1", "type": "Central"}
    ended = events(csms, "Ended")[0]
    assert ended["transactionInfo"]["transactionId"] == transaction_id
    assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("RemoteStop", "Remote")


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
async def test_a_1_6_reset_stops_the_charge_and_boots(csms: Csms, simulate: Simulate, kind: str, reason: str) -> None:
    async with simulate(version="1.6", **LIVELY):
        await csms.until(lambda: charging(csms))
        answer = await csms.ask("SIM-001", call_v16.Reset(type=kind))
        await csms.until(lambda: len(csms.calls("BootNotification")) == 2)
        await csms.until(lambda: csms.settled("StopTransaction"))
        await csms.until(lambda: len(csms.calls("StartTransaction")) == 2)

    assert answer.status == "Accepted"
    stops = [one for one in csms.calls("StopTransaction") if one["transactionId"] == 4001]
    assert {one["reason"] for one in stops} == {reason}
    order = [frame.message[2] for frame in csms.call_frames("StopTransaction", "BootNotification")]
    if kind == "Soft":
        assert order[:3] == ["BootNotification", "StopTransaction", "BootNotification"]
    assert csms.closes[0] == (1000 if kind == "Soft" else 1006)


async def test_a_2_0_1_reset_stops_the_charge_and_boots(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", **LIVELY):
        await csms.until(lambda: charging(csms))
        answer = await csms.ask("SIM-001", call_v201.Reset(type="Immediate"))
        await csms.until(lambda: len(csms.calls("BootNotification")) == 2)

    assert answer.status == "Accepted"
    ended = events(csms, "Ended")[0]
    assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("ResetCommand", "ImmediateReset")
    assert csms.calls("BootNotification")[1]["reason"] == "RemoteReset"


async def test_a_2_0_1_reset_on_idle_waits_for_the_charge_to_end(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", first=1, speed=60):
        await csms.until(lambda: charging(csms))
        answer = await csms.ask("SIM-001", call_v201.Reset(type="OnIdle"))
        await csms.until(lambda: len(csms.calls("BootNotification")) == 2)

    assert answer.status == "Scheduled"
    assert events(csms, "Ended")[0]["transactionInfo"]["stoppedReason"] in ("Local", "EVDisconnected")
    assert csms.calls("BootNotification")[1]["reason"] == "ScheduledReset"


async def test_an_outlet_out_of_service_refuses_orders_until_it_is_back(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", **CALM):
        await booted(csms)
        out = await csms.ask(DUO, call_v16.ChangeAvailability(connector_id=2, type="Inoperative"))
        refused = await csms.ask(DUO, call_v16.RemoteStartTransaction(id_tag="APP-1", connector_id=2))
        back = await csms.ask(DUO, call_v16.ChangeAvailability(connector_id=2, type="Operative"))
        taken = await csms.ask(DUO, call_v16.RemoteStartTransaction(id_tag="APP-1", connector_id=2))
        await csms.until(lambda: "Preparing" in statuses(csms, 2))

    assert [out.status, refused.status, back.status, taken.status] == ["Accepted", "Rejected", "Accepted", "Accepted"]
    assert statuses(csms, 2)[:4] == ["Available", "Unavailable", "Available", "Preparing"]


async def test_a_charging_outlet_goes_out_of_service_when_the_charge_has_ended(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", **LIVELY):
        await csms.until(lambda: charging(csms))
        answer = await csms.ask("SIM-001", call_v201.ChangeAvailability(operational_status="Inoperative"))
        await csms.until(lambda: statuses(csms, 1)[-1] == "Unavailable")

    assert answer.status == "Scheduled"
    assert len(events(csms, "Ended")) == 1


async def test_the_whole_1_6_station_goes_out_of_service_by_connector_0(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", first=3, speed=0.1):
        await booted(csms)
        await csms.ask(DUO, call_v16.ChangeAvailability(connector_id=0, type="Inoperative"))
        await csms.until(lambda: all(statuses(csms, number)[-1] == "Unavailable" for number in (0, 1, 2)))


@pytest.mark.parametrize(
    ("wanted", "action"),
    [
        ("BootNotification", "BootNotification"),
        ("Heartbeat", "Heartbeat"),
        ("StatusNotification", "StatusNotification"),
        ("MeterValues", "MeterValues"),
    ],
)
async def test_a_1_6_server_triggers_messages(csms: Csms, simulate: Simulate, wanted: str, action: str) -> None:
    async with simulate(version="1.6", first=3, speed=0.1):
        await csms.until(lambda: len(csms.settled("StatusNotification")) >= 2)
        seen = len(csms.calls(action))
        answer = await csms.ask(DUO, call_v16.TriggerMessage(requested_message=wanted, connector_id=2))
        await csms.until(lambda: len(csms.calls(action)) > seen)

    assert answer.status == "Accepted"


async def test_triggers_that_make_no_sense_are_refused(csms: Csms, simulate: Simulate) -> None:
    async with simulate(count=2, version=None, first=1, speed=0.1):
        await csms.until(lambda: len(csms.points) == 2 and len(csms.calls("StatusNotification")) >= 3)
        firmware = call_v16.TriggerMessage(requested_message="FirmwareStatusNotification")
        nowhere = call_v16.TriggerMessage(requested_message="StatusNotification", connector_id=9)
        boot = call_v201.TriggerMessage(requested_message="BootNotification")
        vague = call_v201.TriggerMessage(requested_message="StatusNotification")
        answers = [
            (await csms.ask(identity, request)).status
            for identity, request in [
                ("SIM-001", firmware),
                ("SIM-001", nowhere),
                ("SIM-002", boot),
                ("SIM-002", vague),
            ]
        ]

    assert answers == ["NotImplemented", "Rejected", "Rejected", "Rejected"]


async def test_a_2_0_1_server_triggers_messages(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", **LIVELY):
        await csms.until(lambda: charging(csms))
        for wanted in ("Heartbeat", "MeterValues", "TransactionEvent"):
            answer = await csms.ask("SIM-001", call_v201.TriggerMessage(requested_message=wanted))
            assert answer.status == "Accepted"
        await csms.until(lambda: csms.calls("Heartbeat") and csms.calls("MeterValues"))
        await csms.until(lambda: any(one["triggerReason"] == "Trigger" for one in events(csms, "Updated")))


async def test_unlocking_ends_a_1_6_charge_and_not_a_2_0_1_charge(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", first=3, speed=5):
        await csms.until(lambda: charging(csms))
        unlocked = await csms.ask(DUO, call_v16.UnlockConnector(connector_id=1))
        await csms.until(lambda: csms.calls("StopTransaction"))
    assert unlocked.status == "Unlocked"
    assert csms.calls("StopTransaction")[0]["reason"] == "UnlockCommand"

    csms.frames.clear()
    async with simulate(version="2.0.1", first=3, speed=5):
        await csms.until(lambda: charging(csms))
        held = await csms.ask(DUO, call_v201.UnlockConnector(evse_id=1, connector_id=1))
        free = await csms.ask(DUO, call_v201.UnlockConnector(evse_id=2, connector_id=1))
        missing = await csms.ask(DUO, call_v201.UnlockConnector(evse_id=3, connector_id=1))
    assert [held.status, free.status, missing.status] == [
        "OngoingAuthorizedTransaction",
        "Unlocked",
        "UnknownConnector",
    ]


async def test_a_1_6_configuration_is_read_and_changed(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="1.6", first=3, speed=0.1):
        await booted(csms)
        everything = await csms.ask(DUO, call_v16.GetConfiguration())
        changed = [
            await csms.change_configuration(DUO, key, value)
            for key, value in [
                ("HeartbeatInterval", "1"),
                ("HeartbeatInterval", "soon"),
                ("NumberOfConnectors", "9"),
                ("MeterValuesSampledData", "Energy.Active.Import.Register,SoC"),
                ("MeterValuesSampledData", "Luck"),
                ("NoSuchKey", "1"),
            ]
        ]
        some = await csms.ask(
            DUO, call_v16.GetConfiguration(key=["HeartbeatInterval", "MeterValuesSampledData", "NoSuchKey"])
        )
        await csms.until(lambda: csms.calls("Heartbeat"))  # by then the interval of 300 s is out of force

    keys = {one["key"]: one for one in everything.configuration_key}
    assert len(keys) > 20
    assert keys["NumberOfConnectors"] == {"key": "NumberOfConnectors", "readonly": True, "value": "2"}
    assert changed == ["Accepted", "Rejected", "Rejected", "Accepted", "Rejected", "NotSupported"]
    assert {one["key"]: one["value"] for one in some.configuration_key} == {
        "HeartbeatInterval": "1",
        "MeterValuesSampledData": "Energy.Active.Import.Register,SoC",
    }
    assert some.unknown_key == ["NoSuchKey"]


def variable(component: str, name: str, **more: Any) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": name}} | more


async def test_2_0_1_variables_are_read_and_changed(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", first=3, speed=0.1):
        await booted(csms)
        heartbeat = variable("ocppcommctrlr", "HEARTBEATINTERVAL")
        changed = await csms.ask(
            DUO,
            call_v201.SetVariables(
                set_variable_data=[
                    heartbeat | {"attribute_value": "1"},
                    variable("ChargingStation", "Model", attribute_value="Mine"),
                    variable("SampledDataCtrlr", "TxUpdatedMeasurands", attribute_value="Luck"),
                    variable("NoSuchCtrlr", "X", attribute_value="1"),
                ]
            ),
        )
        got = await csms.ask(
            DUO,
            call_v201.GetVariables(
                get_variable_data=[
                    heartbeat,
                    variable("TxCtrlr", "TxStartPoint"),
                    variable("TxCtrlr", "NoSuch"),
                    variable("TxCtrlr", "TxStartPoint", attribute_type="MaxSet"),
                    {
                        "component": {"name": "EVSE", "evse": {"id": 2}},
                        "variable": {"name": "AvailabilityState"},
                    },
                ]
            ),
        )
        with pytest.raises(OccurrenceConstraintViolationError):
            await csms.ask(DUO, call_v201.GetVariables(get_variable_data=[heartbeat] * 21))
        await csms.until(lambda: csms.calls("Heartbeat"))

    assert [one["attribute_status"] for one in changed.set_variable_result] == [
        "Accepted",
        "Rejected",
        "Rejected",
        "UnknownComponent",
    ]
    assert [(one["attribute_status"], one.get("attribute_value")) for one in got.get_variable_result] == [
        ("Accepted", "1"),
        ("Accepted", "PowerPathClosed"),
        ("UnknownVariable", None),
        ("NotSupportedAttributeType", None),
        ("Accepted", "Available"),
    ]


async def test_a_2_0_1_base_report_comes_in_parts(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", first=3, speed=0.1):
        await booted(csms)
        full = await csms.ask(DUO, call_v201.GetBaseReport(request_id=5, report_base="FullInventory"))
        await csms.until(lambda: any(not one["tbc"] for one in csms.calls("NotifyReport")))
        summary = await csms.ask(DUO, call_v201.GetBaseReport(request_id=6, report_base="SummaryInventory"))

    assert [full.status, summary.status] == ["Accepted", "NotSupported"]
    parts = csms.calls("NotifyReport")
    assert [one["seqNo"] for one in parts] == list(range(len(parts)))
    assert [one["tbc"] for one in parts] == [True] * (len(parts) - 1) + [False]
    assert {one["requestId"] for one in parts} == {5}
    names = {(row["component"]["name"], row["variable"]["name"]) for one in parts for row in one["reportData"]}
    assert {("TxCtrlr", "TxStartPoint"), ("Connector", "ConnectorType")} <= names


async def test_a_2_0_1_report_is_of_what_is_named(csms: Csms, simulate: Simulate) -> None:
    async with simulate(version="2.0.1", first=3, speed=0.1):
        await booted(csms)

        async def asked(number: int, **wanted: Any) -> str:
            return str((await csms.ask(DUO, call_v201.GetReport(request_id=number, **wanted))).status)

        assert await asked(1, component_criteria=["Problem"]) == "NotSupported"
        assert await asked(2, component_variable=[{"component": {"name": "NoSuchCtrlr"}}]) == "EmptyResultSet"
        state = {"component": {"name": "evse", "evse": {"id": 2}}, "variable": {"name": "AvailabilityState"}}
        assert await asked(3, component_variable=[state, {"component": {"name": "Connector"}}]) == "Accepted"
        await csms.until(lambda: csms.calls("NotifyReport"))

    (part,) = csms.calls("NotifyReport")
    assert part["requestId"] == 3
    assert [(row["component"]["name"], row["component"]["evse"]["id"]) for row in part["reportData"]] == [
        ("Connector", 1),
        ("Connector", 1),
        ("EVSE", 2),
        ("Connector", 2),
        ("Connector", 2),
    ]


async def test_the_rest_is_answered_as_the_standard_has_it(csms: Csms, simulate: Simulate) -> None:
    async with simulate(count=2, version=None, first=1, speed=0.1):
        await csms.until(lambda: len(csms.points) == 2)
        for identity, calls in (("SIM-001", call_v16), ("SIM-002", call_v201)):
            assert (await csms.ask(identity, calls.ClearCache())).status == "Accepted"
            assert (await csms.ask(identity, calls.DataTransfer(vendor_id="Nobody"))).status == "UnknownVendorId"
            assert (await csms.ask(identity, calls.CancelReservation(reservation_id=1))).status == "Rejected"
            with pytest.raises(OcppNotImplemented):
                await csms.ask(identity, calls.GetLocalListVersion())
        status = await csms.ask("SIM-002", call_v201.GetTransactionStatus(transaction_id="none such"))

    assert (status.ongoing_indicator, status.messages_in_queue) == (False, False)


async def test_a_call_without_its_fields_is_a_callerror_of_the_version(csms: Csms, simulate: Simulate) -> None:
    async with simulate(count=2, version=None, first=1, speed=0.1) as fleet:
        await csms.until(lambda: len(csms.points) == 2)
        await csms.send_raw("SIM-001", [2, "m-1", "Reset", {}])
        await csms.send_raw("SIM-002", [2, "m-2", "Reset", {}])
        await csms.send_raw("SIM-002", "nonsense")
        await csms.until(lambda: len([one for one in csms.frames if one.message[0] == 4]) == 2)
        report = await fleet.stopped()

    errors = {one.message[1]: one.message[2] for one in csms.frames if one.message[0] == 4}
    assert errors == {"m-1": "FormationViolation", "m-2": "FormatViolation"}
    assert [station.error_count for station in report.stations] == [1, 2]

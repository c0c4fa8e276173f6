"""Orders through GraphQL to stations that know nothing of us."""

import asyncio
from typing import Any

import pytest
from ocpp.exceptions import NotSupportedError
from ocpp.v16 import call_result as result16
from ocpp.v201 import call_result as result201

from tests.journeys.chargers import SILENCE, Charger, Charger16, Charger21, Charger201
from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server, running

pytestmark = pytest.mark.anyio

both_versions = pytest.mark.parametrize("kind", [Charger16, Charger201])
every_version = pytest.mark.parametrize("kind", [Charger16, Charger201, Charger21])

COMMAND = "id kind status result error createdAt completedAt session { id transactionId status }"
SEND = f"mutation ($id: ID!, $c: StationCommand!) {{ sendCommand(stationId: $id, command: $c) {{ {COMMAND} }} }}"
START = f"mutation ($input: StartSessionInput!) {{ startSession(input: $input) {{ {COMMAND} }} }}"
STOP = f"mutation ($id: ID!) {{ stopSession(sessionId: $id) {{ {COMMAND} }} }}"
UPDATES = f"subscription ($id: ID) {{ commandUpdates(commandId: $id) {{ {COMMAND} station {{ identity }} }} }}"
CONFIGURE = """
mutation ($id: ID!, $config: JSON!) { updateStationConfig(stationId: $id, config: $config) { configuration } }
"""
SESSION = "query ($id: ID!) { session(id: $id) { status energyWh transactionId } }"

HEARTBEAT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
NONSENSE = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "Nonsense"}}

# What is ordered, and what the station hears of it in its version.
ORDERS: list[tuple[type[Charger], dict[str, Any], str, dict[str, Any]]] = [
    (Charger16, {"reset": {"type": "HARD"}}, "Reset", {"type": "Hard"}),
    (Charger201, {"reset": {"type": "HARD"}}, "Reset", {"type": "Immediate"}),
    (Charger16, {"reset": {"type": "SOFT"}}, "Reset", {"type": "Soft"}),
    (Charger201, {"reset": {"type": "SOFT", "evseNumber": 1}}, "Reset", {"type": "OnIdle", "evse_id": 1}),
    (Charger16, {"unlockConnector": {"evseNumber": 2}}, "UnlockConnector", {"connector_id": 2}),
    (
        Charger201,
        {"unlockConnector": {"evseNumber": 2, "connectorNumber": 1}},
        "UnlockConnector",
        {"evse_id": 2, "connector_id": 1},
    ),
    (
        Charger16,
        {"changeAvailability": {"operationalStatus": "INOPERATIVE"}},
        "ChangeAvailability",
        {"connector_id": 0, "type": "Inoperative"},
    ),
    (
        Charger201,
        {"changeAvailability": {"operationalStatus": "INOPERATIVE"}},
        "ChangeAvailability",
        {"operational_status": "Inoperative"},
    ),
    (
        Charger16,
        {"changeAvailability": {"operationalStatus": "OPERATIVE", "evseNumber": 1}},
        "ChangeAvailability",
        {"connector_id": 1, "type": "Operative"},
    ),
    (
        Charger201,
        {"changeAvailability": {"operationalStatus": "OPERATIVE", "evseNumber": 1, "connectorNumber": 1}},
        "ChangeAvailability",
        {"operational_status": "Operative", "evse": {"id": 1, "connector_id": 1}},
    ),
    (
        Charger16,
        {"triggerMessage": {"message": "STATUS_NOTIFICATION", "evseNumber": 1}},
        "TriggerMessage",
        {"requested_message": "StatusNotification", "connector_id": 1},
    ),
    (
        Charger201,
        {"triggerMessage": {"message": "TRANSACTION_EVENT", "evseNumber": 1}},
        "TriggerMessage",
        {"requested_message": "TransactionEvent", "evse": {"id": 1}},
    ),
    (Charger16, {"triggerMessage": {"message": "HEARTBEAT"}}, "TriggerMessage", {"requested_message": "Heartbeat"}),
    (
        Charger201,
        {"triggerMessage": {"message": "BOOT_NOTIFICATION"}},
        "TriggerMessage",
        {"requested_message": "BootNotification"},
    ),
    (Charger16, {"getConfiguration": {}}, "GetConfiguration", {}),
    (Charger16, {"getConfiguration": {"keys": ["A", "B"]}}, "GetConfiguration", {"key": ["A", "B"]}),
    (
        Charger201,
        {"getConfiguration": {"keys": ["OCPPCommCtrlr.HeartbeatInterval", "OCPPCommCtrlr.Nonsense"]}},
        "GetVariables",
        {"get_variable_data": [HEARTBEAT, NONSENSE]},
    ),
    (
        Charger16,
        {"changeConfiguration": {"key": "HeartbeatInterval", "value": "90"}},
        "ChangeConfiguration",
        {"key": "HeartbeatInterval", "value": "90"},
    ),
    (
        Charger201,
        {"changeConfiguration": {"key": "OCPPCommCtrlr.HeartbeatInterval", "value": "90"}},
        "SetVariables",
        {"set_variable_data": [{**HEARTBEAT, "attribute_value": "90"}]},
    ),
]


@pytest.mark.parametrize(
    ("kind", "order", "action", "payload"), ORDERS, ids=[f"{kind.subprotocol} {order}" for kind, order, *_ in ORDERS]
)
async def test_a_station_hears_an_order_in_its_own_words(
    kind: type[Charger],
    order: dict[str, Any],
    action: str,
    payload: dict[str, Any],
    base: str,
    operator: Operator,
    identity: str,
) -> None:
    async with kind.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        command = await operator.ask(SEND, id=station_id, c=order)

        assert await charger.ordered() == (action, payload)

    assert (command["status"], command["error"]) == ("ACCEPTED", None)
    assert command["completedAt"] >= command["createdAt"]


@both_versions
async def test_whoever_follows_a_command_sees_its_whole_life(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    async with kind.connected(base, identity) as charger, operator.watching(UPDATES) as updates:
        station_id = (await operator.station(identity))["id"]
        command = await operator.ask(SEND, id=station_id, c={"reset": {"type": "SOFT"}})
        await updates.until(lambda told: told["id"] == command["id"] and told["status"] == "ACCEPTED")
        async with operator.watching(UPDATES, id=command["id"]) as late:
            assert (await late.next())["status"] == "ACCEPTED"
        assert charger.orders.qsize() == 1

    told = [one for one in updates.seen if one["id"] == command["id"]]
    assert {one["kind"] for one in told} == {"RESET"}
    assert {one["station"]["identity"] for one in told} == {identity}
    # told as it is when it is delivered, which may be further on than what it is told for
    states = [one["status"] for one in told]
    assert states == sorted(states, key=["QUEUED", "SENT", "ACCEPTED"].index)
    # who comes while it happens is told how it is, and then what happened since they listen
    assert len(states) in (3, 4)


@pytest.mark.parametrize(
    ("kind", "action", "answer", "result"),
    [
        (Charger16, "Reset", result16.Reset(status="Rejected"), {"status": "Rejected"}),
        (
            Charger201,
            "Reset",
            result201.Reset(status="Rejected", status_info={"reason_code": "Busy"}),
            {"status": "Rejected", "status_info": {"reason_code": "Busy"}},
        ),
    ],
)
async def test_a_refusal_is_the_stations_word(
    kind: type[Charger], action: str, answer: Any, result: Any, base: str, operator: Operator, identity: str
) -> None:
    async with kind.connected(base, identity) as charger:
        charger.answers[action] = answer
        station_id = (await operator.station(identity))["id"]
        command = await operator.ask(SEND, id=station_id, c={"reset": {"type": "SOFT"}})

    assert command["status"] == "REJECTED"
    assert "Rejected" in command["error"]
    assert command["result"]["status"] == "Rejected"


@both_versions
async def test_an_error_of_the_station_is_a_command_that_failed(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    async with kind.connected(base, identity) as charger:
        charger.answers["TriggerMessage"] = NotSupportedError(description="not in this model")
        station_id = (await operator.station(identity))["id"]
        command = await operator.ask(SEND, id=station_id, c={"triggerMessage": {"message": "HEARTBEAT"}})

    assert command["status"] == "FAILED"
    assert "NotSupported" in command["error"]
    assert "not in this model" in command["error"]


@pytest.mark.parametrize(
    ("kind", "order", "reason"),
    [
        (Charger16, {"triggerMessage": {"message": "TRANSACTION_EVENT"}}, "cannot trigger TRANSACTION_EVENT"),
        (Charger16, {"reset": {"evseNumber": 1}}, "cannot reset one EVSE"),
        (Charger16, {"unlockConnector": {"evseNumber": 1, "connectorNumber": 2}}, "knows no connector 2"),
        (Charger201, {"getConfiguration": {}}, "reads variables by name"),
        (Charger201, {"changeConfiguration": {"key": "HeartbeatInterval", "value": "1"}}, "wants Component.Variable"),
    ],
    ids=str,
)
async def test_what_a_version_cannot_say_fails_with_the_reason(
    kind: type[Charger], order: dict[str, Any], reason: str, base: str, operator: Operator, identity: str
) -> None:
    async with kind.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        command = await operator.ask(SEND, id=station_id, c=order)
        assert charger.orders.empty()

    assert command["status"] == "FAILED"
    assert reason in command["error"]


async def test_a_command_whose_caller_has_hung_up_ends_all_the_same(
    base: str, operator: Operator, identity: str
) -> None:
    async with Charger16.connected(base, identity) as charger, operator.watching(UPDATES) as updates:
        release = asyncio.Event()
        obey = charger.obey

        async def slowly(action: str, order: dict[str, Any]) -> Any:
            charger.orders.put_nowait((action, order))
            await release.wait()
            return await obey(action, order)

        charger.obey = slowly  # type: ignore[method-assign]
        station_id = (await operator.station(identity))["id"]
        async with operator.watching(SEND, id=station_id, c={"reset": {"type": "SOFT"}}):
            await charger.ordered()
        release.set()

        done = await updates.until(
            lambda told: told["station"]["identity"] == identity and told["status"] not in ("QUEUED", "SENT")
        )
    assert (done["status"], done["result"]) == ("ACCEPTED", {"status": "Accepted"})


async def test_a_station_that_is_not_there_fails_at_once(base: str, operator: Operator, identity: str) -> None:
    async with Charger16.connected(base, identity):
        station_id = (await operator.station(identity))["id"]
    async with operator.watching(
        "subscription ($ids: [ID!]) { stationStatusUpdates(stationIds: $ids) { station { online } } }",
        ids=[station_id],
    ) as statuses:
        await statuses.until(lambda told: not told["station"]["online"])

    command = await operator.ask(SEND, id=station_id, c={"reset": {"type": "SOFT"}})

    assert (command["status"], command["error"]) == ("FAILED", "the station is not connected")


async def test_the_deadline_ends_a_command_to_a_silent_station(
    environment: dict[str, str], tenant: Tenant, identity: str, tmp_path: Any
) -> None:
    impatient = Server(tmp_path, **{**environment, "VOLTGRAPH_COMMAND_DEADLINE_S": "1"})
    with running(impatient):
        async with (
            Operator(impatient.url, tenant.secret) as operator,
            Charger16.connected(f"{impatient.ocpp}/{tenant.slug}", identity) as charger,
        ):
            charger.answers["Reset"] = SILENCE
            station_id = (await operator.station(identity))["id"]
            command = await operator.ask(SEND, id=station_id, c={"reset": {"type": "SOFT"}})
            assert (await charger.ordered())[0] == "Reset"

    assert command["status"] == "TIMEOUT"
    assert command["error"].startswith("the station did not answer within ")


@both_versions
async def test_a_silent_station_is_still_heard(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    """What it says is answered while an order of ours is without an answer."""
    async with kind.connected(base, identity) as charger:
        release = asyncio.Event()
        obey = charger.obey

        async def slowly(action: str, order: dict[str, Any]) -> Any:
            await release.wait()
            return await obey(action, order)

        charger.obey = slowly  # type: ignore[method-assign]
        station_id = (await operator.station(identity))["id"]
        sending = asyncio.create_task(operator.ask(SEND, id=station_id, c={"reset": {"type": "SOFT"}}))
        async with operator.watching(UPDATES) as updates:
            await updates.until(lambda told: told["status"] == "SENT" and told["station"]["identity"] == identity)
        await charger.connection.send('[2,"1","Heartbeat",{}]')
        release.set()
        assert (await sending)["status"] == "ACCEPTED"


@every_version
@pytest.mark.parametrize("by", ["startSession", "sendCommand"])
async def test_a_remote_start_leads_to_a_session_that_a_remote_stop_ends(
    kind: type[Charger], by: str, base: str, operator: Operator, identity: str
) -> None:
    uid = await operator.token()
    async with kind.connected(base, identity) as charger:
        await charger.boot()
        station_id = (await operator.station(identity))["id"]

        if by == "startSession":
            wanted = {"stationId": station_id, "tokenUid": uid, "evseNumber": 1}
            ordered = await operator.ask(START, input=wanted)
        else:
            ordered = await operator.ask(SEND, id=station_id, c={"remoteStart": {"tokenUid": uid, "evseNumber": 1}})
        assert (ordered["kind"], ordered["status"], ordered["session"]) == ("REMOTE_START", "ACCEPTED", None)
        action, order = await charger.ordered()
        if kind is Charger16:
            assert (action, order) == ("RemoteStartTransaction", {"id_tag": uid, "connector_id": 1})
        else:
            assert action == "RequestStartTransaction"
            assert (order["id_token"]["id_token"], order["evse_id"]) == (uid, 1)
        transaction_id = await charger.start(uid, 1_000, ordered_as=order.get("remote_start_id"))

        async with operator.watching(UPDATES, id=ordered["id"]) as updates:
            session = (await updates.next())["session"]
        assert session["transactionId"] == transaction_id

        if by == "startSession":
            stopped = await operator.ask(STOP, id=session["id"])
        else:
            stopped = await operator.ask(SEND, id=station_id, c={"remoteStop": {"sessionId": session["id"]}})
        action, order = await charger.ordered()
        assert action in ("RemoteStopTransaction", "RequestStopTransaction")
        assert str(order["transaction_id"]) == transaction_id
        assert (stopped["kind"], stopped["status"], stopped["session"]["id"]) == (
            "REMOTE_STOP",
            "ACCEPTED",
            session["id"],
        )
        await charger.stop(1_500)

    assert await operator.ask(SESSION, id=session["id"]) == {
        "status": "COMPLETED",
        "energyWh": 500,
        "transactionId": transaction_id,
    }
    assert await operator.codes(STOP, id=session["id"]) == ["CONFLICT"]


async def test_a_card_that_may_not_charge_is_not_sent_to_a_station(
    base: str, operator: Operator, identity: str
) -> None:
    blocked = await operator.token(status="BLOCKED")
    async with Charger16.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        for uid, code in ((blocked, "CONFLICT"), ("NOBODY", "NOT_FOUND")):
            assert await operator.codes(START, input={"stationId": station_id, "tokenUid": uid}) == [code]
        assert charger.orders.empty()


async def test_several_settings_are_written_one_after_the_other(base: str, operator: Operator, identity: str) -> None:
    async with Charger16.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        config = {"HeartbeatInterval": 90, "LocalPreAuthorize": True}
        station = await operator.ask(CONFIGURE, id=station_id, config=config)
        heard = [(await charger.ordered())[1] for _ in config]

        assert heard == [
            {"key": "HeartbeatInterval", "value": "90"},
            {"key": "LocalPreAuthorize", "value": "true"},
        ]
        assert station["configuration"] == {"HeartbeatInterval": "90", "LocalPreAuthorize": "true"}

        charger.answers["ChangeConfiguration"] = result16.ChangeConfiguration(status="NotSupported")
        assert await operator.codes(CONFIGURE, id=station_id, config={"Nonsense": "1"}) == ["CONFLICT"]

    assert (await operator.station(identity, "configuration")) == {"configuration": station["configuration"]}


@every_version
async def test_what_a_station_tells_of_its_settings_is_kept(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    key = "HeartbeatInterval" if kind is Charger16 else "OCPPCommCtrlr.HeartbeatInterval"
    unknown = "Nonsense" if kind is Charger16 else "OCPPCommCtrlr.Nonsense"
    async with kind.connected(base, identity):
        station_id = (await operator.station(identity))["id"]
        command = await operator.ask(SEND, id=station_id, c={"getConfiguration": {"keys": [key, unknown]}})

    assert command["result"] == {"configuration": {key: {"value": "60", "readonly": False}}, "unknown": [unknown]}
    assert (await operator.station(identity, "configuration")) == {"configuration": {key: "60"}}

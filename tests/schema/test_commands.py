import asyncio
from typing import Any
from uuid import UUID

import pytest

from domain import commands, stations
from domain.actor import Role
from domain.commands import Command, CommandKind, CommandStatus, Outcome
from tests.factories import a_station, a_token
from tests.live import assert_live
from tests.tester import Tester

pytestmark = pytest.mark.anyio

ORDER = "id kind arguments status result error createdAt completedAt station { identity } session { id }"
SEND = f"""
mutation ($id: ID!, $command: StationCommand!) {{ sendCommand(stationId: $id, command: $command) {{ {ORDER} }} }}
"""
QUEUED = """
mutation ($id: ID!, $command: StationCommand!, $for: Int) {
  sendCommand(stationId: $id, command: $command, queueForS: $for) {
    id status attempts nextAttemptAt createdAt expiresAt deadlineAt sentAt error
  }
}
"""
UPDATES = "subscription ($id: ID) { commandUpdates(commandId: $id) { id status result error completedAt } }"


async def requested(tester: Tester, station_id: UUID) -> Command:
    async with tester.work() as work:
        return await commands.request(work, station_id=station_id, kind=CommandKind.RESET, arguments={"type": "SOFT"})


async def completed(tester: Tester, command: Command, status: CommandStatus = CommandStatus.ACCEPTED) -> None:
    async with tester.work() as work:
        outcome = Outcome(status=status, result={"status": "Accepted"}, error=None)
        await commands.complete(work, command_id=command.id, outcome=outcome)


@pytest.mark.parametrize(
    ("command", "kind", "arguments"),
    [
        ({"reset": {"type": "HARD"}}, "RESET", {"type": "HARD"}),
        ({"reset": {}}, "RESET", {"type": "SOFT"}),
        (
            {"unlockConnector": {"evseNumber": 2, "connectorNumber": 1}},
            "UNLOCK_CONNECTOR",
            {"evse_number": 2, "connector_number": 1},
        ),
        (
            {"changeAvailability": {"operationalStatus": "INOPERATIVE"}},
            "CHANGE_AVAILABILITY",
            {"operational_status": "INOPERATIVE"},
        ),
        (
            {"triggerMessage": {"message": "METER_VALUES", "evseNumber": 1}},
            "TRIGGER_MESSAGE",
            {"message": "METER_VALUES", "evse_number": 1},
        ),
        ({"getConfiguration": {"keys": ["A"]}}, "GET_CONFIGURATION", {"keys": ["A"]}),
        ({"changeConfiguration": {"key": "A", "value": "1"}}, "CHANGE_CONFIGURATION", {"key": "A", "value": "1"}),
        ({"clearCache": True}, "CLEAR_CACHE", {}),
        (
            {"dataTransfer": {"vendorId": "acme", "data": {"fan": [1]}}},
            "DATA_TRANSFER",
            {"vendor_id": "acme", "data": {"fan": [1]}},
        ),
        (
            {"getVariables": {"variables": [{"component": "C", "variable": "V", "evseNumber": 1}]}},
            "GET_VARIABLES",
            {"variables": [{"component": "C", "variable": "V", "evse_number": 1, "attribute": "ACTUAL"}]},
        ),
        (
            {"setVariables": {"variables": [{"component": "C", "variable": "V", "value": "1", "attribute": "TARGET"}]}},
            "SET_VARIABLES",
            {"variables": [{"component": "C", "variable": "V", "value": "1", "attribute": "TARGET"}]},
        ),
        (
            {
                "setNetworkProfile": {
                    "slot": 1,
                    "url": "wss://csms.example",
                    "securityProfile": 2,
                    "apn": {"name": "iot", "authentication": "NONE"},
                }
            },
            "SET_NETWORK_PROFILE",
            {
                "slot": 1,
                "url": "wss://csms.example",
                "security_profile": 2,
                "interface": "Wired0",
                "message_timeout_s": 30,
                "apn": {"name": "iot", "authentication": "NONE"},
            },
        ),
        ({"getTransactionStatus": {}}, "GET_TRANSACTION_STATUS", {}),
    ],
)
async def test_an_order_is_written_down_in_the_domains_words(
    acme: Tester, command: dict[str, Any], kind: str, arguments: dict[str, Any]
) -> None:
    station = await a_station(acme, "CP-1")

    sent = (await acme.gql(SEND, {"id": str(station.id), "command": command}))["sendCommand"]

    assert (sent["kind"], sent["arguments"], sent["station"]) == (kind, arguments, {"identity": "CP-1"})
    assert (sent["status"], bool(sent["error"]), bool(sent["completedAt"])) == ("FAILED", True, True)  # nobody is there


@pytest.mark.parametrize("command", [{}, {"reset": {}, "getConfiguration": {}}, {"reset": None}])
async def test_an_order_is_exactly_one(acme: Tester, command: dict[str, Any]) -> None:
    station = await a_station(acme)

    assert await acme.gql_errors(SEND, {"id": str(station.id), "command": command}) == ["INVALID"]


@pytest.mark.parametrize(
    ("command", "field"),
    [
        ({"unlockConnector": {"evseNumber": 0}}, "command.unlockConnector.evseNumber"),
        ({"reset": {"evseNumber": -1}}, "command.reset.evseNumber"),
        ({"changeAvailability": {"operationalStatus": "OPERATIVE", "connectorNumber": 1}}, "evseNumber"),
        ({"remoteStart": {"tokenUid": "A", "evseNumber": 0}}, "command.remoteStart.evseNumber"),
        ({"remoteStop": {"sessionId": "x"}}, "command.remoteStop.sessionId"),
        ({"clearCache": False}, "command.clearCache"),
        ({"getVariables": {"variables": []}}, "command.getVariables.variables"),
        (
            {"getVariables": {"variables": [{"component": "C", "variable": "V", "connectorNumber": 1}]}},
            "command.getVariables.variables.0.evseNumber",
        ),
        (
            {"setNetworkProfile": {"slot": 1, "url": "ws://a", "securityProfile": 3}},
            "command.setNetworkProfile.url",
        ),
        (
            {"reserveNow": {"tokenUid": "A", "expiresAt": "2020-01-01T00:00:00Z"}},
            "command.reserveNow.expiresAt",
        ),
    ],
)
async def test_what_is_wrong_with_an_order_is_named(acme: Tester, command: dict[str, Any], field: str) -> None:
    station = await a_station(acme)

    answer = await acme.answer(SEND, {"id": str(station.id), "command": command})

    assert answer.errors
    (error,) = answer.errors
    assert (error.extensions or {})["code"] == "INVALID"
    assert (error.extensions or {})["field"].endswith(field)


async def test_a_viewer_may_not_order(acme: Tester) -> None:
    station = await a_station(acme)

    assert await acme.gql_errors(SEND, {"id": str(station.id), "command": {"reset": {}}}, role=Role.VIEWER) == [
        "FORBIDDEN"
    ]


async def test_a_charge_is_stopped_at_its_own_station(acme: Tester) -> None:
    from tests.schema.test_sessions import a_charger

    here, there = await a_charger(acme), await a_charger(acme)
    session = await here.start()
    stop = {"remoteStop": {"sessionId": str(session.id)}}

    assert await acme.gql_errors(SEND, {"id": str(there.station_id), "command": stop}) == ["INVALID"]
    sent = (await acme.gql(SEND, {"id": str(here.station_id), "command": stop}))["sendCommand"]
    assert (sent["kind"], sent["session"]) == ("REMOTE_STOP", {"id": str(session.id)})


async def test_whoever_watches_sees_an_order_as_a_query_does(acme: Tester) -> None:
    station = await a_station(acme)
    command = await requested(acme, station.id)

    seen = await assert_live(
        acme,
        (UPDATES, "commandUpdates"),
        lambda: completed(acme, command),
        ("query ($id: ID!) { command(id: $id) { id status result error completedAt } }", "command"),
        variables={"id": str(command.id)},
        snapshot=1,
    )

    assert [item["commandUpdates"]["status"] for item in seen] == ["QUEUED", "ACCEPTED"]


async def test_an_order_for_a_station_that_is_not_there_waits_where_its_caller_says_so(acme: Tester) -> None:
    station = await a_station(acme)
    asked = {"id": str(station.id), "command": {"getConfiguration": {}}}

    waiting = (await acme.gql(QUEUED, asked | {"for": 3_600}))["sendCommand"]
    not_waiting = (await acme.gql(QUEUED, asked))["sendCommand"]

    assert (waiting["status"], waiting["attempts"], waiting["error"]) == ("QUEUED", 0, None)
    assert (waiting["sentAt"], waiting["nextAttemptAt"]) == (None, None)
    assert waiting["deadlineAt"] == waiting["expiresAt"] > waiting["createdAt"]
    assert (not_waiting["status"], not_waiting["attempts"], not_waiting["expiresAt"]) == ("FAILED", 0, None)
    for wrong in (0, 604_801):
        assert await acme.gql_errors(QUEUED, asked | {"for": wrong}) == ["INVALID"]


async def test_a_charge_may_be_begun_and_ended_later_too(acme: Tester) -> None:
    from tests.schema.test_sessions import a_charger

    charger = await a_charger(acme)
    session, token = await charger.start(), await a_token(acme)
    start = "mutation ($i: StartSessionInput!) { startSession(input: $i, queueForS: 60) { kind status } }"
    stop = "mutation ($id: ID!) { stopSession(sessionId: $id, queueForS: 60) { kind status } }"

    begun = await acme.gql(start, {"i": {"stationId": str(charger.station_id), "tokenUid": token.uid}})
    ended = await acme.gql(stop, {"id": str(session.id)})

    assert begun == {"startSession": {"kind": "REMOTE_START", "status": "QUEUED"}}
    assert ended == {"stopSession": {"kind": "REMOTE_STOP", "status": "QUEUED"}}


async def test_whoever_watches_sees_an_order_called_off(acme: Tester) -> None:
    station = await a_station(acme)
    sent = await acme.gql(QUEUED, {"id": str(station.id), "command": {"reset": {}}, "for": 60})
    id = sent["sendCommand"]["id"]
    cancel = "mutation ($id: ID!) { cancelCommand(commandId: $id) { id status } }"

    seen = await assert_live(
        acme,
        (UPDATES, "commandUpdates"),
        lambda: acme.gql(cancel, {"id": id}),
        ("query ($id: ID!) { command(id: $id) { id status result error completedAt } }", "command"),
        variables={"id": id},
        snapshot=1,
    )

    assert [item["commandUpdates"]["status"] for item in seen] == ["QUEUED", "CANCELLED"]
    assert await acme.gql(cancel, {"id": id}) == {"cancelCommand": {"id": id, "status": "CANCELLED"}}
    assert await acme.gql_errors(cancel, {"id": id}, role=Role.VIEWER) == ["FORBIDDEN"]


async def test_what_has_ended_is_not_called_off(acme: Tester) -> None:
    station = await a_station(acme)
    command = await requested(acme, station.id)
    await completed(acme, command)

    cancel = "mutation ($id: ID!) { cancelCommand(commandId: $id) { id } }"
    assert await acme.gql_errors(cancel, {"id": str(command.id)}) == ["CONFLICT"]


async def test_orders_are_listed_newest_first_by_what_is_wanted(acme: Tester) -> None:
    here, there = await a_station(acme), await a_station(acme)
    first, second, elsewhere = [await requested(acme, station.id) for station in (here, here, there)]
    await completed(acme, second)
    listed = """
    query ($filter: CommandFilter, $first: Int! = 50, $after: String) {
      commands(filter: $filter, first: $first, after: $after) {
        totalCount nodes { id } pageInfo { hasNextPage endCursor }
      }
    }
    """

    async def found(**wanted: Any) -> list[str]:
        page = (await acme.gql(listed, {"filter": wanted}))["commands"]
        assert page["totalCount"] == len(page["nodes"])
        return [node["id"] for node in page["nodes"]]

    newest, older, oldest = str(elsewhere.id), str(second.id), str(first.id)
    assert await found() == [newest, older, oldest]
    assert await found(stationId=str(here.id)) == [older, oldest]
    assert await found(status=["QUEUED"]) == [newest, oldest]
    assert await found(stationId=str(here.id), status=["ACCEPTED", "FAILED"], kind=["RESET"]) == [older]
    assert await found(kind=["GET_CONFIGURATION"]) == []
    page = (await acme.gql(listed, {"first": 2}))["commands"]
    assert page["pageInfo"]["hasNextPage"]
    rest = (await acme.gql(listed, {"after": page["pageInfo"]["endCursor"]}))["commands"]
    assert [node["id"] for node in rest["nodes"]] == [oldest]


async def test_all_orders_are_told_of_where_none_is_named(acme: Tester) -> None:
    station = await a_station(acme)
    pending, over = await requested(acme, station.id), await requested(acme, station.id)
    await completed(acme, over)

    async with acme.subscribe(UPDATES) as items, asyncio.timeout(20):
        assert (await anext(items))["commandUpdates"]["id"] == str(pending.id)
        fresh = await requested(acme, station.id)
        told = (await anext(items))["commandUpdates"]

    assert (told["id"], told["status"]) == (str(fresh.id), "QUEUED")


async def test_an_order_goes_with_its_station(acme: Tester) -> None:
    station = await a_station(acme)
    command = await requested(acme, station.id)
    async with acme.work() as work:
        await stations.delete(work, station_id=station.id)

    async with acme.subscribe(UPDATES) as items:
        waiting = asyncio.ensure_future(anext(items))
        done, _ = await asyncio.wait({waiting}, timeout=0.5)
        waiting.cancel()
        await asyncio.wait({waiting})

    assert not done, command


async def test_the_outcome_of_a_command_has_a_type(acme: Tester) -> None:
    """Told by the subscription, since no query asks for a command."""
    station = await a_station(acme)
    asked = """subscription ($id: ID) { commandUpdates(commandId: $id) { result outcome { __typename
      ... on StatusOutcome { status scheduled reasonCode additionalInfo }
      ... on ConfigurationOutcome { values { key value readonly } unknown }
      ... on VariablesOutcome { variables { component variable attribute status value evseNumber } }
      ... on UnlockOutcome { status unlock }
      ... on DataTransferOutcome { status data }
      ... on TransactionStatusOutcome { ongoing messagesInQueue }
      ... on LocalListVersionOutcome { version supported }
    } } }"""
    variable = {"component": "C", "variable": "V", "attribute": "TARGET", "status": "Accepted", "value": "1"}
    setting = {"A": {"value": "1", "readonly": True}}
    for kind, result, shown in (
        ("RESET", None, None),
        ("GET_LOCAL_LIST_VERSION", {"version": 3}, {"version": 3, "supported": True}),
        ("GET_LOCAL_LIST_VERSION", {"version": -1}, {"version": -1, "supported": False}),
        (
            "RESET",
            {"status": "Scheduled"},
            {"status": "Scheduled", "scheduled": True, "reasonCode": None, "additionalInfo": None},
        ),
        (
            "GET_CONFIGURATION",
            {"configuration": setting, "unknown": ["B"]},
            {"values": [{"key": "A", "value": "1", "readonly": True}], "unknown": ["B"]},
        ),
        ("SET_VARIABLES", {"variables": [variable]}, {"variables": [{**variable, "evseNumber": None}]}),
        ("UNLOCK_CONNECTOR", {"status": "UnlockFailed"}, {"status": "UnlockFailed", "unlock": "UNLOCK_FAILED"}),
        ("DATA_TRANSFER", {"status": "Accepted", "data": [1]}, {"status": "Accepted", "data": [1]}),
        ("GET_TRANSACTION_STATUS", {"messages_in_queue": True}, {"ongoing": None, "messagesInQueue": True}),
    ):
        async with acme.work() as work:
            arguments = {"variables": [variable]} if kind == "SET_VARIABLES" else {"type": "SOFT"}
            command = await commands.request(
                work, station_id=station.id, kind=commands.CommandKind(kind), arguments=arguments
            )
        if result is not None:
            async with acme.work() as work:
                outcome = Outcome("ACCEPTED", result, None)
                await commands.complete(work, command_id=command.id, outcome=outcome)
        async with acme.subscribe(asked, {"id": str(command.id)}) as items:
            told = (await anext(items))["commandUpdates"]
        typed = told["outcome"] or {}
        assert typed.pop("__typename", "").endswith("Outcome") is (result is not None)
        assert (typed or None, told["result"]) == (shown, result)


async def test_what_was_answered_before_an_order_failed_is_shown_in_types_and_remembered(acme: Tester) -> None:
    station = await a_station(acme)
    variable = {"component": "C", "variable": "V", "attribute": "ACTUAL", "status": "Accepted", "value": "1"}
    async with acme.work() as work:
        command = await commands.request(
            work,
            station_id=station.id,
            kind=commands.CommandKind.GET_VARIABLES,
            arguments={"variables": [{"component": "C", "variable": "V"}, {"component": "C", "variable": "W"}]},
        )
    async with acme.work() as work:
        result = {"variables": [variable], "error_code": "InternalError"}
        await commands.complete(work, command_id=command.id, outcome=Outcome("FAILED", result, "refused"))

    shown = await acme.gql(
        """query ($id: ID!) { command(id: $id) { status outcome { ... on VariablesOutcome { variables { value } } }
             station { variables { nodes { variable value } } } } }""",
        {"id": str(command.id)},
    )

    assert shown["command"] == {
        "status": "FAILED",
        "outcome": {"variables": [{"value": "1"}]},
        "station": {"variables": {"nodes": [{"variable": "V", "value": "1"}]}},
    }

import pytest

from domain.actor import Role
from resolvers.context import context
from tests.domain.local_lists.keeper import a_keeper, beside, keep
from tests.factories import a_station, a_token
from tests.tester import Tester, asked

pytestmark = pytest.mark.anyio

STATE = "localList { policy status version wantedVersion size omitted error }"
POLICY = f"""mutation ($ids: [ID!], $policy: LocalListPolicy!) {{
  setLocalListPolicy(stationIds: $ids, policy: $policy) {{ id {STATE} }}
}}"""
SEND = """mutation ($id: ID!, $command: StationCommand!) {
  sendCommand(stationId: $id, command: $command) { kind status result }
}"""


async def test_a_station_shows_what_it_keeps_and_is_told_what_to_keep(acme: Tester) -> None:
    await a_token(acme, "CARD")
    station = await a_station(acme)
    shown = f"query ($id: ID!) {{ station(id: $id) {{ {STATE} }} }}"
    assert await acme.gql(shown, {"id": str(station.id)}) == {"station": {"localList": None}}
    keeper = await a_keeper(acme)
    variables = {"ids": [str(keeper.station_id)], "policy": "ALL_TOKENS"}
    (changed,) = (await acme.gql(POLICY, variables))["setLocalListPolicy"]
    pending = {"version": 0, "wantedVersion": 0, "size": None, "omitted": 0, "error": None}
    assert changed["localList"] == {"policy": "ALL_TOKENS", "status": "PENDING", **pending}
    await keep(acme, keeper)
    kept = (await acme.gql(shown, {"id": str(keeper.station_id)}))["station"]["localList"]
    assert kept == {"policy": "ALL_TOKENS", "status": "CURRENT", **pending, "version": 1, "wantedVersion": 1, "size": 1}
    assert await acme.gql_errors(POLICY, variables, role=Role.VIEWER) == ["FORBIDDEN"]
    everywhere = (await acme.gql(POLICY, {"ids": None, "policy": "OFF"}))["setLocalListPolicy"]
    assert {one["id"] for one in everywhere} == {str(station.id), str(keeper.station_id)}


async def test_an_operator_orders_a_list_and_asks_for_its_version(acme: Tester) -> None:
    await a_token(acme, "CARD")
    keeper = await a_keeper(acme)
    asking = context(beside(acme, keeper), acme.actor)
    for command, kind, result in (
        ({"sendLocalList": {}}, "SEND_LOCAL_LIST", {"status": "Accepted"}),
        ({"getLocalListVersion": True}, "GET_LOCAL_LIST_VERSION", {"version": 1}),
        ({"sendLocalList": {"update": "FULL", "tokenUids": ["card"]}}, "SEND_LOCAL_LIST", {"status": "Accepted"}),
    ):
        answer = await asked(asking, SEND, {"id": str(keeper.station_id), "command": command})
        assert answer.data
        sent = answer.data["sendCommand"]
        assert (sent["kind"], sent["status"], sent["result"]) == (kind, "ACCEPTED", result)
    assert (keeper.versions, keeper.held) == ([1, 2], {"card": "ACCEPTED"})
    queued = SEND.replace("command: $command)", "command: $command, queueForS: 60)")
    refused = await asked(asking, queued, {"id": str(keeper.station_id), "command": {"sendLocalList": {}}})
    assert [(error.extensions or {}).get("code") for error in refused.errors or ()] == ["INVALID"]

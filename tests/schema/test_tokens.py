from typing import Any

import pytest

from tests.factories import a_location, a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio

FIELDS = "id uid type status expiresAt group contractId maxSessions"
CREATE = f"mutation ($input: CreateTokenInput!) {{ createToken(input: $input) {{ {FIELDS} }} }}"
UPDATE = f"mutation ($id: ID!, $input: UpdateTokenInput!) {{ updateToken(id: $id, input: $input) {{ {FIELDS} }} }}"


async def test_a_token_shows_what_was_entered(acme: Tester) -> None:
    entered = {
        "uid": "04A1B2C3",
        "type": "APP_USER",
        "status": "BLOCKED",
        "expiresAt": "2030-01-01T01:00:00+01:00",
        "group": "FLEET",
        "contractId": "DE-VLT-C1",
        "maxSessions": 2,
    }

    created = (await acme.gql(CREATE, {"input": entered}))["createToken"]

    assert created == entered | {"id": created["id"], "expiresAt": "2030-01-01T00:00:00Z"}
    found = await acme.gql(f"query ($id: ID!) {{ token(id: $id) {{ {FIELDS} }} }}", {"id": created["id"]})
    assert found == {"token": created}
    assert await acme.gql("{ tokens { totalCount nodes { uid } } }") == {
        "tokens": {"totalCount": 1, "nodes": [{"uid": "04A1B2C3"}]}
    }


async def test_a_token_shows_where_it_may_charge_and_as_what_stations_know_it(acme: Tester) -> None:
    here, there = await a_location(acme, "Here"), await a_location(acme, "There")
    fields = "idTokenType locations { name }"
    create = f"mutation ($input: CreateTokenInput!) {{ createToken(input: $input) {{ id {fields} }} }}"
    entered = {"uid": "CARD", "locationIds": [str(here.id), str(there.id)], "idTokenType": "ISO15693"}

    created = (await acme.gql(create, {"input": entered}))["createToken"]

    assert created["idTokenType"] == "ISO15693"
    assert sorted(location["name"] for location in created["locations"]) == ["Here", "There"]
    await acme.gql("mutation ($id: ID!) { deleteLocation(id: $id) { id } }", {"id": str(there.id)})
    token = f"query ($id: ID!) {{ token(id: $id) {{ {fields} }} }}"
    assert (await acme.gql(token, {"id": created["id"]}))["token"]["locations"] == [{"name": "Here"}]
    update = f"mutation ($id: ID!, $input: UpdateTokenInput!) {{ updateToken(id: $id, input: $input) {{ {fields} }} }}"
    cleared = await acme.gql(update, {"id": created["id"], "input": {"locationIds": None, "idTokenType": None}})
    assert cleared["updateToken"] == {"idTokenType": None, "locations": None}
    for wrong in ([], ["x"]):
        assert await acme.gql_errors(create, {"input": {"uid": "OTHER", "locationIds": wrong}}) == ["INVALID"]


async def test_a_token_shows_when_and_at_which_plugs_it_may_charge(acme: Tester) -> None:
    fields = "hours { days begin end } connectorTypes"
    create = f"mutation ($input: CreateTokenInput!) {{ createToken(input: $input) {{ id {fields} }} }}"
    hours = {"days": ["MONDAY", "FRIDAY"], "begin": "22:00", "end": "06:00"}
    entered = {"hours": [hours], "connectorTypes": ["cCCS2"]}

    created = (await acme.gql(create, {"input": {"uid": "CARD", **entered}}))["createToken"]

    assert created == {"id": created["id"], **entered}
    update = f"mutation ($id: ID!, $input: UpdateTokenInput!) {{ updateToken(id: $id, input: $input) {{ {fields} }} }}"
    cleared = await acme.gql(update, {"id": created["id"], "input": {"hours": None, "connectorTypes": None}})
    assert cleared["updateToken"] == {"hours": None, "connectorTypes": None}
    wrongs: list[dict[str, Any]] = [{"hours": []}, {"hours": [{**hours, "begin": "late"}]}, {"connectorTypes": []}]
    for wrong in wrongs:
        assert await acme.gql_errors(create, {"input": {"uid": "OTHER", **wrong}}) == ["INVALID"]


async def test_what_holds_for_a_group_is_set_shown_and_taken_back(acme: Tester) -> None:
    fields = "uid masterPass maxSessions"
    set_group = f"mutation ($input: TokenGroupInput!) {{ setTokenGroup(input: $input) {{ {fields} }} }}"
    wanted = {"uid": "FLEET", "masterPass": False, "maxSessions": 3}
    assert await acme.gql(set_group, {"input": wanted}) == {"setTokenGroup": wanted}
    listed = f"{{ tokenGroups {{ nodes {{ {fields} }} }} }}"
    assert await acme.gql(listed) == {"tokenGroups": {"nodes": [wanted]}}
    assert await acme.gql_errors(set_group, {"input": {"uid": "FLEET", "maxSessions": 0}}) == ["INVALID"]
    await acme.gql('mutation { deleteTokenGroup(uid: "fleet") { id } }')
    assert await acme.gql(listed) == {"tokenGroups": {"nodes": []}}


async def test_a_uid_alone_makes_an_accepted_card(acme: Tester) -> None:
    created = (await acme.gql(CREATE, {"input": {"uid": "CARD"}}))["createToken"]

    assert (created["type"], created["status"], created["group"]) == ("RFID", "ACCEPTED", None)


async def test_two_tokens_cannot_share_a_uid(acme: Tester) -> None:
    await a_token(acme, "CARD")

    assert await acme.gql_errors(CREATE, {"input": {"uid": "card"}}) == ["CONFLICT"]


async def test_what_is_absent_of_an_update_stays_and_null_clears(acme: Tester) -> None:
    token = await a_token(acme, "CARD", group_uid="FLEET", contract_id="C1")

    updated = await acme.gql(UPDATE, {"id": str(token.id), "input": {"status": "BLOCKED", "group": None}})

    shown = updated["updateToken"]
    assert (shown["uid"], shown["status"], shown["group"], shown["contractId"]) == ("CARD", "BLOCKED", None, "C1")
    assert await acme.gql_errors(UPDATE, {"id": str(token.id), "input": {"status": None}}) == ["INVALID"]


async def test_a_viewer_may_look_and_not_touch(acme: Tester) -> None:
    from domain.actor import Role

    token = await a_token(acme, "CARD")

    assert await acme.gql("{ tokens { nodes { uid } } }", role=Role.VIEWER) == {"tokens": {"nodes": [{"uid": "CARD"}]}}
    for query, variables in (
        (CREATE, {"input": {"uid": "OTHER"}}),
        (UPDATE, {"id": str(token.id), "input": {"status": "BLOCKED"}}),
        ("mutation ($id: ID!) { deleteToken(id: $id) { id } }", {"id": str(token.id)}),
    ):
        assert await acme.gql_errors(query, variables, role=Role.VIEWER) == ["FORBIDDEN"]

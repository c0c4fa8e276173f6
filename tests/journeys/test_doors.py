"""Who is let in: people with credentials, stations with names and passwords."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ocpp.v16 import call_result as result16
from ocpp.v21 import call_result as result21
from ocpp.v201 import call_result as result201
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.journeys.chargers import Bare, Charger, Charger16, Charger21, Charger201
from tests.journeys.clients import Operator, Refused, Stream, Tenant
from tests.journeys.servers import Server, running

pytestmark = pytest.mark.anyio

ME = "{ me { name role } }"
CREDENTIAL = """
mutation ($input: CreateCredentialInput!) { createCredential(input: $input) { credential { id } secret } }
"""
REVOKE = "mutation ($id: ID!) { revokeCredential(id: $id) { revokedAt } }"
RESET = """
mutation ($id: ID!) { sendCommand(stationId: $id, command: { reset: { type: SOFT } }) { status } }
"""
REGISTER = "mutation ($input: RegisterStationInput!) { registerStation(input: $input) { id registration } }"
ACCEPT = "mutation ($id: ID!) { updateStation(id: $id, input: { registration: ACCEPTED }) { registration } }"
STATUS = "subscription { stationStatusUpdates { status } }"
BOOT = {"chargePointVendor": "Voltex", "chargePointModel": "One"}


@pytest.fixture(scope="module")
def pending(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    policy = {"VOLTGRAPH_STATION_POLICY": "pending"}
    with running(Server(folder / "pending", **environment, **policy)) as server:
        yield server


@pytest.fixture(scope="module")
def reject(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """The default, with a ping interval of its own."""
    told = {"VOLTGRAPH_STATION_POLICY": None, "VOLTGRAPH_STATION_PING_S": "45"}
    with running(Server(folder / "reject", **environment, **told)) as server:
        yield server


async def somebody(operator: Operator, role: str) -> tuple[str, Operator]:
    made = await operator.ask(CREDENTIAL, input={"name": "somebody", "role": role})
    return made["credential"]["id"], Operator(operator.url, made["secret"])


async def refusal(base: str, identity: str, **given: Any) -> int:
    """The status with which a handshake is denied."""
    with pytest.raises(InvalidStatus) as refused:
        async with Bare.connected(base, identity, **given):
            pass
    return refused.value.response.status_code


async def test_without_a_credential_every_field_says_so(server: Server) -> None:
    async with Operator(server.url, None) as nobody:
        answer = await nobody.post("{ me { name } stations { totalCount } }")
        assert answer.status_code == 200
        assert await nobody.codes("{ me { name } stations { totalCount } }") == ["UNAUTHENTICATED"] * 2
        assert await nobody.codes(RESET, id="nonsense") == ["UNAUTHENTICATED"]
        async with nobody.watching(STATUS) as stream:
            with pytest.raises(Refused) as refused:
                await stream.next()
    assert refused.value.codes == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("shown", ["Bearer nonsense", "Bearer vg_" + "A" * 43, "Basic YTpi"])
async def test_a_wrong_credential_is_refused_before_anything_is_asked(server: Server, shown: str) -> None:
    async with Operator(server.url, None) as nobody:
        nobody._http.headers["Authorization"] = shown
        answer = await nobody.post(ME)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_empty_credential_is_none(server: Server) -> None:
    """GraphiQL's, before somebody has filled it in."""
    async with Operator(server.url, None) as nobody:
        nobody._http.headers["Authorization"] = "Bearer"
        assert await nobody.codes(ME) == ["UNAUTHENTICATED"]


async def test_a_wrong_credential_opens_no_socket(server: Server) -> None:
    url = server.graphql.replace("http", "ws")
    protocol = Subprotocol("graphql-transport-ws")
    async with connect(url, subprotocols=[protocol]) as socket:
        await Stream(socket).say(type="connection_init", payload={"Authorization": "Bearer nonsense"})
        await socket.wait_closed()
        assert socket.close_code == 4403
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, subprotocols=[protocol], additional_headers={"Authorization": "Bearer nonsense"}):
            pass
    assert refused.value.response.status_code == 401


async def test_a_revoked_credential_opens_nothing(operator: Operator) -> None:
    id, somebody_else = await somebody(operator, "OPERATOR")
    async with somebody_else:
        assert await somebody_else.ask(ME) == {"name": "somebody", "role": "OPERATOR"}
        await operator.ask(REVOKE, id=id)
        assert (await somebody_else.post(ME)).status_code == 401


async def test_a_viewer_may_look_and_not_touch(base: str, operator: Operator, identity: str) -> None:
    _, viewer = await somebody(operator, "VIEWER")
    async with viewer, Charger16.connected(base, identity) as charger:
        station_id = (await viewer.station(identity))["id"]
        async with viewer.watching(STATUS) as stream:
            await stream.next()
        assert await viewer.codes(RESET, id=station_id) == ["FORBIDDEN"]
        assert await viewer.codes(REGISTER, input={"identity": f"{identity}-2"}) == ["FORBIDDEN"]
        assert await viewer.codes(CREDENTIAL, input={"name": "mine", "role": "ADMIN"}) == ["FORBIDDEN"]
        assert charger.orders.empty()


async def test_an_operator_may_order_and_not_manage(base: str, operator: Operator, identity: str) -> None:
    _, other = await somebody(operator, "OPERATOR")
    async with other, Charger16.connected(base, identity):
        station_id = (await other.station(identity))["id"]
        assert await other.ask(RESET, id=station_id) == {"status": "ACCEPTED"}
        assert await other.codes(CREDENTIAL, input={"name": "mine", "role": "ADMIN"}) == ["FORBIDDEN"]


async def test_tenants_do_not_see_each_other(server: Server, base: str, operator: Operator, identity: str) -> None:
    rival = Tenant.made(server)
    async with Charger16.connected(base, identity), Operator(server.url, rival.secret) as stranger:
        station_id = (await operator.station(identity))["id"]
        assert await stranger.codes("query ($id: ID!) { station(id: $id) { id } }", id=station_id) == ["NOT_FOUND"]
        assert await stranger.codes(RESET, id=station_id) == ["NOT_FOUND"]
        async with stranger.watching("subscription { stationStatusUpdates { station { identity } } }") as stream:
            async with Charger16.connected(base, f"{identity}-b") as other:
                await other.boot()
            async with Charger16.connected(f"{server.ocpp}/{rival.slug}", identity):
                assert await stream.next() == {"station": {"identity": identity}}
        assert (await stranger.station(identity))["id"] != station_id


async def test_an_unknown_station_waits_until_somebody_accepts_it(
    pending: Server, tenant: Tenant, operator: Operator, identity: str
) -> None:
    async with Bare.connected(f"{pending.ocpp}/{tenant.slug}", identity) as charger:
        assert (await charger.call("BootNotification", BOOT))["status"] == "Pending"
        station = await operator.station(identity, "id registration")
        assert station["registration"] == "PENDING"
        await operator.ask(ACCEPT, id=station["id"])
        message_id, action, wanted = await charger.ordered()
        assert (action, wanted) == ("TriggerMessage", {"requestedMessage": "BootNotification"})
        await charger.say([3, message_id, {"status": "Accepted"}])
        booted = await charger.call("BootNotification", {**BOOT, "firmwareVersion": "2"})

    assert booted["status"] == "Accepted"
    assert booted["interval"] > 0


async def test_an_unknown_station_is_sent_away_by_default(
    reject: Server, tenant: Tenant, operator: Operator, identity: str
) -> None:
    base = f"{reject.ocpp}/{tenant.slug}"
    assert await refusal(base, identity) == 404
    assert await operator.codes("query ($i: String!) { stationByIdentity(identity: $i) { id } }", i=identity) == [
        "NOT_FOUND"
    ]

    await operator.ask(REGISTER, input={"identity": identity})
    async with Charger201.connected(base, identity) as charger:
        assert await charger.boot() == "Accepted"


async def test_a_station_that_was_rejected_is_told_so(
    reject: Server, tenant: Tenant, operator: Operator, identity: str
) -> None:
    await operator.ask(REGISTER, input={"identity": identity, "registration": "REJECTED"})
    async with Charger16.connected(f"{reject.ocpp}/{tenant.slug}", identity) as charger:
        assert await charger.boot() == "Rejected"


async def test_a_station_that_was_let_in_is_told_how_often_to_ping(
    reject: Server, tenant: Tenant, operator: Operator, identity: str
) -> None:
    """In every version, by chargers that know nothing of us."""
    ping = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "WebSocketPingInterval"}}
    got = {**ping, "attribute_status": "Accepted", "attribute_value": "0"}
    setting = {"key": "WebSocketPingInterval", "readonly": False, "value": "0"}

    async def told(kind: type[Charger], name: str, action: str, answer: Any) -> Any:
        await operator.ask(REGISTER, input={"identity": name})
        async with kind.connected(f"{reject.ocpp}/{tenant.slug}", name) as charger:
            charger.answers[action] = answer
            assert await charger.boot() == "Accepted"
            while (order := await charger.ordered())[0] not in ("ChangeConfiguration", "SetVariables"):
                pass
            return order[1]

    heard: Any = await asyncio.gather(
        told(Charger16, f"{identity}-16", "GetConfiguration", result16.GetConfiguration(configuration_key=[setting])),
        told(Charger201, f"{identity}-201", "GetVariables", result201.GetVariables(get_variable_result=[got])),
        told(Charger21, f"{identity}-21", "GetVariables", result21.GetVariables(get_variable_result=[got])),
    )
    wanted = {"set_variable_data": [{**ping, "attribute_value": "45"}]}
    assert heard == [{"key": "WebSocketPingInterval", "value": "45"}, wanted, wanted]


@pytest.mark.parametrize("password", ["correct horse", "with:colons::", "pä$$wörd!"])
async def test_a_station_with_a_password_must_show_it(
    password: str, base: str, operator: Operator, identity: str
) -> None:
    """Under the policy that lets everybody else in."""
    registered = await operator.ask(REGISTER, input={"identity": identity, "password": password})

    assert await refusal(base, identity) == 401
    assert await refusal(base, identity, password="wrong horse") == 401
    async with Bare.connected(base, identity, password=password) as charger:
        assert (await charger.call("BootNotification", BOOT))["status"] == "Accepted"
    assert (await operator.station(identity))["id"] == registered["id"]


async def test_addresses_that_are_none_are_not_found(server: Server, tenant: Tenant, identity: str) -> None:
    assert await refusal(f"{server.ocpp}/no-such-tenant", identity) == 404
    assert await refusal(f"{server.ocpp}/{tenant.slug}", "a%2Fb") == 404
    assert await refusal(f"{server.ocpp}/{tenant.slug}/more", identity) == 404
    assert await refusal(f"{server.ocpp}/{tenant.slug}", "x" * 49) == 404


async def test_a_version_that_nobody_speaks_is_no_handshake(base: str, identity: str) -> None:
    assert await refusal(base, identity, subprotocol="ocpp1.5") == 400


async def test_stations_may_offer_to_compress_and_nothing_is_compressed(base: str, identity: str) -> None:
    async with Bare.connected(base, identity) as charger:
        offered = charger.connection.request
        assert offered is not None
        assert "permessage-deflate" in offered.headers["Sec-WebSocket-Extensions"]
        assert charger.connection.protocol.extensions == []

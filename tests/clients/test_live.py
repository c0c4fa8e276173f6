"""Subscriptions by the reference clients, graphql-ws and graphql-sse, on the application: they come again, and miss
nothing."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from uuid_utils.compat import uuid7

from tests.clients.talking import Cable, Talker
from tests.journeys.chargers import Charger16
from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server, running

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("node_modules")]

GUARD_S = 30.0
PING_S = 0.5

STATUS = """subscription ($ids: [ID!], $after: ID) {
  stationStatusUpdates(stationIds: $ids, after: $after) { eventId evseNumber status }
}"""
STATUS_OF_SSE = """subscription ($ids: [ID!]) {
  stationStatusUpdates(stationIds: $ids) { eventId evseNumber status }
}"""
CHARGES = """subscription ($id: ID, $after: ID) {
  sessionUpdates(stationId: $id, after: $after) { kind eventId session { energyWh status station { identity } } }
}"""
POINTS = "subscription ($of: [String!]) { pointUpdates(addresses: $of) { address value } }"
TOKEN = "mutation ($uid: String!) { createToken(input: { uid: $uid }) { uid status } }"
CREDENTIAL = 'mutation { createCredential(input: { name: "a wall", role: VIEWER }) { secret credential { id } } }'
RECORD = "mutation ($readings: [ReadingInput!]!) { recordReadings(readings: $readings) { recorded } }"
WORDS = ["Preparing", "Charging", "SuspendedEV", "Charging", "SuspendedEVSE", "Finishing", "Available"]
SHOWN = {
    "Preparing": "PREPARING",
    "Charging": "CHARGING",
    "SuspendedEV": "SUSPENDED_EV",
    "SuspendedEVSE": "SUSPENDED_EVSE",
    "Finishing": "FINISHING",
    "Available": "AVAILABLE",
}

both = pytest.mark.parametrize("script", ["websocket.mjs", "streams.mjs"])


@pytest.fixture
async def operator(application: Server, tenant: Tenant, anyio_backend: str) -> AsyncIterator[Operator]:
    async with Operator(application.url, tenant.secret) as operator:
        yield operator


@pytest.fixture(scope="session")
def environment(application: Server) -> dict[str, str]:
    return {name: value for name, value in application.environment.items() if name != "VOLTGRAPH_DATA_DIR"}


@pytest.fixture
def other(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One more on the same ground, at a port that it has again when it is started again. It pings often."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    often = {"VOLTGRAPH_GRAPHQL_PING_S": str(PING_S)}
    folder = tmp_path_factory.mktemp("other")
    with running(Server(folder, "serve", "--port", port, **environment, **often)) as server:
        yield server


@pytest.fixture
async def charger(application: Server, tenant: Tenant, anyio_backend: str) -> AsyncIterator["Busy"]:
    async with Charger16.connected(f"{application.ocpp}/{tenant.slug}", f"CP-{uuid7().hex[-10:]}") as charger:
        await charger.boot()
        await charger.unplug()
        async with Operator(application.url, tenant.secret) as operator:
            yield Busy(charger, str((await operator.station(charger.identity))["id"]))


@dataclass
class Busy:
    """A charger that tells of its plug. `told` is what subscribers are to see of that."""

    charger: Charger16
    id: str
    said: int = 0

    def __post_init__(self) -> None:
        self.told: list[str] = []

    async def say(self, count: int) -> None:
        for _ in range(count):
            word = WORDS[self.said % len(WORDS)]
            self.said += 1
            await self.charger._status(word)
            self.told.append(SHOWN[word])


def client(
    script: str, url: str, secret: str, /, port: int | None = None, **options: Any
) -> AbstractAsyncContextManager[Talker]:
    """At the other end of a cable, where a port is given."""
    url = f"{url}/graphql" if port is None else f"http://127.0.0.1:{port}/graphql"
    return Talker.running(script, url.replace("http", "ws", 1) if script == "websocket.mjs" else url, secret, **options)


async def until_it_has(talker: Talker, busy: Busy, id: str = "s") -> None:
    """All that the charger has said, and nothing twice or in another order, since what came first."""
    while len(news(talker, id)) < len(busy.told):
        await talker.item(id)
    assert news(talker, id) == busy.told


def news(talker: Talker, id: str) -> list[str]:
    return [item["status"] for item in talker.items(id) if item["eventId"] and item["evseNumber"] == 1]


async def begun(talker: Talker, busy: Busy, query: str = STATUS, **variables: Any) -> None:
    """A subscription to its plug, once it has told how things are."""
    await talker.run("s", query, ids=[busy.id], **variables)
    assert (await talker.item("s", lambda item: item["evseNumber"] == 1))["eventId"] is None


@both
async def test_queries_and_mutations_are_answered(
    script: str, application: Server, tenant: Tenant, operator: Operator
) -> None:
    uid = uuid7().hex[-12:].upper()
    async with client(script, application.url, tenant.secret) as talker:
        await talker.run("m", TOKEN, uid=uid)
        await talker.until_it_tells(id="m", complete=True)
        await talker.run("q", "query ($uid: ID!) { token(id: $uid) { uid } }", uid=uid)
        await talker.until_it_tells(id="q", complete=True)

    assert talker.items("m") == [{"uid": uid, "status": "ACCEPTED"}]
    assert [one["errors"][0]["extensions"]["code"] for one in talker.heard if "errors" in one] == ["INVALID"]


@both
async def test_a_subscription_begins_with_how_things_are_and_goes_on_with_the_news(
    script: str, application: Server, tenant: Tenant, operator: Operator, charger: Busy
) -> None:
    uid = await operator.token()
    await charger.charger.start(uid, 1000)
    async with client(script, application.url, tenant.secret) as talker:
        await talker.run("c", CHARGES, id=charger.id, after=None)
        snapshot = await talker.item("c")
        await charger.charger.meter(1500, 7000)
        metered = await talker.item("c", lambda item: item["kind"] == "METERED")
        await charger.charger.stop(2000)
        stopped = await talker.item("c", lambda item: item["kind"] == "STOPPED")

    station = {"identity": charger.charger.identity}
    assert snapshot == {
        "kind": "SNAPSHOT",
        "eventId": None,
        "session": {"energyWh": 0, "status": "ACTIVE", "station": station},
    }
    assert (metered["eventId"], metered["session"]["energyWh"]) == (None, 500)
    assert (bool(stopped["eventId"]), stopped["session"]["energyWh"]) == (True, 1000)


@both
async def test_readings_that_are_recorded_are_heard(
    script: str, application: Server, tenant: Tenant, operator: Operator
) -> None:
    address = f"plant/{uuid7().hex[-8:]}"
    async with client(script, application.url, tenant.secret) as talker:
        await operator.ask(RECORD, readings=[{"address": address, "at": "2026-01-01T00:00:00Z", "value": 1}])
        await talker.run("p", POINTS, of=[address])
        assert await talker.item("p") == {"address": address, "value": 1}
        await operator.ask(RECORD, readings=[{"address": address, "at": "2026-01-01T00:01:00Z", "value": 2}])
        assert await talker.item("p", lambda item: item["value"] != 1) == {"address": address, "value": 2}


@both
async def test_an_operation_that_fails_leaves_its_siblings_alone(
    script: str, application: Server, tenant: Tenant, charger: Busy
) -> None:
    async with client(script, application.url, tenant.secret) as talker:
        await begun(talker, charger)
        await talker.run("syntax", "subscription {")
        await talker.run("unknown", "subscription { nothing }")
        await talker.run("missing", STATUS, ids=[str(uuid7())])
        for id in ("syntax", "unknown", "missing"):
            await talker.until_it_tells(id=id)
        await charger.say(3)
        await until_it_has(talker, charger)

    said = [one.get("error") or one["errors"] for one in talker.heard if "error" in one or one.get("errors")]
    assert sorted(errors[0]["extensions"]["code"] for errors in said) == ["INVALID", "INVALID", "NOT_FOUND"]
    assert talker.told("closed") == []


async def test_a_lazy_client_hangs_up_with_its_last_operation(
    application: Server, tenant: Tenant, charger: Busy
) -> None:
    async with client("websocket.mjs", application.url, tenant.secret) as talker:
        await begun(talker, charger)
        await talker.run("q", "{ stations { totalCount } }")
        await talker.until_it_tells(id="q", complete=True)
        await talker.say(complete="s")
        await talker.until_it_tells(closed=1000)
        await talker.run("q2", "{ stations { totalCount } }")
        await talker.until_it_tells(id="q2", complete=True)
        await talker.until_it_tells(closed=1000)

    assert talker.told("connecting") == [False, False]


async def test_one_that_is_not_lazy_stays(application: Server, tenant: Tenant) -> None:
    async with client("websocket.mjs", application.url, tenant.secret, lazy=False, keepAlive=50) as talker:
        await talker.until_it_tells(connected=True)
        await talker.until_it_tells(pong="heard")
        for id in ("1", "2"):
            await talker.run(id, "{ stations { totalCount } }")
            await talker.until_it_tells(id=id, complete=True)
            await talker.until_it_tells(pong="heard")
        await talker.say(dispose=True)
        await talker.until_it_tells(closed=1000)

    assert talker.told("connecting") == [False]


async def test_the_servers_pings_are_answered_and_who_never_answers_is_let_be(
    other: Server, tenant: Tenant, charger: Busy
) -> None:
    polite = client("websocket.mjs", other.url, tenant.secret)
    silent = client("websocket.mjs", other.url, tenant.secret, disablePong=True)
    async with polite as talker, silent as mute:
        await begun(talker, charger)
        await begun(mute, charger)
        for _ in range(5):
            await talker.until_it_tells(pong="said")
        await charger.say(2)
        await until_it_has(talker, charger)
        while news(mute, "s")[-1:] != charger.told[-1:]:
            await mute.item("s")

    assert talker.told("closed") == mute.told("closed") == []


async def test_a_credential_that_opens_nothing_closes_with_4403_and_is_not_tried_again(application: Server) -> None:
    async with client("websocket.mjs", application.url, "nonsense", final=[4403]) as talker:
        await talker.run("q", "{ stations { totalCount } }")
        end = await talker.until(lambda one: "error" in one)

    assert (end["error"]["code"], end["error"]["reason"]) == (4403, "Forbidden")
    assert (talker.told("connecting"), talker.told("closed")) == ([False], [4403])


async def test_over_events_it_is_answered_401(application: Server) -> None:
    async with client("streams.mjs", application.url, "nonsense", retryAttempts=0) as talker:
        await talker.run("q", "{ stations { totalCount } }")
        assert (await talker.until(lambda one: "error" in one))["error"]["status"] == 401


async def test_a_credential_that_is_revoked_ends_with_4403_what_it_has_begun(
    application: Server, tenant: Tenant, operator: Operator, charger: Busy
) -> None:
    made = await operator.ask(CREDENTIAL)
    watching = client("websocket.mjs", application.url, made["secret"], final=[4403])
    reading = client("streams.mjs", application.url, made["secret"])
    async with watching as watcher, reading as reader:
        await begun(watcher, charger)
        await begun(reader, charger)
        await operator.ask("mutation ($id: ID!) { revokeCredential(id: $id) { id } }", id=made["credential"]["id"])
        end = await watcher.until(lambda one: "error" in one)
        last = await reader.until(lambda one: one.get("errors"))
        await reader.until_it_tells(complete=True)

    assert end["error"] == {"code": 4403, "reason": "credential revoked"}
    assert last["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert watcher.told("connecting") == reader.told("connecting") == [False]


@both
async def test_who_has_enough_ends_the_source(script: str, application: Server, tenant: Tenant, charger: Busy) -> None:
    async with client(script, application.url, tenant.secret) as talker:
        await metrics_say(application, running=0, members=0)
        await begun(talker, charger)
        await talker.run("other", STATUS, ids=[charger.id])
        await talker.item("other")
        await metrics_say(application, running=2, members=2, groups=1)
        await talker.say(complete="s")
        await metrics_say(application, running=1, members=1, groups=1)
        await talker.say(complete="other")
        await metrics_say(application, running=0, members=0, groups=0)


async def metrics_say(server: Server, **wanted: int) -> None:
    """In the end."""
    names = {
        "running": 'voltgraph_graphql_operations_running{kind="subscription"}',
        "members": "voltgraph_graphql_members",
        "groups": "voltgraph_graphql_groups",
    }
    async with httpx2.AsyncClient() as http, asyncio.timeout(GUARD_S):
        while True:
            text = (await http.get(f"{server.url}/metrics")).text
            told = dict(re.findall(r"^(voltgraph_graphql_[^ ]+) (\S+)$", text, re.MULTILINE))
            said = {name: float(told.get(names[name], 0)) for name in wanted}
            if said == wanted:
                return
            await asyncio.sleep(0.05)


# --- coming again ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def following(script: str, url: str, secret: str, busy: Busy, how: str, port: int) -> AsyncIterator[Talker]:
    """A subscriber who has heard some news; `how` it says, when it comes again, what the last was."""
    async with client(script, url, secret, port) as talker:
        if how == "after":
            await begun(talker, busy, after=None)
        else:
            await begun(talker, busy, STATUS_OF_SSE)
        await busy.say(2)
        await until_it_has(talker, busy)
        yield talker


ways = pytest.mark.parametrize(
    ("script", "how"), [("websocket.mjs", "after"), ("streams.mjs", "after"), ("streams.mjs", "Last-Event-ID")]
)


@ways
async def test_who_was_cut_off_is_told_what_they_missed_once_and_in_order(
    script: str, how: str, application: Server, tenant: Tenant, charger: Busy
) -> None:
    async with (
        Cable.to(application.port) as cable,
        following(script, application.url, tenant.secret, charger, how, cable.port) as talker,
    ):
        for missed in (4, 0, 1):
            await cable.unplug()
            await talker.until_it_tells(connecting=True)
            await charger.say(missed)
            await cable.plug()
            await talker.until_it_tells(connected=True)
            await charger.say(2)
            await until_it_has(talker, charger)

    assert [item["eventId"] for item in talker.items("s") if item["eventId"] is None] == [None, None]  # the first look


@ways
async def test_who_is_cut_off_in_the_middle_of_the_news_is_told_all_of_it_once(
    script: str, how: str, application: Server, tenant: Tenant, charger: Busy
) -> None:
    async with (
        Cable.to(application.port) as cable,
        following(script, application.url, tenant.secret, charger, how, cable.port) as talker,
    ):
        saying = asyncio.create_task(charger.say(60))
        for _ in range(4):
            await talker.item("s")
            cable.cut()
            await talker.until_it_tells(connected=True)
        await saying
        await until_it_has(talker, charger)


@both
async def test_who_was_not_told_anything_yet_is_told_how_things_are(
    script: str, application: Server, tenant: Tenant, charger: Busy
) -> None:
    async with (
        Cable.to(application.port) as cable,
        client(script, application.url, tenant.secret, cable.port) as talker,
    ):
        await begun(talker, charger, after=None)
        await cable.unplug()
        await talker.until_it_tells(connecting=True)
        await charger.say(1)
        await cable.plug()
        await talker.item("s", lambda item: item["status"] == charger.told[-1])


@both
async def test_whoever_names_an_event_that_is_forgotten_is_told_how_things_are(
    script: str, application: Server, tenant: Tenant, charger: Busy
) -> None:
    async with client(script, application.url, tenant.secret) as talker:
        await begun(talker, charger, after="1000000000000-0")
        await charger.say(2)
        await until_it_has(talker, charger)


@both
async def test_who_reads_too_slowly_is_told_what_is_missing_and_where_to_go_on(
    script: str, application: Server, tenant: Tenant, charger: Busy
) -> None:
    wordy = STATUS.replace("status }", f"status {'x' * 16_000}: status }}")  # it takes less to fill all buffers
    async with client(script, application.url, tenant.secret) as talker:
        await begun(talker, charger, wordy, after=None)
        await charger.say(1)
        await talker.item("s", lambda item: item["eventId"])
        with talker.stopped():
            await charger.say(500)
        end = await talker.until(lambda one: one.get("error") or one.get("errors"))
        (error,) = end.get("error") or end["errors"]
        gap = error["extensions"]["gap"]
        seen = [item["eventId"] for item in talker.items("s") if item["eventId"]]
        await talker.run("again", STATUS, ids=[charger.id], after=gap["after"])
        while len(news(talker, "s") + news(talker, "again")) < len(charger.told):
            await talker.item("again")

    assert (error["extensions"]["code"], gap["dropped"] > 0, gap["after"]) == ("RESYNC", True, seen[-1])
    assert news(talker, "s") + news(talker, "again") == charger.told
    assert talker.told("connecting")[1:] in ([], [False])  # of the socket nothing becomes; an event stream is new


@both
async def test_a_server_that_restarts_is_come_back_to_without_a_hole(
    script: str, other: Server, tenant: Tenant, charger: Busy
) -> None:
    async with following(script, other.url, tenant.secret, charger, "after", other.port) as talker:
        other.stop()
        await talker.until_it_tells(connecting=True)
        await charger.say(3)
        other.start()
        await talker.until_it_tells(connected=True)
        await charger.say(2)
        await until_it_has(talker, charger)

    if script == "websocket.mjs":
        assert talker.told("closed")[0] == 1012

"""What an engineer on the phone with a site sees of its charger."""

import asyncio
from contextlib import aclosing
from typing import Any
from uuid import UUID

import pytest

from domain import station_log
from domain.actor import Role
from domain.bus import Topic
from domain.station_log import Recorder
from gateways.graphql import Answer
from gateways.ocpp import Version, frames
from gateways.ocpp.journal import Journal
from gateways.redis import RedisBus
from resolvers.context import context
from tests.factories import a_station
from tests.gateways.redis.conftest import QUICK, Valkey
from tests.live import assert_live
from tests.schema.test_live import Watcher, shown
from tests.statements import assert_statements
from tests.tester import Tester, watched

pytestmark = pytest.mark.anyio

LOG = """
query ($id: ID!, $filter: StationLogFilter, $first: Int! = 50, $after: String) {
  stationLog(stationId: $id, filter: $filter, first: $first, after: $after) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id at direction kind action messageId payload durationMs errorCode eventId }
  }
}
"""
FOLLOW = """
subscription ($id: ID!, $last: Int! = 50, $after: ID) {
  stationLogUpdates(stationId: $id, last: $last, after: $after) { eventId action payload }
}
"""


class Line:
    """A station's, whose journal is written down when a test says so."""

    def __init__(self, tester: Tester, station_id: Any) -> None:
        assert tester.house.station_log is not None
        self.id = str(station_id)
        self._recorder: Recorder = tester.house.station_log
        self._tester = tester
        self._journal = Journal(
            self._recorder, tenant_id=tester.tenant_id, station_id=station_id, clock=tester.workplace.clock
        )

    @property
    def topics(self) -> list[Topic]:
        return station_log.topics(self._tester.tenant_id, UUID(self.id))[:1]

    @classmethod
    async def made(cls, tester: Tester, identity: str | None = None) -> "Line":
        return cls(tester, (await a_station(tester, identity)).id)

    async def hears(self, *texts: str) -> None:
        for text in texts:
            self._journal.heard(text, frames.parse(text, Version.V16))
        await self._recorder.flush()

    async def says(self, *texts: str) -> None:
        for text in texts:
            self._journal.said(text)
        await self._recorder.flush()

    async def log(self, **given: Any) -> Any:
        return (await self._tester.gql(LOG, {"id": self.id, **given}))["stationLog"]

    async def actions(self, **filter: Any) -> list[str]:
        return [node["action"] for node in (await self.log(filter=filter))["nodes"]]


def statuses(*numbers: int) -> list[str]:
    return [f'[2,"{number}","StatusNotification",{{"connectorId":{number}}}]' for number in numbers]


async def test_what_was_said_is_shown_newest_first(acme: Tester) -> None:
    line = await Line.made(acme)

    await line.hears('[2,"7","BootNotification",{"chargePointVendor":"Voltex","chargePointModel":"One"}]')
    await line.says('[3,"7",{"status":"Accepted"}]')

    answer, call = (await line.log())["nodes"]
    assert answer.pop("durationMs") >= 0
    assert {name: answer[name] for name in ("direction", "kind", "action", "messageId", "payload", "errorCode")} == {
        "direction": "OUT",
        "kind": "RESULT",
        "action": "BootNotification",
        "messageId": "7",
        "payload": '{"status":"Accepted"}',
        "errorCode": None,
    }
    assert (call["direction"], call["kind"], call["durationMs"]) == ("IN", "CALL", None)
    assert call["at"] <= answer["at"]


async def test_it_is_searched_by_all_that_an_engineer_may_remember(acme: Tester) -> None:
    line = await Line.made(acme)
    await line.hears('[2,"1","Authorize",{"idTag":"DEMO"}]', *statuses(2), '[2,"3","Invented",{"a_b":"100%"}]')
    await line.says('[4,"3","NotImplemented","",{}]')
    moment = (await line.log(first=1))["nodes"][0]["at"]

    assert await line.actions(actions=["Authorize", "Invented"]) == ["Invented", "Invented", "Authorize"]
    assert await line.actions(direction="OUT") == ["Invented"]
    assert await line.actions(messageId="3") == ["Invented", "Invented"]
    assert await line.actions(text="demo") == ["Authorize"]
    assert await line.actions(text="100%") == ["Invented"]
    assert await line.actions(text="notimpl", direction="OUT") == ["Invented"]
    assert await line.actions(text="a%b") == []
    assert await line.actions(**{"from": moment}) == ["Invented"]
    assert await line.actions(to=moment) == ["Invented", "StatusNotification", "Authorize"]


async def test_pages_follow_each_other_while_more_is_said(acme: Tester) -> None:
    line = await Line.made(acme)
    await line.hears(*statuses(*range(5)))

    seen, after, more = [], None, True
    while more:
        page = await line.log(first=2, after=after)
        seen += [node["messageId"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        await line.hears(*statuses(9))

    assert seen == ["4", "3", "2", "1", "0"]


async def test_a_page_is_two_statements_however_long_the_log(acme: Tester) -> None:
    line = await Line.made(acme)
    await line.hears(*statuses(*range(30)))

    with assert_statements(acme, 2):  # that there is such a station, and the page
        await acme.gql("query ($id: ID!) { stationLog(stationId: $id) { nodes { payload } } }", {"id": line.id})


@pytest.mark.parametrize("document", [LOG, FOLLOW])
async def test_whoever_may_only_look_is_refused(acme: Tester, document: str) -> None:
    """Payloads tell who charged where."""
    line = await Line.made(acme)

    assert await _codes(acme, document, line.id, Role.VIEWER) == ["FORBIDDEN"]
    assert await _codes(acme, document, "6b1cd9b6-0d2f-4fd4-9d39-3f2d4fba6d3f", Role.OPERATOR) == ["NOT_FOUND"]
    assert await _codes(acme, document, "nonsense", Role.OPERATOR) == ["INVALID"]


async def _codes(tester: Tester, document: str, station_id: str, role: Role, **given: Any) -> list[str]:
    asking = context(tester.workplace, tester.acting_as(role))
    answers = [one async for one in watched(asking, document, {"id": station_id, **given})]
    return [str((error.extensions or {}).get("code")) for one in answers for error in one.errors or ()]


async def test_a_follower_sees_the_last_entries_and_then_each(acme: Tester) -> None:
    line = await Line.made(acme)
    await line.hears(*statuses(1, 2, 3))

    seen = await assert_live(
        acme,
        (
            "subscription ($id: ID!) { stationLogUpdates(stationId: $id, last: 2) { payload } }",
            "stationLogUpdates.payload",
        ),
        lambda: line.hears(*statuses(4, 5)),
        (
            "query ($id: ID!) { stationLog(stationId: $id, first: 1) { nodes { payload } } }",
            "stationLog.nodes.0.payload",
        ),
        variables={"id": line.id},
        snapshot=2,
    )

    assert [item["stationLogUpdates"]["payload"] for item in seen] == [f'{{"connectorId":{n}}}' for n in (2, 3, 4, 5)]


async def test_a_follower_hears_nothing_of_other_stations(acme: Tester) -> None:
    line, other = await Line.made(acme), await Line.made(acme)

    async with acme.subscribe(FOLLOW, {"id": line.id}) as items, asyncio.timeout(20):
        heard = asyncio.ensure_future(anext(items))
        while not await acme.house.bus.listened_to(line.topics):  # noqa: ASYNC110 -- nobody tells of that
            await asyncio.sleep(0.01)
        await other.hears(*statuses(1))
        await line.hears(*statuses(2))

        assert (await heard)["stationLogUpdates"]["payload"] == '{"connectorId":2}'


async def test_whoever_comes_again_is_told_all_that_came_since(acme: Tester) -> None:
    line = await Line.made(acme)
    await line.hears(*statuses(1, 2))
    async with acme.subscribe(FOLLOW, {"id": line.id, "last": 1}) as items, asyncio.timeout(20):
        last = (await anext(items))["stationLogUpdates"]["eventId"]
    await line.hears(*statuses(*range(3, 10)))

    async with acme.subscribe(FOLLOW, {"id": line.id, "last": 1, "after": last}) as items, asyncio.timeout(20):
        told = [await anext(items) for _ in range(7)]
        await line.hears(*statuses(10))
        told.append(await anext(items))

    assert [item["stationLogUpdates"]["payload"] for item in told] == [f'{{"connectorId":{n}}}' for n in range(3, 11)]


async def test_what_is_no_place_in_the_log_is_refused(acme: Tester) -> None:
    line = await Line.made(acme)

    for given in ({"after": "yesterday"}, {"after": f"{2**63}-0"}, {"last": -1}, {"last": 501}):
        assert await _codes(acme, FOLLOW, line.id, Role.OPERATOR, **given) == ["INVALID"]


async def test_what_was_missed_while_the_line_was_lost_is_told_once(acme: Tester, valkey: Valkey) -> None:
    line = await Line.made(acme)
    await line.hears(*statuses(1))
    async with RedisBus(valkey.url, patience=QUICK, linger_s=0.01) as bus:
        watcher = Watcher(acme, bus, valkey.url)
        async with watcher.watching(f'stationLogUpdates(stationId: "{line.id}") {{ payload }}') as items:
            seen = [await shown(items, "stationLogUpdates")]
            await line.hears(*statuses(2, 3))
            await watcher.lose_the_line()
            seen += [await shown(items, "stationLogUpdates") for _ in range(2)]

    assert [item["payload"] for item in seen] == [f'{{"connectorId":{n}}}' for n in (1, 2, 3)]


def _payload(answer: Answer) -> str:
    assert answer.data is not None, answer.errors
    return str(answer.data["stationLogUpdates"]["payload"])


async def test_a_transport_that_knows_the_last_event_is_told_what_came_since(acme: Tester) -> None:
    """As `Last-Event-ID` says it, to whoever shares the news with others."""
    line = await Line.made(acme)
    await line.hears(*statuses(1, 2, 3))
    after = (await line.log(filter={"text": '"connectorId":1'}))["nodes"][0]["eventId"]

    joining = context(acme.workplace, acme.actor).joining(after)
    told = [_payload(one) async for one in watched(joining, FOLLOW, {"id": line.id})]

    assert told == ['{"connectorId":2}', '{"connectorId":3}']


async def test_news_that_is_shared_is_only_what_is_said_from_then_on(acme: Tester) -> None:
    line, listening = await Line.made(acme), asyncio.Event()
    await line.hears(*statuses(1, 2))

    sharing = context(acme.workplace, acme.actor).shared(listening.set)
    async with aclosing(watched(sharing, FOLLOW, {"id": line.id})) as items, asyncio.timeout(20):
        heard = asyncio.ensure_future(anext(items))
        await listening.wait()
        await line.hears(*statuses(3))

        assert _payload(await heard) == '{"connectorId":3}'

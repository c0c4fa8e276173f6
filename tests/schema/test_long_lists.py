"""Lists in arguments may be as long as a message can be; nobody else has to wait for them."""

import asyncio
from uuid import uuid4

import pytest

from domain import stations
from tests.factories import a_station
from tests.live import GUARD_S
from tests.tester import Tester

pytestmark = pytest.mark.anyio

MANY = 40_000  # more than a statement has room for, were each one a parameter


async def test_a_status_that_is_named_often_is_asked_for_once(acme: Tester) -> None:
    await a_station(acme)
    found = await acme.gql(
        """
        query ($stations: [StationStatus!], $sessions: [SessionStatus!]) {
          stations(filter: { status: $stations }) { totalCount } sessions(filter: { status: $sessions }) { totalCount }
        }
        """,
        {"stations": ["UNKNOWN"] * MANY, "sessions": ["ACTIVE"] * MANY},
    )
    assert found == {"stations": {"totalCount": 1}, "sessions": {"totalCount": 0}}


async def test_a_great_many_stations_and_points_can_be_followed(acme: Tester) -> None:
    async with acme.work() as work:
        fleet = [stations.Station(identity=f"CP-{number:04}", created_at=work.now) for number in range(2_000)]
        work.session.add_all(fleet)
    ids = [str(station.id) for station in fleet] * (MANY // len(fleet))
    updates = "subscription ($ids: [ID!]) { stationStatusUpdates(stationIds: $ids) { station { identity } } }"
    async with acme.subscribe(updates, {"ids": ids}) as items, asyncio.timeout(GUARD_S):
        seen = [(await anext(items))["stationStatusUpdates"]["station"]["identity"] for _ in fleet]
    assert sorted(seen) == [station.identity for station in fleet], "each once"

    unknown = [*(str(uuid4()) for _ in range(MANY)), *ids[:1]]
    with pytest.raises(AssertionError, match="does not exist"):
        async with acme.subscribe(updates, {"ids": unknown}) as items, asyncio.timeout(GUARD_S):
            await anext(items)

    addresses = [*(f"meter/{number}" for number in range(MANY)), "meter/last"]
    await acme.gql(
        'mutation ($at: DateTime!) { recordReadings(readings: [{ address: "meter/last", at: $at, value: 1 }]) '
        "{ recorded } }",
        {"at": "2026-06-01T12:00:00Z"},
    )
    updates = "subscription ($a: [String!]) { pointUpdates(addresses: $a) { address value } }"
    async with acme.subscribe(updates, {"a": addresses}) as items, asyncio.timeout(GUARD_S):
        assert await anext(items) == {"pointUpdates": {"address": "meter/last", "value": 1}}

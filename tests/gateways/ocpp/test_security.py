"""What stations report of their security."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateways.ocpp import Version
from tests.gateways.ocpp.translating import a_speaker
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EVENTS = """query ($f: SecurityEventFilter) {
  securityEvents(filter: $f) { totalCount nodes { type at info createdAt station { id } } }
}"""


async def listed(tester: Tester, **filter: Any) -> list[str]:
    found = (await tester.gql(EVENTS, {"f": filter}))["securityEvents"]
    assert found["totalCount"] == len(found["nodes"])
    return [node["type"] for node in found["nodes"]]


@pytest.mark.parametrize("version", [Version.V16, Version.V201, Version.V21])
async def test_an_event_is_kept_once_however_often_it_is_said(acme: Tester, rival: Tester, version: Version) -> None:
    charger = await a_speaker(acme, version, now=NOON)
    tamper = {"type": "TamperDetectionActivated", "timestamp": "2026-06-01T11:59:00Z", "techInfo": "lid"}

    for said in (tamper, tamper, {**tamper, "techInfo": "door"}):
        assert await charger.say("SecurityEventNotification", said) == {}

    (door, lid) = (await acme.gql(EVENTS))["securityEvents"]["nodes"]
    assert lid == {
        "type": "TamperDetectionActivated",
        "at": "2026-06-01T11:59:00Z",
        "info": "lid",
        "createdAt": "2026-06-01T12:00:00Z",
        "station": {"id": str(charger.station_id)},
    }
    assert door["info"] == "door"
    assert await listed(rival) == []


async def test_they_are_found_by_station_word_and_time(acme: Tester) -> None:
    one, other = [await a_speaker(acme, Version.V201, now=NOON) for _ in range(2)]
    await one.say("SecurityEventNotification", {"type": "InvalidTLSVersion", "timestamp": "2026-06-01T10:00:00Z"})
    await other.say("SecurityEventNotification", {"type": "ResetOrReboot", "timestamp": "2026-06-01T11:00:00Z"})

    assert await listed(acme, stationId=str(one.station_id)) == ["InvalidTLSVersion"]
    assert await listed(acme, types=["ResetOrReboot", "Other"]) == ["ResetOrReboot"]
    assert await listed(acme, **{"from": "2026-06-01T10:00:00Z", "to": "2026-06-01T11:00:00Z"}) == ["InvalidTLSVersion"]

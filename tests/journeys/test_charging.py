"""A charge from plug to plug, by chargers that know nothing of us."""

from datetime import datetime, timedelta

import pytest

from tests.journeys.chargers import Bare, Charger, Charger16, Charger21, Charger201, now, written
from tests.journeys.clients import Operator

pytestmark = pytest.mark.anyio

every_version = pytest.mark.parametrize("kind", [Charger16, Charger201, Charger21])

SESSIONS = """
subscription ($station: ID) { sessionUpdates(stationId: $station) { kind session {
  id transactionId evseNumber connectorNumber token { uid } tokenUid status startedAt endedAt
  meterStartWh meterStopWh energyWh powerW stopReason inferred offline
} } }
"""
STATUS = """
subscription ($ids: [ID!]) { stationStatusUpdates(stationIds: $ids) {
  station { online status evses { number status connectors { number status } } } evseNumber connectorNumber status
} }
"""
READINGS = "subscription ($addresses: [String!]) { pointUpdates(addresses: $addresses) { address at value quality } }"
HISTORY = """
query ($points: [String!]!, $from: DateTime!, $to: DateTime!) { history(points: $points, from: $from, to: $to) {
  timestamps series { address unit values }
} }
"""


@every_version
async def test_a_charge_is_seen_live_and_is_right_in_the_end(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    uid = await operator.token()
    began = now() - timedelta(seconds=30)

    async with kind.connected(base, identity) as charger:
        assert await charger.boot() == "Accepted"
        station = await operator.station(identity, "id online vendor model serialNumber ocppVersion registration")
        assert station.pop("serialNumber").startswith("SN-")
        async with operator.watching(SESSIONS, station=station.pop("id")) as charges:
            assert await charger.authorize(uid) == "Accepted"
            await charger.plug_in()
            transaction_id = await charger.start(uid, 100_000, at=began)
            started = await charges.until(lambda update: update["kind"] == "STARTED")
            for second in (1, 2, 3):
                await charger.meter(100_000 + second * 250, 11_000, at=began + timedelta(seconds=second))
            metered = await charges.until(
                lambda update: update["kind"] == "METERED" and update["session"]["energyWh"] == 750
            )
            await charger.stop(100_812, at=began + timedelta(seconds=4))
            await charger.unplug()
            stopped = await charges.until(lambda update: update["kind"] == "STOPPED")

    assert station == {
        "online": True,
        "vendor": "Voltex",
        "model": "One",
        "ocppVersion": kind.subprotocol,
        "registration": "ACCEPTED",
    }
    assert started["session"]["transactionId"] == transaction_id
    assert (metered["session"]["status"], metered["session"]["powerW"]) == ("ACTIVE", 11_000)
    session = stopped["session"]
    assert session.pop("id") == started["session"]["id"]
    assert [datetime.fromisoformat(session.pop(name)) for name in ("startedAt", "endedAt")] == [
        began,
        began + timedelta(seconds=4),
    ]
    assert session == {
        "transactionId": transaction_id,
        "evseNumber": 1,
        "connectorNumber": 1,
        "token": {"uid": uid},
        "tokenUid": uid,
        "status": "COMPLETED",
        "meterStartWh": 100_000,
        "meterStopWh": 100_812,
        "energyWh": 812,
        "powerW": None,
        "stopReason": "Local",
        "inferred": False,
        "offline": False,
    }


@every_version
async def test_every_value_that_was_metered_is_in_the_history_of_its_point(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    uid = await operator.token()
    began = now() - timedelta(seconds=30)
    register, power = (
        f"station/{identity}/1/{name}" for name in ("Energy.Active.Import.Register", "Power.Active.Import")
    )

    async with (
        kind.connected(base, identity) as charger,
        operator.watching(READINGS, addresses=[register, power]) as readings,
    ):
        await charger.boot()
        await charger.start(uid, 5_000, at=began)
        for second in range(1, 6):
            await charger.meter(5_000 + 100 * second, 7_000 + second, at=began + timedelta(seconds=second))
        last = await readings.until(lambda reading: reading["address"] == power and reading["value"] == 7_005)
        await charger.stop(5_600, at=began + timedelta(seconds=6))

    told = await operator.ask(
        HISTORY,
        points=[register, power],
        **{"from": written(began + timedelta(seconds=1)), "to": written(began + timedelta(seconds=6))},
    )
    assert len(told["timestamps"]) == 5
    assert told["series"] == [
        {"address": register, "unit": "Wh", "values": [5_100, 5_200, 5_300, 5_400, 5_500]},
        {"address": power, "unit": "W", "values": [7_001, 7_002, 7_003, 7_004, 7_005]},
    ]
    assert (last["at"], last["quality"]) == (told["timestamps"][-1], "GOOD")


@every_version
async def test_a_watcher_sees_what_the_plug_is_doing(
    kind: type[Charger], base: str, operator: Operator, identity: str
) -> None:
    uid = await operator.token()
    seen = []

    async with kind.connected(base, identity) as charger:
        await charger.boot()
        await charger.unplug()
        station_id = (await operator.station(identity))["id"]
        async with operator.watching(STATUS, ids=[station_id]) as statuses:
            await charger.plug_in()
            await charger.start(uid, 0)
            seen.append(await statuses.until(lambda told: told["station"]["status"] == "CHARGING"))
            await charger.stop(10)
            await charger.unplug()
            seen.append(await statuses.until(lambda told: told["station"]["status"] == "AVAILABLE"))
            await charger.connection.close()
            seen.append(await statuses.until(lambda told: not told["station"]["online"]))

    evses = [told["station"]["evses"] for told in seen]
    assert [evse["status"] for (evse,) in evses] == ["CHARGING", "AVAILABLE", "AVAILABLE"]
    assert all(len(evse["connectors"]) == 1 for (evse,) in evses)
    assert seen[-1]["station"]["status"] == "AVAILABLE"


@every_version
@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"status": "BLOCKED"}, "Blocked"),
        ({"status": "EXPIRED"}, "Expired"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "Expired"),
        (None, "Invalid"),
    ],
)
async def test_a_station_is_told_what_is_wrong_with_a_card(
    kind: type[Charger], given: dict[str, str] | None, answer: str, base: str, operator: Operator, identity: str
) -> None:
    uid = "NOBODY" if given is None else await operator.token(**given)

    async with kind.connected(base, identity) as charger:
        await charger.boot()
        said = "Unknown" if given is None and kind is not Charger16 else answer  # 1.6 has no word for it
        assert await charger.authorize(uid.lower()) == said


async def test_a_charge_is_suspended_and_goes_on(base: str, operator: Operator, identity: str) -> None:
    uid = await operator.token()

    async def status(word: str) -> None:
        await charger.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": word})

    async with Bare.connected(base, identity) as charger:
        station_id = (await operator.station(identity))["id"]
        async with operator.watching(SESSIONS, station=station_id) as charges:
            start = {"connectorId": 1, "idTag": uid, "meterStart": 0, "timestamp": written(now())}
            await charger.call("StartTransaction", start)
            for word in ("Charging", "SuspendedEV", "Charging"):
                await status(word)
            suspended = await charges.until(lambda update: update["kind"] == "SUSPENDED")
            resumed = await charges.until(lambda update: update["kind"] == "RESUMED")

    assert (suspended["session"]["id"], resumed["session"]["status"]) == (resumed["session"]["id"], "ACTIVE")


@pytest.mark.parametrize("offered", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_a_station_that_never_boots_again_after_a_reconnect_charges_all_the_same(
    offered: str, base: str, operator: Operator, identity: str
) -> None:
    kind = {"ocpp1.6": Charger16, "ocpp2.0.1": Charger201, "ocpp2.1": Charger21}[offered]
    async with kind.connected(base, identity) as charger:
        await charger.boot()

    async with kind.connected(base, identity) as charger:
        transaction_id = await charger.start(await operator.token(), 0)

    found = await operator.ask(
        "query ($i: String!) { sessions(filter: { stationIdentity: $i }) { nodes { transactionId } } }", i=identity
    )
    assert found["nodes"] == [{"transactionId": transaction_id}]

"""A charge from plug to plug, by chargers that know nothing of us."""

from datetime import timedelta

import pytest

from tests.journeys.chargers import Charger, Charger16, Charger201, now
from tests.journeys.clients import Operator
from tests.journeys.conftest import Tenant
from tests.journeys.servers import Server

pytestmark = pytest.mark.anyio

SESSIONS = """
subscription ($station: ID) { sessionUpdates(stationId: $station) { kind session {
  id transactionId evseNumber connectorNumber token { uid } tokenUid status startedAt endedAt
  meterStartWh meterStopWh energyWh powerW stopReason inferred offline
} } }
"""
STATUS = "subscription ($ids: [ID!]) { stationStatusUpdates(stationIds: $ids) { station { online } evseNumber status } }"


@pytest.mark.parametrize("kind", [Charger16, Charger201])
async def test_a_charge_is_seen_live_and_is_right_in_the_end(
    kind: type[Charger], server: Server, tenant: Tenant, operator: Operator, identity: str
) -> None:
    uid = f"RFID{identity[-10:]}".upper()
    await operator.ask("mutation ($uid: String!) { createToken(input: { uid: $uid }) { id } }", uid=uid)

    async with kind.connected(f"{server.ocpp}/{tenant.slug}", identity) as charger:
        assert await charger.boot() == "Accepted"
        station = await operator.ask(
            "query ($i: String!) { stationByIdentity(identity: $i) { id online vendor model serialNumber ocppVersion } }",
            i=identity,
        )
        station_id = station.pop("id")
        assert station.pop("serialNumber").startswith("SN-")
        assert station == {"online": True, "vendor": "Voltex", "model": "One", "ocppVersion": kind.subprotocol}

        async with operator.watching(SESSIONS, station=station_id) as charges:
            assert await charger.authorize(uid) == "Accepted"
            await charger.plug_in()
            began = now() - timedelta(seconds=30)
            transaction_id = await charger.start(uid, 100_000, at=began)
            started = await charges.until(lambda update: update["kind"] == "STARTED")
            for minute in range(1, 4):
                await charger.meter(100_000 + minute * 250, 11_000, at=began + timedelta(seconds=minute))
            metered = await charges.until(
                lambda update: update["kind"] == "METERED" and update["session"]["energyWh"] == 750
            )
            await charger.stop(100_812, at=began + timedelta(seconds=4))
            await charger.unplug()
            stopped = await charges.until(lambda update: update["kind"] == "STOPPED")

    assert started["session"]["status"] in ("PENDING", "ACTIVE")
    assert started["session"]["transactionId"] == transaction_id
    assert (metered["session"]["status"], metered["session"]["powerW"]) == ("ACTIVE", 11_000)
    session = stopped["session"]
    assert session.pop("id") == started["session"]["id"]
    assert session.pop("startedAt") < session.pop("endedAt")
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

"""A fleet to which everything happens that happens at real sites: what it has charged is what the server says."""

import asyncio

import pytest

from gateways.sim import run_stations
from tests.journeys.clients import Operator

pytestmark = pytest.mark.anyio

LASTS_S = 8.0
SESSIONS = """
query ($i: String!) { sessions(first: 500, filter: { stationIdentity: $i }) { totalCount nodes {
  transactionId status energyWh
} } }
"""


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_fleet_in_every_trouble_has_charged_what_the_server_says(
    version: str, base: str, operator: Operator
) -> None:
    uid = await operator.token()
    stop = asyncio.Event()
    fleet = asyncio.create_task(
        run_stations(
            url=base,
            count=3,
            version=version,
            prefix=f"TROUBLE-{version}-",
            token_uid=uid,
            speed=40,
            meter_interval_s=0.5,
            faults=["all"],
            stop=stop,
            finish=True,
        )
    )
    await asyncio.sleep(LASTS_S)
    stop.set()
    report = await fleet

    assert report.sessions_delivered > 0
    for station in report.stations:
        assert station.undelivered == 0
        kept = await operator.ask(SESSIONS, i=station.identity)
        assert kept["totalCount"] == len(station.sessions)
        assert {node["transactionId"]: (node["status"], node["energyWh"]) for node in kept["nodes"]} == {
            session.transaction_id: ("COMPLETED", session.energy_wh) for session in station.sessions
        }
